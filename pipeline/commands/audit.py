"""``loyalty audit``: is every record of the log in the warehouse, once, and nothing else; do the states count them."""

import contextlib
from typing import Any

from pipeline.commands import alerts, output
from pipeline.commands.tables import identity, prose
from pipeline.config import Settings
from pipeline.erasure.suppression_list import Suppressions
from pipeline.erasure.warehouse_search import left_over
from pipeline.sink import audit_states, cuts, lineage
from pipeline.sink.audit import aggregates, disagreements, examine
from pipeline.sink.audit_states import Contradiction
from pipeline.warehouse.client import connect

SHOWN = 5


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


def show(found: dict[str, Any]) -> None:
    """For a person: a line per table, and a sentence per conclusion and per aggregate."""
    output.table(
        [identity("table"), "topic", "records", "rows", "no row", "repeated", "missing", prose("verdict")],
        [
            [t["table"], t["topic"], t["records"], t["rows"], t["without_row"] - len(t["missing"]), t["repeated"],
             len(t["missing"]), _verdict(t)]
            for t in found["tables"]
        ],
    )  # fmt: skip
    for one in found["conclusions"]:
        verdict = "OK" if one["ok"] else f"{one['disagreeing']} CONTRADICT what they rest on"
        output.say(f"{one['conclusion']}: {one['compared']} compared, {verdict}.")
    for one in found["aggregates"]:
        verdict = "OK" if one["ok"] else f"but there are {one['rows']} ROWS"
        output.say(f"{one['aggregate']}: {one['counted']} records counted, {verdict}.")
    for one in found["states"]:
        _show_states(one)
    alerts.show_astray(found["outcomes_astray"])
    for gap in found["gaps"]:
        output.say(
            f"{gap['topic']}, partition {gap['partition']}: {gap['below'] - gap['first']} records from offset "
            f"{gap['first']} on were given up at {gap['accepted_at']} before the {gap['reader']} had read them."
        )
    for table, count in found["erased_left"].items():
        output.say(f"{table}: {count} rows of customers who were erased; run their erasure again.")


def _show_states(one: dict[str, Any]) -> None:
    """What the states say about a topic's events: a sentence, and the customers where they are wrong."""
    later = f" ({one['not_yet']} not yet: their newest events are on their way)" if one["not_yet"] else ""
    verdict = "OK" if one["ok"] else f"{one['wrong']} CONTRADICT their events"
    output.say(f"states and {one['topic']}: {one['compared']} customers compared{later}, {verdict}.")
    for contradiction in one["contradictions"][:SHOWN]:
        output.say(f"  {Contradiction(**contradiction)}")


def _verdict(table: dict[str, Any]) -> str:
    wrong = []
    if table["repeated"]:
        wrong.append(f"{table['repeated']} rows stand there twice")
    if table["missing"]:
        places = ", ".join(table["missing"][:SHOWN])
        wrong.append(f"{len(table['missing'])} are missing, partition-offset {places}")
    return "; ".join(wrong) or "OK"
