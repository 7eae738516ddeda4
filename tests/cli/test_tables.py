"""Tables at every width: what identifies a row and its figures stay whole, prose gives way, and what acts is inert.

The files in ``tables/`` hold how they look; ``LOYALTY_TEST_WRITE=1`` writes them, for a person to look at.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from pipeline.cli.printing import output, tables
from pipeline.cli.printing.tables import Column, drawn, figure, identity, prose
from pipeline.config import SETTINGS

FILES = Path(__file__).parent / "tables"
WIDTHS = (60, 80, 120, 200, 250, None)
WHY = (
    "(synthetic) The problem is not solved. They had to contact us 3 times about it within 30 days. They were passed "
    "on 4 times. They had to say it again. In their favour: 2 earlier repeat purchases."
)
Case = tuple[Sequence[str | Column], Sequence[Sequence[str]]]
ALERTS: Case = (
    [identity("alert"), identity("customer"), "raised", "severity", "risk", prose("why", cut=True)],
    [
        ["822c809b0d38", "02324", "1997-03-07", "critical", "98%", WHY],
        ["0611aa17b2c4", "顧客四十二番様", "2026-11-01", "medium", "41%", "They asked to cancel."],
        ["9b0d38822c80", "שלום-17", "2026-11-02", "high", "62%", WHY[:90]],
        ["38822c809b0d", "\x1b[31mred\u202eolleh", "2026-11-03", "high", "60%", "ö" * 70],
        ["17b2c40611aa", "👩‍🚀 Ünal", "2026-11-04", "low", "6%", ""],
    ],
)
MANY: Case = (
    [identity("origin"), *map(figure, ("issues", "contacts_per_issue", "first_contact_resolution",
     "first_contact_resolution_low", "first_contact_resolution_high", "agents_claim", "still open to change",
     "repeats_7_days_per_issue", "waiting_minutes_per_contact", "days_to_resolution"))],
    [
        ["delivery", "1204", "1.82", "0.613", "0.585", "0.64", "0.702", "31", "0.402", "12.25", "3.1"],
        ["product_or_service", "96", "2.1", "0.5", "0.402", "0.598", "0.61", "2", "0.51", "8", ""],
    ],
)  # fmt: skip
LONG_IDS: Case = (
    [identity("customer_id"), identity("alert_id"), figure("amount")],
    [["c-" + "7" * 40, "a-" + "0" * 40, "12,345.67"], ["short", "a-1", "0.10"]],
)
LISTED: Case = (["setting", prose("default"), prose("meaning")], [list(map(str, row)) for row in SETTINGS[:8]])
CASES: dict[str, Case] = {
    "alerts": ALERTS,
    "many-figures": MANY,
    "long-ids": LONG_IDS,
    "settings": LISTED,
    "nothing": (ALERTS[0], []),
}


def lines(name: str, width: int | None) -> list[str]:
    columns, rows = CASES[name]
    cells = [[output.clean(value) for value in row] for row in rows]
    return list(drawn(tables.declared(columns), cells, width))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CASES)
def test_a_table_looks_as_it_was_looked_at(name: str, width: int | None) -> None:
    file = FILES / f"{name}-{width or 'file'}.txt"
    text = "\n".join(lines(name, width)) + "\n"
    if os.environ.get("LOYALTY_TEST_WRITE"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", range(60, 260, 7))
@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_the_terminal_and_no_id_or_figure_is_cut(name: str, width: int) -> None:
    columns, rows = CASES[name]
    found = lines(name, width)
    assert [line for line in found if cell_len(line) > width] == []
    for row in rows:
        whole = [c for c, column in zip(row, tables.declared(columns), strict=True) if "prose" not in column.kind]
        for value in whole:
            assert any(output.clean(value) in line for line in found), value


def test_the_identity_is_repeated_where_a_table_is_continued() -> None:
    found = [line for line in lines("many-figures", 60) if line.startswith(" delivery")]
    assert len(found) > 1
    assert sum(len(line.split()) - 1 for line in found) == len(MANY[0]) - 1


def test_columns_stand_below_their_names_whatever_letters_an_id_has() -> None:
    _, head, _, *rows, _ = lines("alerts", None)
    place = cell_len(head[: head.index("raised")])
    for line in rows:
        before = next(line[:n] for n in range(len(line)) if cell_len(line[:n]) == place)
        assert line[len(before) : len(before) + 2] in ("19", "20"), line


def test_in_a_file_there_is_one_line_a_row_without_anything_that_acts() -> None:
    for name, (_, rows) in CASES.items():
        found = lines(name, None)
        assert len(found) == len(rows) + 4
        assert all(character.isprintable() for line in found for character in line)


@pytest.mark.parametrize(
    ("type_", "values", "kind"),
    [
        ("String", ["42", "43"], "identity"),
        ("Nullable(UInt64)", [1, None], "figure"),
        ("Decimal(18, 4)", ["1.5"], "figure"),
        ("Date", ["2026-01-01"], "identity"),
        ("String", ["They had to say it again, three times."], "prose"),
        ("Array(String)", [["attachment", "recommendation", "ease"]], "prose"),
    ],
)
def test_what_a_column_of_an_answer_is(type_: str, values: list[object], kind: str) -> None:
    assert tables.of_answer(["x"], [type_], [[value] for value in values]) == [Column("x", kind)]  # type: ignore[arg-type]
