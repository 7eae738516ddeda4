"""Prints the result of an import."""

from pipeline.cli.printing import output
from pipeline.cli.printing.tables import identity, prose
from pipeline.importing.run import ImportResult

SHOWN = 8


def show(imported: ImportResult, *, dry: bool) -> None:
    """What came of it, for a person."""
    checked = imported.checked
    for warning in checked.warnings:
        output.say(f"Warning: {warning}.")
    if checked.same_id:
        output.say(
            f"Warning: about {checked.same_id} rows have the event id of an earlier row and count once; if they are "
            'events of their own, make ids of what stands in the row: [event_id] columns = "all".'
        )
    if checked.rejects:
        output.table(
            ["rows", identity("reason"), prose("detail"), "column", "first row"],
            [
                [count, *why, checked.columns.get(why[1], ""), checked.first_rejects[why]]
                for why, count in checked.rejects.most_common(SHOWN)
            ],
        )  # fmt: skip
    span = f"from {checked.earliest:%Y-%m-%d} to {checked.latest:%Y-%m-%d}" if checked.earliest else ""
    money = ", ".join(f"{count} in {currency}" for currency, count in checked.currencies.most_common())
    refunds = f"; {checked.refunds} refunds beside them" if checked.refunds else ""
    output.say(f"{checked.rows} rows: {checked.good} fit, {span}{'; ' + money if money else ''}{refunds}.")
    for why, count in checked.left_out.most_common():
        output.say(f"{count} rows are left out: {why}.")
    if imported.rejects:
        output.say(f"{checked.rejected} rows do not fit; which and why: {imported.rejects}")
    if dry:
        output.say(f"Nothing was sent. Without --dry-run {checked.events} events would go to {imported.topic}.")
    else:
        before = f"; {imported.found} were there already" if imported.found else ""
        output.say(f"Sent {imported.sent} events to {imported.topic}{before}.")
