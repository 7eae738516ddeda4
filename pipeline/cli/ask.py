"""``loyalty ask``."""

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, DataDir, settings_of
from pipeline.commands import ask as asking
from pipeline.commands import output


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
    data_dir: DataDir = None,
    json_: AsJson = False,
) -> None:
    """Answer one of the questions analysts ask, or list them all."""
    if sum((csv is not None, parquet is not None, sql, json_)) > 1:
        raise typer.BadParameter("one of --csv, --parquet, --sql and --json at a time")
    if not words:
        output.as_json(asking.listed()) if json_ else asking.show_list()
        return
    question = asking.chosen(" ".join(words))
    if sql:
        output.say(question.sql)
        return
    asked = asking.Asked(settings_of(data_dir, running=True), question, dict(map(_pair, set_ or [])))
    if csv is not None or parquet is not None:
        asking.write(asked, "CSVWithNames" if csv is not None else "Parquet", csv or parquet or "", limit)
        return
    output.as_json(asking.as_data(asked, limit)) if json_ else asking.show(asked, limit or asking.SHOWN)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as days=180", param_hint="--set")
    return name.strip(), value.strip()
