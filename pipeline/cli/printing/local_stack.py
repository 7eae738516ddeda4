"""Runs a local stack that ends with the command, however the command ends; shared by ``up`` and ``demo``."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.progress import Progress, TaskID

from pipeline.cli.printing import output
from pipeline.cli.printing.tables import prose
from pipeline.cli.printing.voice import Voice
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.local import jars, stack
from pipeline.logs import make_unfailing

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a supervisor's stop, a closed terminal."""


def configured(
    settings: Settings,
    *,
    kafka_port: int | None = None,
    controller_port: int | None = None,
    warehouse_port: int | None = None,
    metrics_port: int | None = None,
    kafka: str | None = None,
    kafka_jars: Path | None = None,
) -> Settings:
    """Settings with the options of ``up`` applied.

    Raises
    ------
    Refused
        Two processes would share a port, or the address given for Kafka cannot be meant.
    """
    changed = settings.with_changes(
        data_dir=str(settings.directory.expanduser().resolve()),
        kafka=kafka or (f"127.0.0.1:{kafka_port}" if kafka_port else None),
        controller_port=controller_port,
        clickhouse=f"http://127.0.0.1:{warehouse_port}" if warehouse_port else None,
        kafka_jars=str(kafka_jars) if kafka_jars else None,
        **(
            {
                f"{name}_metrics_port": metrics_port + step
                for step, name in enumerate(("worker", "sink", "warehouse", "up", "notifier"))
            }
            if metrics_port
            else {}
        ),
    )
    _check_local(changed, own_broker=kafka is None)
    seen: dict[int, str] = {}
    for port, owner, option in stack.ports(changed):
        if port in seen:
            raise Refused(f"port {port} is given to both {seen[port]} and {owner}; choose another with {option}")
        seen[port] = owner
    return changed


def _check_local(settings: Settings, *, own_broker: bool) -> None:
    """What we start listens on this machine; an address elsewhere was meant for an existing service."""
    broker, warehouse = settings.kafka.rsplit(":", 1)[0], urlsplit(settings.clickhouse).hostname
    if own_broker and broker not in LOOPBACK:
        raise Refused(
            f"LOYALTY_KAFKA is {settings.kafka}: to use that Kafka say so, loyalty up --kafka {settings.kafka}"
        )
    if own_broker and settings.kafka_security != "plaintext":
        raise Refused(
            f"LOYALTY_KAFKA_SECURITY is {settings.kafka_security}, but the private broker is for this machine only and "
            "asks nobody; unset it, or use an existing Kafka: loyalty up --kafka HOST:PORT"
        )
    if warehouse not in LOOPBACK:
        raise Refused(
            f"LOYALTY_CLICKHOUSE is {settings.clickhouse}, but `up` starts its own warehouse here; unset it, or "
            "run `loyalty worker` and `loyalty sink` against that server"
        )


@contextmanager
def running(settings: Settings, *, own_broker: bool = True) -> Iterator[stack.Stack]:
    """A stack that is stopped when the block ends, also by a signal (as :class:`KeyboardInterrupt`)."""
    make_unfailing("stdout", "stderr")  # the stack goes on whatever becomes of its terminal
    voice = Voice()
    before = {number: signal.signal(number, _interrupt) for number in ENDING}
    local = stack.Stack(settings, voice.say, own_broker=own_broker)
    try:
        with _fetching(voice.say) as fetching:
            local.start(fetching)
        voice.finish()
        yield local
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        if local.children:
            voice.say("Stopping ...")
        local.stop()
        if local.children:
            voice.say(f"Stopped. The data stays in {settings.directory}; `loyalty up` goes on from there.")
        voice.finish()
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


@contextmanager
def _fetching(say: Callable[[str], None]) -> Iterator[Any]:
    """Progress of the first run's download; shown only if there is something to fetch."""
    shown: list[tuple[Progress, TaskID]] = []

    def fetching(done: int, total: int) -> None:
        if not shown:
            say(
                f"Fetching Apache Kafka {jars.KAFKA_VERSION} once: {total} jars, about {jars.DOWNLOAD_MB} MB in all, "
                f"into {jars.cache()}"
            )
            bar = output.bar(unit="jars")
            bar.start()
            shown.append((bar, bar.add_task("jars", total=total)))
        shown[0][0].update(shown[0][1], completed=done)
        if done == total:
            shown[0][0].stop()

    try:
        yield fetching
    finally:
        for bar, _ in shown:
            bar.stop()


def wait_for_the_end() -> None:
    """Wait until a signal ends the command."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def addresses(settings: Settings) -> None:
    """Where everything is, for a person."""
    output.table(
        ["what", prose("where")],
        [
            ["Kafka", settings.kafka],
            ["ClickHouse (HTTP)", f"{settings.clickhouse}  database {settings.database}"],
            [
                "metrics",
                " ".join(
                    f"http://127.0.0.1:{port}/metrics"
                    for port in (
                        settings.worker_metrics_port,
                        settings.sink_metrics_port,
                        settings.warehouse_metrics_port,
                        settings.up_metrics_port,
                        settings.notifier_metrics_port,
                    )
                ),
            ],
            ["data and logs", str(settings.directory)],
        ],
    )
    output.say("Running. Try `loyalty status` in another terminal; Ctrl-C stops everything.")
