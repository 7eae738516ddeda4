"""Webhooks: from the alert to the receiver, with and without a dead endpoint; deliveries a second; memory needed.

The receiver is a process of its own on the same cores, so that its time is not the notifier's.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from pipeline import kafka
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.risk.messages import ChurnAlert
from pipeline.topics import ALERTS
from pipeline.waiting import wait_until
from pipeline.webhooks import administration
from tests.benchmarks.ground import Ground
from tests.benchmarks.measure import cpu_seconds, end, resident
from tests.benchmarks.report import Table
from tests.faults.alerts_told import told
from tests.faults.field import Field, Running
from tests.stacks import free_ports

LIVE = 10
"""Endpoints of the control run; in the other one of them is dead."""
MANY = 100


class Sink:
    """The receiver's process."""

    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        self.process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.webhook_sink", str(self.port)])

    def taken(self) -> list[tuple[str, float]]:
        """What came, and when."""
        return [(cause, at) for cause, at in json.loads(self._asked("GET"))]

    def clear(self) -> None:
        """Forget what came."""
        self._asked("DELETE")

    def _asked(self, method: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/taken", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            self.clear()
        except OSError:
            return False
        return True


def run(ground: Ground) -> list[Table]:
    """All three questions, each on a field of its own."""
    sizes = ground.sizes
    latency = [_latency(ground, dead) for dead in (0, 1)]
    control = latency[0][3]
    rows = [(*row, row[3] / control) for row in latency]
    how = (
        f"{sizes.webhook_alerts:,} alerts at {sizes.webhook_rate}/s to {LIVE} endpoints, from the call of produce to "
        "the receiver's hands, those that live.\nThe dead one takes connections and never answers."
    )
    header = ("dead endpoints", "deliveries", "p50 ms", "p99 ms", "p99 by control")
    return [
        Table("Webhooks: from alert to receiver", how, header, rows),
        _throughput(ground),
        _memory(ground),
    ]


@contextmanager
def _told_by(ground: Ground, paths: Sequence[str]) -> Iterator[tuple[Field, Sink, Running]]:
    field, sink = ground.new_field(), Sink()
    try:
        assert wait_until(sink.ready, seconds=30, pause=0.1)
        for number, path in enumerate(paths):
            administration.add(
                field.settings, f"e-{number}", f"http://127.0.0.1:{sink.port}/{path}", shape="standard", language="en",
                severities=(), private=administration.Private(), allow_private=True,
            )  # fmt: skip
        yield field, sink, field.notifier().wait_ready(120)
    finally:
        field.end()
        end(sink.process)


def _send(field: Field, alerts: Iterator[ChurnAlert], rate: float | None = None) -> dict[str, float]:
    """Write alerts at a rate; when each was handed over."""
    producer = kafka.producer(field.settings, "told", **{"linger.ms": 1})
    handed, started = dict[str, float](), time.monotonic()
    for count, alert in enumerate(alerts, start=1):
        key = alert.customer_id.encode()
        partition = partition_of(key, field.settings.partitions)
        handed[alert.caused_by_event] = time.monotonic()
        producer.produce(field.settings.topic(ALERTS.name), msgspec.json.encode(alert), key, partition)
        producer.poll(0)
        if rate:
            time.sleep(max(0.0, started + count / rate - time.monotonic()))
    assert producer.flush(60) == 0
    return handed


def _latency(ground: Ground, dead: int) -> tuple[str, int, float, float]:
    sizes = ground.sizes
    paths = [str(number) for number in range(LIVE - dead)] + ["dead"] * dead
    with _told_by(ground, paths) as (field, sink, _):
        _send(field, told(20, "warm"))
        _wait_taken(sink, 100 * (LIVE - dead))
        sink.clear()
        count = sizes.webhook_alerts
        handed = _send(field, told(count, "c", ("raised",)), sizes.webhook_rate)
        taken = _wait_taken(sink, count * (LIVE - dead))
    waited = sorted((at - handed[cause]) * 1e3 for cause, at in taken)
    return str(dead), len(waited), waited[len(waited) // 2], waited[int(0.99 * len(waited))]


def _wait_taken(sink: Sink, count: int) -> list[tuple[str, float]]:
    taken = wait_until(sink.taken, lambda found: len(found) >= count, seconds=300, pause=0.5)
    assert len(taken) >= count, f"{len(taken)} of {count} arrived"
    return taken


def _throughput(ground: Ground) -> Table:
    count = ground.sizes.webhook_alerts // 5
    with _told_by(ground, [str(number) for number in range(MANY)]) as (field, sink, notifier):
        before = cpu_seconds(notifier.process.pid)
        _send(field, told(count, "c", ("raised",)))
        taken = _wait_taken(sink, count * MANY)
        cpu = cpu_seconds(notifier.process.pid) - before
    moments = sorted(at for _, at in taken)
    deliveries, seconds = len(moments), moments[-1] - moments[0]
    how = f"{count:,} alerts at once to {MANY} endpoints; a delivery is signed, sent, logged, and pending no more."
    row = (MANY, deliveries, deliveries / seconds, cpu / deliveries * 1e3)
    return Table("Webhooks: deliveries", how, ("endpoints", "deliveries", "deliveries/s", "CPU ms a delivery"), [row])


def _memory(ground: Ground) -> Table:
    count = ground.sizes.webhook_pending
    with _told_by(ground, ["dead"]) as (field, _, notifier):
        empty = resident(notifier.process.pid)
        _send(field, told(count, "c", ("raised",)))
        assert wait_until(lambda: notifier.metric("loyalty_webhook_pending") >= count, seconds=300, pause=1)
        full = resident(notifier.process.pid)
        notifier.stop(60)
        started = time.monotonic()
        notifier.start().wait_ready(300)
        ready = time.monotonic() - started
        assert wait_until(lambda: notifier.metric("loyalty_webhook_pending") >= count, seconds=60, pause=1)
        again = resident(notifier.process.pid)
    how = "Alerts for one endpoint that never answers; then the notifier is started again and reads what is pending."
    header = ("pending", "MB empty", "MB", "bytes a message", "MB after a restart", "s until ready")
    row = (count, empty / 1e6, full / 1e6, (full - empty) / count, again / 1e6, ready)
    return Table("Webhooks: memory", how, header, [row])
