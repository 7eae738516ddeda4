"""``loyalty ask`` and ``loyalty query``: the cookbook's questions, and any other in SQL."""

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, At, DataDir, example, settings_of

commands = typer.Typer()


@commands.command("ask", epilog=example("loyalty ask captive"))
def ask(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORDS]", help="A question by name, number or words; the list of all without."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the question, such as days=180."),
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write CSV to this file; - is standard output.")
    ] = None,
    parquet: Annotated[
        str | None, typer.Option("--parquet", metavar="FILE", help="Write Parquet to this file.")
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Show the query instead of asking it.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many rows; a table has 100 without.", show_default=False)
    ] = None,
    at: At = None,
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Answer one of the questions analysts ask, or list them all."""
    if sum((csv is not None, parquet is not None, sql, json_)) > 1:
        raise typer.BadParameter("one of --csv, --parquet, --sql and --json at a time")
    from pipeline.analysis import answers
    from pipeline.cli.printing import answers as printing
    from pipeline.cli.printing import output

    if not words:
        output.as_json(answers.listed()) if json_ else printing.show_list()
        return
    question = answers.chosen(" ".join(words))
    if sql:
        output.say(question.sql)
        return
    given = dict(map(_pair, set_ or []))
    if at is not None and given.setdefault("at", at.isoformat()) != at.isoformat():
        raise typer.BadParameter("name the moment once: --at TIME, or --set at=TIME")
    asked = answers.AskedQuestion(settings_of(data_dir, running=True), question, given)
    if csv is not None or parquet is not None:
        printing.write(asked, "CSVWithNames" if csv is not None else "Parquet", csv or parquet or "", limit)
        return
    output.as_json(answers.as_data(asked, limit)) if json_ else printing.show(asked, limit or printing.SHOWN)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as days=180", param_hint="--set")
    return name.strip(), value.strip()


@commands.command("query", epilog=example('loyalty query "SELECT count() FROM purchases"'))
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A query; it can only read.")],
    data_dir: DataDir = None,
    json_: AsJson = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many rows; 100 unless --json.", show_default=False)
    ] = None,
) -> None:
    """Ask the warehouse one question in SQL; nothing can be changed this way."""
    from pipeline.cli.printing import output
    from pipeline.cli.printing.tables import of_answer
    from pipeline.warehouse.client import connect

    shown = limit or (None if json_ else 100)
    answer = connect(settings_of(data_dir, running=True)).query(sql, read_only=True, limit=shown and shown + 1)
    rows = answer.rows[:shown]
    if json_:
        output.as_json(answer._replace(rows=rows).named())
        return
    output.table(of_answer(answer.columns, answer.types, rows), rows)
    if len(answer.rows) > len(rows):
        output.say(f"These are the first {len(rows)} rows; --limit shows more.")
