"""The operations board: every panel's query, run by a real Prometheus on what the demo's processes expose."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from confluent_kafka import Producer

from tests.conftest import ROOT
from tests.e2e.conftest import Demo
from tests.stacks import eventually, free_ports

pytestmark = pytest.mark.xdist_group("demo")
BOARD = json.loads((ROOT / "deploy/grafana/dashboards/operations.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}


@pytest.fixture(scope="session")
def prometheus_tools() -> Path:
    """The folder with ``prometheus`` and ``promtool``: this machine's own, or Debian's package, unpacked."""
    found = shutil.which("prometheus")
    if found and shutil.which("promtool"):
        return Path(found).parent
    folder = Path(platformdirs.user_cache_dir("loyalty")) / "prometheus"
    if not (folder / "usr/bin/prometheus").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for command in (["apt-get", "update", "-q"], ["apt-get", "download", "-q", "prometheus"]):
            subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=240)
        package = next(folder.glob("prometheus_*.deb"), None)
        assert package, "this test needs Prometheus: install it, so that `prometheus` and `promtool` are on the PATH"
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True, timeout=240)
    return folder / "usr/bin"


Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(demo: Demo, prometheus_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A Prometheus that scrapes the demo's five processes every half second."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_ports(1)[0]
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{demo.metrics + step}"]}]}
        for step, name in enumerate(("worker", "sink", "warehouse", "up", "notifier"))
    ]
    config = {"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    process = subprocess.Popen(
        [str(prometheus_tools / "prometheus"), f"--config.file={folder}/prometheus.yml",
         f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask_(expression: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
                return found
        except OSError:
            return []

    try:
        eventually(lambda: len(ask_("up == 1")) == 5, 30, "all five processes scraped")
        producer = Producer({"bootstrap.servers": demo.kafka})
        producer.produce("surveys", b"not JSON", b"somebody")
        producer.flush(10)
        time.sleep(4)
        yield ask_
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("name", TARGETS)
def test_every_query_of_the_board_finds_series(ask: Ask, name: str) -> None:
    expression = TARGETS[name].replace("$__rate_interval", "1m")
    assert ask(expression), expression


def test_the_figures_are_those_of_the_demo(ask: Ask, demo: Demo) -> None:
    consumed = sum(float(series["value"][1]) for series in ask("loyalty_events_consumed_total"))
    assert consumed >= sum(demo.report["sent"].values())
    assert float(ask("sum(loyalty_process_up)")[0]["value"][1]) == 5
    assert float(ask("max(loyalty_lag_seconds)")[0]["value"][1]) == 0
    names = {series["metric"]["__name__"] for series in ask('{__name__=~"loyalty_.+"}')}
    assert {name for name in names if re.search(r"customer_id", name)} == set()


def test_no_metric_carries_a_customer_in_a_label(ask: Ask) -> None:
    labels = {label for series in ask('{__name__=~"loyalty_.+"}') for label in series["metric"]}
    closed = {"topic", "partition", "reason", "transition", "severity", "table", "kind", "status", "process", "check",
              "outcome", "state"}  # fmt: skip
    assert labels <= closed | {"le"} | {"__name__", "job", "instance", "version"}


def test_every_panel_says_what_it_shows_and_none_overlaps() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        assert panel["title"]
        place = panel["gridPos"]
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not covered & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= covered
    for panel in PANELS:
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_prometheus_accepts_the_shipped_configuration(prometheus_tools: Path) -> None:
    subprocess.run(
        [str(prometheus_tools / "promtool"), "check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
