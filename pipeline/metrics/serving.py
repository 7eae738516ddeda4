"""The registry of a process, and the port that answers with it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Info, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pipeline import __version__, watched
from pipeline.errors import Refused


def registry(process: str) -> CollectorRegistry:
    """A registry with build and process information."""
    collectors = CollectorRegistry()
    ProcessCollector(registry=collectors)
    PlatformCollector(registry=collectors)
    GCCollector(registry=collectors)
    Info("loyalty_build", "Version of the program and kind of process", registry=collectors).info(
        {"version": __version__, "process": process}
    )
    return collectors


def serve(collectors: CollectorRegistry, host: str, port: int) -> None:
    """Serve a registry's metrics over HTTP.

    Raises
    ------
    Refused
        The port is taken.
    """
    try:
        server, thread = start_http_server(port, host, collectors)
    except OSError:
        raise Refused(f"port {port} (metrics) on {host} is taken; choose another with LOYALTY_*_METRICS_PORT") from None

    server.set_app(partial(_at_metrics, server.get_app()))

    def serve_on() -> None:
        thread.join()
        server.serve_forever()

    watched.live_again("metrics", serve_on)


def _at_metrics(app: Any, asked: dict[str, Any], begin: Callable[..., Any]) -> Any:
    """The metrics at their address, and nothing at any other: a probe of a page that is not there must fail."""
    if asked.get("PATH_INFO") == "/metrics":
        return app(asked, begin)
    begin("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"only /metrics is here\n"]
