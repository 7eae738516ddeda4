"""Finds old parts on the warehouse's disk that queries no longer see: rewritten parts and detached parts.

A deletion writes a part again without the rows. The old part is inactive then, and the engine removes it when its
cleaning comes round: after minutes in an idle server, for it sleeps longer the less there is to do. An erasure does not
wait for that; it wakes the cleaning up and looks until the parts are gone.
"""

import re
from collections.abc import Collection, Mapping
from operator import not_
from typing import NamedTuple

from pipeline.errors import Transient
from pipeline.waiting import wait_until
from pipeline.warehouse.client import Warehouse, quoted
from pipeline.warehouse.failures import QueryFailed

SECONDS = 60.0
"""How long the engine may take; measured: 2 s in the embedded one."""
_PARTS = """
    SELECT table, name FROM system.parts
    WHERE database = {d:String} AND table IN {tables:Array(String)} AND NOT active AND _state != 'Temporary'
"""
_LIFETIME = """
    SELECT name, engine_full, (SELECT value FROM system.merge_tree_settings WHERE name = 'old_parts_lifetime')
    FROM system.tables WHERE database = {d:String} AND name IN {tables:Array(String)}
"""
_DETACHED = "SELECT count() FROM system.detached_parts WHERE database = {d:String} AND table IN {tables:Array(String)}"

Part = tuple[str, str]


class OnDisk(NamedTuple):
    """What an erasure verified of the disk."""

    old_parts: int
    """Parts that were written again and are still there."""
    detached_parts: int
    """Parts that somebody, or a start after damage, has put aside; no statement reaches their rows."""


def removed(warehouse: Warehouse, tables: Collection[str], seconds: float = SECONDS) -> OnDisk:
    """Have the engine remove the inactive parts that tables have now, and look until it has.

    Where it may not be told to, or takes longer, the answer says how many are left.
    """
    asked = {"d": warehouse.database, "tables": sorted(tables)}
    changed = _without_delay(warehouse, asked)
    try:
        left = _gone(warehouse, asked, seconds)
    finally:
        for table, before in changed.items():
            change = f"MODIFY SETTING old_parts_lifetime = {before}" if before else "RESET SETTING old_parts_lifetime"
            warehouse.command(f"ALTER TABLE {quoted(table)} {change}")
    return OnDisk(len(left), int(warehouse.value(_DETACHED, asked)))


def _gone(warehouse: Warehouse, asked: Mapping[str, object], seconds: float) -> set[Part]:
    """Those of the inactive parts that are still there when all are gone, or time is up."""
    mine = _inactive(warehouse, asked)

    def left() -> set[Part]:
        here = mine and mine & _inactive(warehouse, asked)
        _wake(warehouse, {table for table, _ in here})
        return here

    return wait_until(left, not_, seconds=seconds, pause=0.2)


def _inactive(warehouse: Warehouse, asked: Mapping[str, object]) -> set[Part]:
    return {(str(table), str(name)) for table, name in warehouse.query(_PARTS, asked).rows}


def _wake(warehouse: Warehouse, tables: Collection[str]) -> None:
    """Have the cleaning run now; who may not say so waits for it."""
    for table in sorted(tables):
        try:
            warehouse.command(f"SYSTEM START CLEANUP {quoted(warehouse.database)}.{quoted(table)}")
        except (QueryFailed, Transient):
            return


def _without_delay(warehouse: Warehouse, asked: Mapping[str, object]) -> dict[str, str]:
    """Let inactive parts be due at once; returns what tables were changed, and what they said before themselves."""
    changed = {}
    for table, engine, default in warehouse.query(_LIFETIME, asked).rows:
        own = re.search(r"\bold_parts_lifetime = (\d+)", engine)
        if int(own[1] if own else default) > 0:
            try:
                warehouse.command(f"ALTER TABLE {quoted(table)} MODIFY SETTING old_parts_lifetime = 0")
            except QueryFailed:
                continue  # it is not ours to change: the parts stay as long as it says
            changed[str(table)] = own[1] if own else ""
    return changed
