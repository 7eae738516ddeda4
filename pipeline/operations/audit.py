"""Compares the warehouse and the states with the log: every record has its row, once, and nothing else is there."""

import contextlib
from typing import Any

from pipeline.analysis import alerts
from pipeline.config import Settings
from pipeline.erasure.suppression_list import Suppressions
from pipeline.erasure.warehouse_search import left_over
from pipeline.sink import audit_states, cuts, lineage
from pipeline.sink.audit import aggregates, disagreements, examine
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
    findings = examine(settings, warehouse)
    conclusions = disagreements(settings, warehouse, bases)
    counts, erased = aggregates(warehouse), left_over(warehouse)
    states = audit_states.compare(settings, warehouse, cuts.taken(settings, bases), audit_states.everybody(warehouse))
    return {
        "ok": all(finding.ok for finding in findings)
        and not any(wrong for _, wrong in conclusions.values())
        and not any(erased.values())
        and all(one.ok for one in counts.values())
        and not any(one.wrong for one in states),
        "tables": [
            finding._asdict()
            | {"ok": finding.ok, "missing": [f"{partition}-{offset}" for partition, offset in finding.missing]}
            for finding in findings
        ],
        "conclusions": [
            {"conclusion": name, "compared": compared, "disagreeing": wrong, "ok": not wrong}
            for name, (compared, wrong) in conclusions.items()
        ],
        "aggregates": [
            {"aggregate": name, "counted": one.counted, "rows": one.rows, "ok": one.ok} for name, one in counts.items()
        ],
        "states": [
            {
                "topic": one.topic,
                "compared": one.compared,
                "not_yet": one.not_yet,
                "wrong": one.wrong,
                "ok": not one.wrong,
                "contradictions": [each._asdict() for each in one.named],
            }
            for one in states
        ],
        "outcomes_astray": alerts.astray(settings),
        "gaps": [gap._asdict() for gap in lineage.gaps(warehouse)],
        "erased_left": {table: count for table, count in erased.items() if count},
    }
