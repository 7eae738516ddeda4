"""``loyalty rebuild --warehouse``: every table that comes from the log, filled again in a second database, and swapped.

The order carries the guarantee; killed at any step, the next run goes on with it:

1. a shadow database is made by the migrations, and a sink of a group of its own fills it from the topics; the live
   sinks and everybody who reads go on
2. rows whose records have left the topics are carried over from the live tables
3. the audit compares the shadow with the log, and repeated records are looked for in it
4. the sinks are asked to leave; once none is in their group, the shadow is brought to where they were or beyond
5. what changes places is written down; from here on the swap is only finished, never taken back
6. the tables change places
7. the sinks' group goes to where the shadow's was, and the sinks go on
8. the old tables are dropped

No message is sent to anybody in any of this: the topics are only read.
"""

import contextlib
import os
from typing import NamedTuple

from pipeline import continuity, kafka, logs
from pipeline.config import Settings
from pipeline.continuity import Topics
from pipeline.crashpoints import CrashPoints, Point
from pipeline.erasure.suppression_list import Suppressions
from pipeline.erasure.warehouse_search import left_over
from pipeline.errors import Refused
from pipeline.kafka.incarnations import Bases
from pipeline.progress import OnStage
from pipeline.rebuild import shadow, shadow_sink
from pipeline.rebuild.shadow import Offsets, Shadow
from pipeline.sink import duplicates, lineage
from pipeline.sink.app import GROUP
from pipeline.sink.audit import examine
from pipeline.topics import TOPICS
from pipeline.warehouse.client import Warehouse, connect, quoted

NEWEST = 20_000
"""How far back is audited again after the sinks left."""
"""Told what is done, how many records of it are, and of how many."""


class RebuiltTables(NamedTuple):
    """The result of a rebuild."""

    tables: list[str]
    carried: dict[str, int]
    """Rows that only the old tables had, by table; views filled others from them."""
    fewer: dict[str, int]
    """Rows that are not made any more, by table."""


def rebuild(settings: Settings, progress: OnStage, *, accept_fewer: bool = False) -> RebuiltTables:
    """Fill every table again and swap; goes on with what was interrupted.

    Raises
    ------
    Refused
        Something would be lost, or is not as it should be; the live tables are as they were.
    """
    logs.errors_only()
    kafka.verify_topics(settings)
    crash = CrashPoints.from_env(os.environ)
    live = connect(settings)
    try:
        if swaps := shadow.decided(live):
            shadow_sink.wait_for_sinks(settings)
            return _finish(settings, live, swaps, {}, {}, crash)
        shadow.withdraw(live)  # it was announced and never decided
        fresh = shadow.begun(settings, live, connect)
        with contextlib.closing(Suppressions(settings)) as suppressions:
            topics = continuity.agreed(settings, suppressions, "sink", lineage.passed(live, "sink"))
        shadow.check_log(live, numbered(_ends(settings), topics.bases))
        return _fill_and_swap(settings, live, fresh, topics, progress, crash, accept_fewer=accept_fewer)
    finally:
        live.close()


def numbered(offsets: Offsets, bases: Bases) -> Offsets:
    """The broker's offsets as the tables count them."""
    return {key: bases.get(key[0], 0) + offset for key, offset in offsets.items()}


def _ends(settings: Settings) -> dict[tuple[str, int], int]:
    return {key: end for key, (_, end) in kafka.end_offsets(settings, TOPICS).items()}


def _firsts(settings: Settings) -> dict[tuple[str, int], int]:
    return {key: low for key, (low, _) in kafka.end_offsets(settings, TOPICS).items()}


def _fill_and_swap(
    settings: Settings,
    live: Warehouse,
    fresh: Shadow,
    topics: Topics,
    progress: OnStage,
    crash: CrashPoints,
    *,
    accept_fewer: bool,
) -> RebuiltTables:
    if kafka.members(settings, settings.group(fresh.group)):
        raise Refused("another rebuild runs, or was killed a moment ago; wait for it, and try again in a minute")
    with shadow_sink.filling(fresh, connect, topics) as running:  # 1
        shadow_sink.follow(fresh, running, lambda: _written(settings), lambda n, of: progress("filling", n, of))
    crash.reached(Point.REBUILD_FILLED)
    carried = _carry(settings, live, fresh, topics.bases)  # 2
    crash.reached(Point.REBUILD_CARRIED)
    _audit(fresh)  # 3
    duplicates.search(fresh.warehouse, shadow_sink.filled(settings, fresh.group), topics.bases)
    lost = shadow.fewer(live, fresh.warehouse, numbered(shadow_sink.filled(settings, fresh.group), topics.bases))
    if lost and not accept_fewer:
        many = ", ".join(f"{count} of {table}" for table, count in lost.items())
        raise Refused(f"rows would be lost that no record makes any more: {many}. If that is meant: --accept-fewer")
    shadow.announce(live)  # 4
    try:
        with shadow_sink.filling(fresh, connect, topics) as running:
            shadow_sink.wait_for_sinks(settings)
            shadow_sink.follow(fresh, running, lambda: _written(settings), lambda n, of: progress("catching up", n, of))
        if shadow_sink.has_intents(settings, fresh.group):
            raise Refused("the last batch was not finished; run this again, it goes on")
        _audit(fresh, NEWEST)
        _check_erased(fresh)
        crash.reached(Point.REBUILD_SWAPPING)
        shadow.decide(live, fresh)  # 5
    except BaseException:
        if not shadow.decided(live):
            shadow.withdraw(live)
        raise
    return _finish(settings, live, shadow.decided(live), carried, lost, crash)


def _written(settings: Settings) -> Offsets:
    """Up to where the live tables are written."""
    return shadow_sink.filled(settings, GROUP)


def _carry(settings: Settings, live: Warehouse, fresh: Shadow, bases: Bases) -> dict[str, int]:
    """Step 2, at most once: killed in the middle of it, the shadow is made again."""
    if shadow.stage(fresh) == "carried":
        return {}
    shadow.note(fresh.warehouse, fresh.epoch, "carrying")
    first, filled = (numbered(o, bases) for o in (_firsts(settings), shadow_sink.filled(settings, fresh.group)))
    carried = shadow.carry(live, fresh.warehouse, first, filled)
    shadow.note(fresh.warehouse, fresh.epoch, "carried")
    return carried


def _audit(fresh: Shadow, newest: int | None = None) -> None:
    wrong = [f for f in examine(fresh.settings, fresh.warehouse, newest, fresh.group) if not f.ok]
    if wrong:
        raise Refused(
            f"the shadow of {wrong[0].table} is not what the log says ({wrong[0].repeated} rows repeated, "
            f"{len(wrong[0].missing)} missing); the live tables are as they were. Drop the database "
            f"{fresh.settings.database} and run this again"
        )


def _check_erased(fresh: Shadow) -> None:
    """Rows that were carried over may be of somebody who was erased since."""
    if any(left_over(fresh.warehouse).values()):
        raise Refused(
            f"a customer was erased meanwhile, and the shadow still has rows of theirs; the live tables are as they "
            f"were. Drop the database {fresh.settings.database} and run this again"
        )


def _finish(
    settings: Settings,
    live: Warehouse,
    swaps: list[tuple[str, str, str]],
    carried: dict[str, int],
    lost: dict[str, int],
    crash: CrashPoints,
) -> RebuiltTables:
    """Steps 6 to 8."""
    own = shadow.settings_of(settings)
    epoch = swaps[0][0]
    group = shadow.group_of(epoch)
    shadow.exchange(live, own.database, swaps, crash)  # 6
    shadow_sink.hand_over(settings, shadow_sink.filled(settings, group))  # 7
    crash.reached(Point.REBUILD_COMMITTED)
    other = connect(own, create_database=True)
    shadow.note(other, epoch, shadow.FINISHED)
    other.close()
    shadow.withdraw(live)
    live.command(f"DROP DATABASE IF EXISTS {quoted(own.database)} SYNC")  # 8
    shadow_sink.forget(settings, group)
    return RebuiltTables([table for _, table, _ in swaps], carried, lost)
