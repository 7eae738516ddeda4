"""Prints an audit."""

from typing import Any

from pipeline.cli.printing import output
from pipeline.cli.printing.alerts import show_astray
from pipeline.cli.printing.tables import identity, prose
from pipeline.sink.audit_states import Contradiction

SHOWN = 5


def show(report: dict[str, Any]) -> None:
    """For a person: a line per table, and a sentence per conclusion and per aggregate."""
    output.table(
        [identity("table"), "topic", "records", "rows", "no row", "repeated", "missing", prose("verdict")],
        [
            [t["table"], t["topic"], t["records"], t["rows"], t["without_row"] - len(t["missing"]), t["repeated"],
             len(t["missing"]), _verdict(t)]
            for t in report["tables"]
        ],
    )  # fmt: skip
    for one in report["conclusions"]:
        verdict = "OK" if one["ok"] else f"{one['disagreeing']} CONTRADICT what they rest on"
        output.say(f"{one['conclusion']}: {one['compared']} compared, {verdict}.")
    for one in report["aggregates"]:
        verdict = "OK" if one["ok"] else f"but there are {one['rows']} ROWS"
        output.say(f"{one['aggregate']}: {one['counted']} records counted, {verdict}.")
    for one in report["states"]:
        _show_states(one)
    show_astray(report["outcomes_astray"])
    for gap in report["gaps"]:
        output.say(
            f"{gap['topic']}, partition {gap['partition']}: {gap['below'] - gap['first']} records from offset "
            f"{gap['first']} on were given up at {gap['accepted_at']} before the {gap['reader']} had read them."
        )
    for table, count in report["erased_left"].items():
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
