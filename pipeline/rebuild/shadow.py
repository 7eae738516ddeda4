"""A second database, filled again from the topics, and the swap of the two.

Rules
-----
- The shadow has the live database's schema by the same migrations. Which tables hold what comes from the log is read
  from that schema: those that a sink writes, and those that materialized views fill from them. What was found out about
  their rows changes places with them: it is not true of others. Every other table is left alone.
- Views and materialized views stay where they are and name their tables; only tables change places, each pair at once
  (``EXCHANGE TABLES``). What is left to do after an interruption is told by the tables' UUIDs.
- What the topics do not hold any more is carried over from the live tables by its place in the log.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline.config import Settings
from pipeline.crashpoints import CrashPoints, Point
from pipeline.errors import Refused
from pipeline.sink import duplicates, start_checks
from pipeline.sink.maintenance import MARKER
from pipeline.sink.rows import TABLES
from pipeline.topics import BY_NAME
from pipeline.warehouse.client import Connecting, Warehouse, quoted
from pipeline.warehouse.migrations import migrate, shipped

STAGES = "rebuild_stages"
"""The table in the shadow that says how far the rebuild came."""
FINISHED = "swapped"
PLACE = ("_topic", "_partition", "_offset")
Offsets = Mapping[tuple[str, int], int]
"""An offset of each partition, by logical topic name and partition."""


class Shadow(NamedTuple):
    """A database that is being filled, and under which name its sink is known to Kafka."""

    settings: Settings
    warehouse: Warehouse
    epoch: str

    @property
    def group(self) -> str:
        """Its sink's own group. Another rebuild has another, so that it starts from the first records."""
        return group_of(self.epoch)


def group_of(epoch: str) -> str:
    """The group of the sink that fills the shadow of a rebuild."""
    return f"sink-rebuild-{epoch}"


def settings_of(settings: Settings) -> Settings:
    """The settings of the shadow."""
    return settings.with_changes(database=f"{settings.database[:56]}_rebuild", instance="")


def begun(settings: Settings, live: Warehouse, connecting: Connecting) -> Shadow:
    """The shadow of an interrupted rebuild where it can be gone on with, else a new one.

    Raises
    ------
    Refused
        The live warehouse was not brought up to this program's schema, or is another than a migration makes it.
    """
    _check_migrated(live)
    own = settings_of(settings)
    warehouse = connecting(own, create_database=True)
    stages = _stages(warehouse)
    if not stages or stages[-1][1] in (FINISHED, "carrying") or not _is_current(warehouse):
        live.command(f"DROP DATABASE {quoted(own.database)} SYNC")
        warehouse.close()
        warehouse = connecting(own, create_database=True)
        migrate(warehouse)
        _copy_others(live, warehouse)
        warehouse.command(
            f"CREATE TABLE {STAGES} (epoch String COMMENT 'Which rebuild this is', stage String COMMENT 'How far it "
            "came', at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When') ENGINE = MergeTree ORDER BY at "
            "COMMENT 'How far a rebuild came'"
        )
        stages = [(secrets.token_hex(4), "begun")]
        note(warehouse, *stages[0])
    start_checks.windows(warehouse)
    _check_same(live, warehouse)
    return Shadow(own, warehouse, stages[-1][0])


def note(warehouse: Warehouse, epoch: str, stage: str) -> None:
    """Remember that a stage was reached."""
    warehouse.insert(STAGES, {"epoch": "String", "stage": "String"}, [[epoch, stage]], f"{epoch}-{stage}")


def stage(shadow: Shadow) -> str:
    """The last stage that was reached."""
    return _stages(shadow.warehouse)[-1][1]


def _stages(warehouse: Warehouse) -> list[tuple[str, str]]:
    if not _has(warehouse, STAGES):
        return []
    return [(str(e), str(s)) for e, s in warehouse.query(f"SELECT epoch, stage FROM {STAGES} ORDER BY at").rows]  # noqa: S608 - a constant


def _has(warehouse: Warehouse, table: str) -> bool:
    return table in uuids(warehouse)


def uuids(warehouse: Warehouse) -> dict[str, str]:
    """The tables of a database with their UUIDs: an exchange of two tables exchanges these."""
    found = warehouse.query(
        "SELECT name, toString(uuid) FROM system.tables WHERE database = {d:String}", {"d": warehouse.database}
    )
    return {str(name): str(uuid) for name, uuid in found.rows}


def _check_migrated(live: Warehouse) -> None:
    if not _is_current(live):
        raise Refused("the warehouse has another schema than this program; start a sink once, it migrates it")


def _is_current(warehouse: Warehouse) -> bool:
    if not _has(warehouse, "schema_migrations"):
        return False
    applied = {(int(n), str(c)) for n, c in warehouse.query("SELECT number, checksum FROM schema_migrations").rows}
    return applied == {(migration.number, migration.checksum) for migration in shipped()}


def _copy_others(live: Warehouse, shadow: Warehouse) -> None:
    """Copy what does not come from the log: what is computed while the shadow is filled may rest on it."""
    ours = {*replaced(shadow), "schema_migrations"}
    for table in _with_rows(live):
        if table not in ours and _has(shadow, table):
            names = ", ".join(quoted(name) for name in columns(shadow, table) if name in columns(live, table))
            shadow.command(
                f"INSERT INTO {quoted(table)} ({names}) SELECT {names} FROM {quoted(live.database)}.{quoted(table)}"  # noqa: S608 - quoted names
            )


def _with_rows(warehouse: Warehouse) -> list[str]:
    found = warehouse.query(
        "SELECT name FROM system.tables WHERE database = {d:String} AND endsWith(engine, 'MergeTree') "
        "AND total_rows > 0",
        {"d": warehouse.database},
    )
    return [str(name) for (name,) in found.rows]


def columns(warehouse: Warehouse, table: str) -> dict[str, str]:
    """The columns of a table that hold what was inserted, with their types."""
    found = warehouse.query(
        "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String} "
        "AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position",
        {"d": warehouse.database, "t": table},
    )
    return {str(name): str(kind) for name, kind in found.rows}


def replaced(shadow: Warehouse) -> list[str]:
    """The tables that change places."""
    return [*start_checks.written(shadow), *duplicates.OWN]


def _check_same(live: Warehouse, shadow: Warehouse) -> None:
    for table in replaced(shadow):
        if _engine(live, table) != _engine(shadow, table):
            raise Refused(
                f"the live table {table} is a {_engine(live, table)}, the one made anew a {_engine(shadow, table)}; "
                "they cannot change places"
            )
        if _engine(live, table).startswith(("Replicated", "Shared")):
            raise Refused(f"{table} has replicas, and tables change places on one server only; nothing was changed")
        differ = {name for name, _ in columns(live, table).items() ^ columns(shadow, table).items()}
        if differ:
            raise Refused(
                f"the live table {table} has other columns than its migrations make ({', '.join(sorted(differ))}); put "
                "the change into a migration first, or it would be lost"
            )


def check_log(live: Warehouse, ends: Offsets) -> None:
    """Refuse where the warehouse knows records that the log has not got yet: it is not the log it was filled from.

    Raises
    ------
    Refused
        A row lies behind the end of its partition.
    """
    for table in placed(live, TABLES):
        for topic, partition, newest in live.query(
            "SELECT _topic, _partition, max(_offset) FROM {t:Identifier} GROUP BY ALL", {"t": table}
        ).rows:
            if int(newest) >= ends.get((str(topic), int(partition)), 0):
                raise Refused(
                    f"{table} holds rows of {topic}, partition {partition}, from behind the end of that partition: the "
                    "topics were made anew since. What they do not hold cannot come from them; nothing was changed"
                )


def placed(warehouse: Warehouse, tables: Iterable[str]) -> list[str]:
    """The tables whose rows say where their record lies in the log."""
    return [table for table in tables if set(PLACE) <= columns(warehouse, table).keys()]


def carry(live: Warehouse, shadow: Warehouse, first: Offsets, filled: Offsets) -> dict[str, int]:
    """Carry over rows whose records have left the topics; returns how many, by table.

    A table that a sink writes gets what lies before the ``first`` record of its partition; views feed the others from
    it. What a view made of states that compaction has removed since is in its own table only, and carried from there.
    """
    carried: dict[str, int] = {}
    written = start_checks.written(shadow)
    for table in sorted(placed(shadow, written), key=lambda name: name not in TABLES):
        for topic, partition in _partitions(live, table):
            compacted = BY_NAME[topic].compacted and table not in TABLES
            bound = (filled if compacted else first).get((topic, partition), 0)
            count = _carry(live, shadow, table, {"topic": topic, "partition": partition, "bound": bound})
            if count:
                carried[table] = carried.get(table, 0) + count
    return carried


def _partitions(live: Warehouse, table: str) -> list[tuple[str, int]]:
    found = live.query("SELECT DISTINCT _topic, _partition FROM {t:Identifier} ORDER BY ALL", {"t": table}).rows
    return [(str(topic), int(partition)) for topic, partition in found if str(topic) in BY_NAME]


def _carry(live: Warehouse, shadow: Warehouse, table: str, place: dict[str, object]) -> int:
    which = "_topic = {topic:String} AND _partition = {partition:UInt16} AND _offset < {bound:UInt64}"
    old, names = f"{quoted(live.database)}.{quoted(table)}", ", ".join(map(quoted, columns(shadow, table)))
    missing = f"FROM {old} WHERE {which} AND _offset NOT IN (SELECT _offset FROM {quoted(table)} WHERE {which})"  # noqa: S608 - quoted names
    count = int(shadow.value(f"SELECT count() {missing}", place))
    if count:
        shadow.command(f"INSERT INTO {quoted(table)} ({names}) SELECT {names} {missing}", place)
    return count


def fewer(live: Warehouse, shadow: Warehouse, filled: Offsets) -> dict[str, int]:
    """How many rows of records that the shadow has read stand in the live tables and not in its own, by table."""
    lost: dict[str, int] = {}
    for table in placed(shadow, TABLES):
        if "Replacing" in _engine(shadow, table):
            continue
        for topic, partition in _partitions(live, table):
            place = {"topic": topic, "partition": partition, "bound": filled.get((topic, partition), 0)}
            which = "_topic = {topic:String} AND _partition = {partition:UInt16} AND _offset < {bound:UInt64}"
            count = f"SELECT uniqExact(_offset) FROM {{db:Identifier}}.{quoted(table)} WHERE {which}"  # noqa: S608 - quoted names
            before, now = (int(shadow.value(count, place | {"db": w.database})) for w in (live, shadow))
            if now < before:
                lost[table] = lost.get(table, 0) + before - now
    return lost


def _engine(warehouse: Warehouse, table: str) -> str:
    return str(
        warehouse.value(
            "SELECT anyOrNull(engine) FROM system.tables WHERE database = {d:String} AND name = {t:String}",
            {"d": warehouse.database, "t": table},
        )
    )


def announce(live: Warehouse) -> None:
    """Ask the sinks to leave."""
    live.command(
        f"CREATE TABLE IF NOT EXISTS {MARKER} (epoch String COMMENT 'Which rebuild this is', `table` String COMMENT 'A "
        "table that changes places', uuid String COMMENT 'The UUID of its successor') ENGINE = MergeTree "
        "ORDER BY `table` COMMENT 'While this table exists, no sink writes: the tables are being swapped'"
    )


def withdraw(live: Warehouse) -> None:
    """Let the sinks go on."""
    live.command(f"DROP TABLE IF EXISTS {MARKER} SYNC")


def decide(live: Warehouse, shadow: Shadow) -> None:
    """Write down what changes places; from here on the swap is only ever finished."""
    successors = uuids(shadow.warehouse)
    rows = [[shadow.epoch, table, successors[table]] for table in replaced(shadow.warehouse)]
    live.insert(MARKER, {"epoch": "String", "table": "String", "uuid": "String"}, rows, f"swap-{shadow.epoch}")


def decided(live: Warehouse) -> list[tuple[str, str, str]]:
    """Epoch, table and UUID of its successor of everything that changes places; nothing when that is not decided."""
    if not _has(live, MARKER):
        return []
    return [(str(e), str(t), str(u)) for e, t, u in live.query(f"SELECT epoch, `table`, uuid FROM {MARKER}").rows]  # noqa: S608 - a constant


def exchange(live: Warehouse, database: str, swaps: Sequence[tuple[str, str, str]], crash: CrashPoints) -> None:
    """Put every successor into its place, those that are there already excepted."""
    for _, table, successor in swaps:
        if uuids(live).get(table) != successor:
            live.command(f"EXCHANGE TABLES {quoted(table)} AND {quoted(database)}.{quoted(table)}")
            crash.reached(Point.REBUILD_EXCHANGED)
