"""``loyalty audit``: is every record of the log in the warehouse, once, and nothing else."""

from typing import Any

from pipeline.commands import output
from pipeline.config import Settings
from pipeline.sink.audit import aggregates, disagreements, examine
from pipeline.sink.erasure import left_over
from pipeline.sink.warehouse import connect

SHOWN = 5


def collect(settings: Settings) -> dict[str, Any]:
    """What every table holds, what is wrong with it, and whether all is well."""
    warehouse = connect(settings)
    findings = examine(settings, warehouse)
    conclusions = disagreements(warehouse)
    counts, erased = aggregates(warehouse), left_over(warehouse)
    return {
        "ok": all(finding.ok for finding in findings)
        and not any(wrong for _, wrong in conclusions.values())
        and not any(erased.values())
        and all(counted == rows for counted, rows in counts.values()),
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
            {"aggregate": name, "counted": counted, "rows": rows, "ok": counted == rows}
            for name, (counted, rows) in counts.items()
        ],
        "erased_left": {table: count for table, count in erased.items() if count},
    }


def show(found: dict[str, Any]) -> None:
    """For a person: a line per table, and a sentence per conclusion and per aggregate."""
    output.table(
        ["table", "topic", "records", "rows", "no row", "repeated", "missing", "verdict"],
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
    for table, count in found["erased_left"].items():
        output.say(f"{table}: {count} rows of customers who were erased; run their erasure again.")


def _verdict(table: dict[str, Any]) -> str:
    wrong = []
    if table["repeated"]:
        wrong.append(f"{table['repeated']} rows stand there twice")
    if table["missing"]:
        places = ", ".join(table["missing"][:SHOWN])
        wrong.append(f"{len(table['missing'])} are missing, partition-offset {places}")
    return "; ".join(wrong) or "OK"
