"""Judges processes and their progress by what moves; ``loyalty status`` and ``loyalty doctor`` use it.

A part that answers may still do nothing. So a process of the local stack counts as well only while it runs, is not
frozen, says that it is ready, and took its turn lately; workers and sinks, wherever they run, only while somebody is in
their group and what is committed moves as long as something waits. Every question has a bound.
"""

import time
from collections.abc import Callable, Collection, Mapping
from operator import not_
from typing import Any, NamedTuple

import psutil

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import LoyaltyError
from pipeline.local import record, stack
from pipeline.loopback import fetched
from pipeline.operations.lag import left_of
from pipeline.operations.stopped_inputs import standing
from pipeline.topics import ALERTS
from pipeline.waiting import wait_until
from pipeline.warehouse.client import connect

ANSWER_SECONDS = 2.0
"""How long a metrics port has to answer."""
STALE_SECONDS = 15.0
"""How long a loop may take for one turn."""
MOVES_SECONDS = 10.0
"""Within so long something must be committed while something waits."""
KINDS = ("worker", "sink")
Places = dict[tuple[str, int], tuple[int, int]]
"""From which offset and before which something waits, by topic and partition."""


class HealthVerdict(NamedTuple):
    """Of a process, or of all that do one thing: in a word how it is, and why that is not well."""

    name: str
    state: str
    why: str = ""
    pid: int | None = None
    memory_mb: int | None = None
    restarts: int = 0
    behind: int = 0
    """Records that wait for it."""

    @property
    def well(self) -> bool:
        """Whether nobody has to do anything."""
        return not self.why


def processes(settings: Settings) -> list[HealthVerdict]:
    """Those of the local stack and who watches over them; nothing when none runs here."""
    known = record.read(settings.directory)
    if known is None:
        return []
    verdicts = [_process(settings, name, entry) for name, entry in known["processes"].items()]
    return [*verdicts, _supervisor(settings, known)]


def _supervisor(settings: Settings, known: Mapping[str, Any]) -> HealthVerdict:
    idle = stack.unwatched_seconds(settings.directory)
    why = f"the processes were last looked at {idle:.0f} s ago" if idle > STALE_SECONDS else ""
    memory, state = _alive(known.get("pid"), None)
    if state == psutil.STATUS_STOPPED:
        return HealthVerdict(
            "supervisor", "frozen", "it was stopped by a signal (SIGCONT lets it go on)", known["pid"], memory
        )
    return HealthVerdict("supervisor", "stuck" if why else "running", why, known.get("pid"), memory)


def _process(settings: Settings, name: str, entry: Mapping[str, Any]) -> HealthVerdict:
    memory, state = _alive(entry["pid"], entry["started"])
    verdict = _how(settings, name, entry, state)
    return verdict._replace(pid=entry["pid"], memory_mb=memory, restarts=entry["restarts"])


def _how(settings: Settings, name: str, entry: Mapping[str, Any], state: str | None) -> HealthVerdict:
    reason = str(entry.get("reason") or "")
    if entry.get("given_up"):
        return HealthVerdict(name, "given up", f"{reason}; tried again until it runs")
    if state is None:
        return HealthVerdict(name, "DOWN", reason or "it ended")
    if state == psutil.STATUS_STOPPED:
        return HealthVerdict(name, "frozen", "it was stopped by a signal (SIGCONT lets it go on)")
    why = _JUDGES[name](settings) if name in _JUDGES else ""
    return HealthVerdict(name, "running" if not why else "not well", why or "")


def _alive(pid: Any, started: float | None) -> tuple[int | None, str | None]:
    """Memory in MB and state of a process; ``None`` when it is none any more, or another one has its number."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or (started and abs(process.create_time() - started) > 5):
            return None, None
        return process.memory_info().rss // 1_000_000, process.status()
    except (psutil.Error, TypeError, ValueError):
        return None, None


def _broker(settings: Settings) -> str:
    return _failure_of(lambda: kafka.metadata(settings))


def _warehouse(settings: Settings) -> str:
    return _failure_of(lambda: connect(settings, seconds=5).value("SELECT 1"))


def _worker(settings: Settings) -> str:
    ready = ("loyalty_ready", True, "it has no partitions yet, or recovers their states")
    return _by_metrics(settings.worker_metrics_port, "loyalty_alive_timestamp_seconds", ready)


def _sink(settings: Settings) -> str:
    return _by_metrics(
        settings.sink_metrics_port, "loyalty_sink_alive_timestamp_seconds",
        ("loyalty_sink_ready", True, "it has no partitions yet"),
        ("loyalty_sink_paused", False, "it waits for ClickHouse, which does not take a batch"),
    )  # fmt: skip


def _notifier(settings: Settings) -> str:
    refused = f"it cannot use {settings.webhooks}, and goes by what was there before; `loyalty webhooks list` says why"
    return _by_metrics(
        settings.notifier_metrics_port, "loyalty_notifier_alive_timestamp_seconds",
        ("loyalty_webhook_file_refused", False, refused),
        ("loyalty_notifier_ready", True, "it has no partitions yet, or reads what was pending"),
    )  # fmt: skip


def _by_metrics(port: int, alive: str, *wanted: tuple[str, bool, str]) -> str:
    """What is wrong with a process by its own figures: each with whether it must be set, and what is so otherwise."""
    metrics = gauges(port)
    if metrics is None:
        return "it does not answer on its metrics port"
    for name, is_set, otherwise in wanted:
        if bool(metrics.get(name)) != is_set:
            return otherwise
    return _stale(metrics.get(alive, 0.0))


def _stale(alive: float) -> str:
    if not alive:
        return "it has only just started"
    idle = time.time() - alive
    return f"it took its last turn {idle:.0f} s ago" if idle > STALE_SECONDS else ""


_JUDGES: Mapping[str, Callable[[Settings], str]] = {
    "broker": _broker,
    "warehouse": _warehouse,
    "worker": _worker,
    "sink": _sink,
    "notifier": _notifier,
}


def _failure_of(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except LoyaltyError as failed:
        return str(failed)
    return ""


def gauges(port: int) -> dict[str, float] | None:
    """The metrics without labels that a port on this machine tells, ``None`` when it does not answer in time."""
    answer = fetched(f"http://127.0.0.1:{port}/metrics", ANSWER_SECONDS)
    if not answer:
        return None
    lines = answer.splitlines()
    pairs = (line.split(" ") for line in lines if line and line[0] != "#" and "{" not in line)
    return {name: float(value) for name, value, *_ in pairs}


def progress(settings: Settings, stands: Collection[str] | None = None) -> list[HealthVerdict]:
    """Whether workers, sinks and notifiers, wherever they run, get on; topics that stand keep no worker from it.

    Raises
    ------
    Transient, Refused
        Kafka does not answer, or the topics are not there.
    """
    kafka.metadata(settings)  # where it is away, it says what to do
    stands = standing(settings) if stands is None else stands
    kinds = _kinds(settings)
    first = {kind: _waiting(settings, kind, stands) for kind in kinds}
    present = {kind: kafka.members(settings, settings.group(kind), seconds=5.0) for kind in kinds}
    still = {kind: first[kind] if present[kind] else {} for kind in kinds}

    def unmoved() -> bool:
        for kind, places in still.items():
            still[kind] = _unmoved(places, _waiting(settings, kind, stands)) if places else {}
        return any(still.values())

    wait_until(unmoved, not_, seconds=MOVES_SECONDS, pause=0.5)
    return [_judged(settings, kind, present[kind], first[kind], still[kind]) for kind in kinds]


def _kinds(settings: Settings) -> list[str]:
    """Who has to get on: workers and sinks, and notifiers where there ever was one."""
    told = kafka.committed(settings, settings.group("notifier"), [ALERTS])
    return [*KINDS, *(["notifier"] if told else [])]


def _waiting(settings: Settings, kind: str, stands: Collection[str]) -> Places:
    """What waits, but for topics that stand: whoever says so says what to do about them."""
    left = left_of(settings, kind)
    return {key: place for key, place in left.items() if kind != "worker" or key[0] not in stands}


def _unmoved(places: Places, now: Places) -> Places:
    """What waits as before in partitions in which nothing was committed, of no topic: topics wait for each other."""
    moved = {key[1] for key, (begin, _) in places.items() if key not in now or now[key][0] != begin}
    return {key: place for key, place in places.items() if key[1] not in moved}


def _judged(settings: Settings, kind: str, members: int, first: Places, still: Places) -> HealthVerdict:
    waiting = sum(end - begin for begin, end in first.values())
    if not members:
        return HealthVerdict(
            f"{kind}s", "none", f"no {kind} is in its group, {waiting} records wait. Start one: loyalty {kind}"
        )
    partitions = sorted({key[1] for key in still})
    if partitions and _holds_records(settings, still):
        return HealthVerdict(
            f"{kind}s", "stuck", f"records wait in partitions {partitions}, and nothing of them was committed in "
            f"{MOVES_SECONDS:.0f} s. Look into the log of the {kind} that holds them, and start it again",
        )  # fmt: skip
    return HealthVerdict(f"{kind}s", "getting on", behind=waiting)


def _holds_records(settings: Settings, places: Places) -> bool:
    """Whether there is anything but the marks of transactions, which nobody is given to read."""
    with kafka.reading(settings, "status", settings.group("status")) as reader:
        return any(
            any(True for _ in kafka.read_range(reader, settings.topic(topic), partition, begin))
            for (topic, partition), (begin, _) in places.items()
        )
