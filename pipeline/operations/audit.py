"""Compares the warehouse and the states with the log: every record has its row, once, and nothing else is there."""

import contextlib
from typing import Any

from pipeline.analysis import alerts
from pipeline.config import Settings
from pipeline.erasure.suppression_list import Suppressions
from pipeline.erasure.warehouse_search import left_over
from pipeline.sink import audit_states, cuts, lineage
from pipeline.sink.audit import Finding, aggregates, disagreements, examine
from pipeline.sink.audit_states import Compared
from pipeline.warehouse.client import connect


def collect(settings: Settings) -> dict[str, Any]:
    """What every table holds, what is wrong with it, and whether all is well.

    Raises
    ------
    Refused
        The rows come from other topics than there are now: nothing can be compared.
    """
    warehouse = connect(settings)
    with contextlib.closing(Suppressions(settings)) as suppressions:
        lineage.check(settings, suppressions, warehouse)
        bases = suppressions.incarnations.bases()
    parts = {
        "tables": [_table(finding) for finding in examine(settings, warehouse)],
        "conclusions": [
            {"conclusion": name, "compared": compared, "disagreeing": wrong, "ok": not wrong}
            for name, (compared, wrong) in disagreements(settings, warehouse, bases).items()
        ],
        "aggregates": [
            {"aggregate": name, "counted": one.counted, "rows": one.rows, "ok": one.ok}
            for name, one in aggregates(warehouse).items()
        ],
        "states": [
            _states(comparison)
            for comparison in audit_states.compare(
                settings, warehouse, cuts.taken(settings, bases), audit_states.everybody(warehouse)
            )
        ],
    }
    erased_left = {table: count for table, count in left_over(warehouse).items() if count}
    return {
        "ok": not erased_left and all(one["ok"] for part in parts.values() for one in part),
        **parts,
        "outcomes_astray": alerts.astray(settings),
        "gaps": [gap._asdict() for gap in lineage.gaps(warehouse)],
        "erased_left": erased_left,
    }


def _table(finding: Finding) -> dict[str, Any]:
    places = [f"{partition}-{offset}" for partition, offset in finding.missing]
    return finding._asdict() | {"ok": finding.ok, "missing": places}


def _states(comparison: Compared) -> dict[str, Any]:
    return {
        "topic": comparison.topic,
        "compared": comparison.compared,
        "not_yet": comparison.not_yet,
        "wrong": comparison.wrong,
        "ok": not comparison.wrong,
        "contradictions": [contradiction._asdict() for contradiction in comparison.named],
    }
