"""What files hold beside good rows: byte order marks, encodings, quotation marks, headings, formats, days."""

import json
from pathlib import Path

import orjson
import pytest

from pipeline.core.contract.events import Purchase
from pipeline.errors import Refused
from pipeline.importing import mapping
from tests.importing.files import HEADING, ROW, SHOP, Trial, shop

LINE = {"no": "1", "who": "Jürgen", "day": "05.03.2020 09:30", "paid": "1.234,50", "via": None}


def encoded(form: str, encoding: str) -> str:
    return form.replace("[file]\n", f'[file]\nencoding = "{encoding}"\n')


ENCODINGS = {
    "utf-8 with a mark": ("utf-8", "utf-8-sig"), "UTF_8 with a mark": ("UTF_8", "utf-8-sig"), "utf8": ("utf8", "utf-8"),
    "windows-1252": ("windows-1252", "windows-1252"), "utf-16 with a mark": ("utf-16", "utf-16"),
    "utf-16-le with a mark": ("utf-16-le", "utf-16"), "utf-32": ("utf-32", "utf-32"),
}  # fmt: skip


@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
@pytest.mark.parametrize(("said", "written"), ENCODINGS.values(), ids=ENCODINGS)
def test_every_encoding_can_be_named_for_every_kind_of_text(tmp_path: Path, name: str, said: str, written: str) -> None:
    text = (
        HEADING + ROW.replace("c-1", "Jürgen") if name.endswith("csv") else json.dumps(LINE, ensure_ascii=False) + "\n"
    )
    _, made = Trial(tmp_path, encoded(SHOP, said), name, text.encode(written)).run()
    assert [m.event.customer_id for m in made] == ["Jürgen"]


def test_a_mapping_with_a_byte_order_mark_is_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SHOP.encode())
    assert mapping.read(path).kind == "purchase"


@pytest.mark.parametrize("name", ["utf-99", "base64", ""])
def test_an_encoding_that_is_none_is_refused_before_the_file_is_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="no encoding is called"):
        Trial(tmp_path, encoded(SHOP, name), "orders.csv", b"x").run()


FORMATS = {
    "half of the day twice": ("%d.%m.%Y %H:%M %p", "%p counts for hours of 12 only"),
    "half of a day unsaid": ("%d.%m.%Y %I:%M", "%p with %I"),
    "letters of a zone": ("%d.%m.%Y %H:%M %Z", "export offsets"),
    "no year": ("%d.%m. %H:%M", "does not say which moment"),
    "no day": ("%m.%Y", "does not say which moment"),
    "minutes without hours": ("%d.%m.%Y %M", "does not say which moment"),
    "a part twice": ("%d.%m.%Y %Y", "each once"),
    "no such part": ("%d.%m.%Y %Q", "each once"),
    "half a part": ("%d.%m.%Y %", "each once"),
    "a part of another language": ("%-d.%m.%Y", "each once"),
    "nothing": ("", "does not say which moment"),
}


@pytest.mark.parametrize(("form", "said"), FORMATS.values(), ids=FORMATS)
def test_a_format_that_cannot_be_meant_is_refused(tmp_path: Path, form: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        shop(tmp_path, ROW, SHOP.replace("%d.%m.%Y %H:%M", form)).run()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y", "%d.%m.%y %H:%M", "%d %b %Y %I:%M:%S %p", "%Y-%jT%H", "%G-W%V-%u", "%m/%d/%Y, %H:%M:%S.%f"]
)
def test_a_format_that_can_be_meant_is_taken(tmp_path: Path, form: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(SHOP.replace("%d.%m.%Y %H:%M", form))
    assert mapping.read(path).fields["occurred_at"].format == form


DAYS = {
    "a usual one": ("America/Sao_Paulo", "03.11.2018", "2018-11-03T03:00:00+00:00"),
    "one that began at one": ("America/Sao_Paulo", "04.11.2018", "2018-11-04T03:00:00+00:00"),
    "one that began twice": ("America/Havana", "04.11.2018", "2018-11-04T04:00:00+00:00"),
    "one that was left out": ("Pacific/Apia", "30.12.2011", None),
}


@pytest.mark.parametrize("form", ["%d.%m.%Y", None])
@pytest.mark.parametrize(("zone", "day", "meant"), DAYS.values(), ids=DAYS)
def test_a_date_is_the_beginning_of_its_day(
    tmp_path: Path, zone: str, day: str, meant: str | None, form: str | None
) -> None:
    if form is None:
        day = "-".join(reversed(day.split(".")))
    said = f'format = "{form}", ' if form else ""
    mapping_ = SHOP.replace('format = "%d.%m.%Y %H:%M", zone = "Europe/Berlin"', f'{said}zone = "{zone}"')
    good = "01.01.2018" if form else "2018-01-01"
    checked, made = shop(
        tmp_path, "".join(ROW.replace("05.03.2020 09:30", each) for each in (good, day)), mapping_
    ).run()
    if meant is None:
        assert "clocks skipped it" in next(iter(checked.rejects))[1]
    else:
        assert orjson.loads(made[1].value)["occurred_at"] == meant


def test_headings_that_nobody_maps_may_be_empty_or_come_twice(tmp_path: Path) -> None:
    rows = ROW.rstrip() + ";a;b;;\n"
    assert shop(tmp_path, rows, SHOP, HEADING.rstrip() + ";note;note;;\n").run()[0].good == 1


def test_of_two_columns_of_one_name_the_mapping_says_which(tmp_path: Path) -> None:
    rows, heading = ROW.rstrip() + ";c-9\n", HEADING.rstrip() + ";who\n"
    with pytest.raises(Refused, match=r'"who \(1\)" or "who \(2\)"'):
        shop(tmp_path, rows, SHOP, heading).run()
    _, made = shop(tmp_path, rows, SHOP.replace('"who"', '"who (2)"'), heading).run()
    assert made[0].event.customer_id == "c-9"


def test_separators_at_the_end_of_every_row_are_no_fields(tmp_path: Path) -> None:
    assert shop(tmp_path, ROW.rstrip() + ";;\n").run()[0].good == 1
    assert shop(tmp_path, ROW + ROW.rstrip() + ";;x\n").run()[0].rejected == 1


ODD = {
    "a long cell": ("x" * 140_000, 0),
    "a cell that is too long": ("x" * 1_100_000, 1),
    "a quotation mark inside": ('"She said "hi""', 1),
    "a mark as MySQL writes it": (r'"She said \"hi\""', 1),
}


@pytest.mark.parametrize(("cell", "rejected"), ODD.values(), ids=ODD)
def test_an_odd_cell_costs_its_row_at_most(tmp_path: Path, cell: str, rejected: int) -> None:
    rows = "".join([ROW, ROW.replace("Telefon", cell), ROW.replace("c-1", "c-3")])
    checked, made = shop(tmp_path, rows).run()
    assert (checked.rejected, made[-1].event.customer_id) == (rejected, "c-3")


def test_the_mark_that_mysql_writes_can_be_said(tmp_path: Path) -> None:
    said = SHOP.replace("[file]\n", "[file]\nescape = '\\'\n")
    assert shop(tmp_path, ROW.replace("Telefon", r'"She said \"hi\"; twice"'), said).run()[0].good == 1


def test_a_quotation_mark_that_swallows_rows_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = [ROW, ROW.replace("Telefon", '"not closed'), *[ROW] * 3, ROW.replace("Telefon", '"closed" by chance'), ROW]
    with pytest.raises(Refused, match=r"from line 3 on: a quotation mark is not closed"):
        shop(tmp_path, "".join(rows)).run()


def test_a_first_line_may_say_what_separates(tmp_path: Path) -> None:
    trial = shop(tmp_path, ROW.replace(";", "|"), SHOP, "\ufeffsep=|\n" + HEADING.replace(";", "|"))
    assert trial.run()[0].good == 1


def test_a_totals_line_at_the_end_is_no_row(tmp_path: Path) -> None:
    said = SHOP.replace("[file]\n", "[file]\nfooter = 1\n")
    checked, _ = shop(tmp_path, ROW + "Summe;;;1.234,50", said).run()
    assert (checked.good, checked.rejected, dict(checked.left_out)) == (1, 0, {"at the end of the file": 1})


def test_an_optional_column_may_be_empty_in_every_row(tmp_path: Path) -> None:
    said = SHOP + 'refund_of = "back.of"\n'
    row = {name: value or "x" for name, value in LINE.items()}
    content = b"".join(orjson.dumps(row | {"back": back}) + b"\n" for back in ({"of": None}, None))
    assert Trial(tmp_path, said, "orders.jsonl", content).run()[0].good == 2
    with pytest.raises(Refused, match=r"no row of the file has back\.off"):
        Trial(tmp_path, said.replace("back.of", "back.off"), "orders.jsonl", content).run()


BLANK_IDS = ["", "   ", "\u00a0", "\t"]


@pytest.mark.parametrize("own", BLANK_IDS)
def test_a_blank_id_is_none_also_behind_a_prefix(tmp_path: Path, own: str) -> None:
    checked, _ = shop(tmp_path, ROW + ROW.replace("1;", f"{own};", 1)).run()
    assert dict(checked.rejects) == {("required-missing", "$.event_id is missing"): 1}


@pytest.mark.parametrize("own", [{"id": 1}, [1]])
def test_an_id_is_a_text_or_a_number(tmp_path: Path, own: object) -> None:
    content = b"".join(orjson.dumps(LINE | {"no": no, "via": "x"}) + b"\n" for no in (1, own))
    checked, _ = Trial(
        tmp_path, SHOP.replace('order_id = "no"', 'order_id = { constant = "o" }'), "o.jsonl", content
    ).run()
    assert (checked.good, checked.rejected) == (1, 1)


@pytest.mark.parametrize("depth", [200, 300, 2_000, 200_000])
@pytest.mark.parametrize("whole", [True, False])
def test_a_row_that_is_nested_without_an_end_costs_itself(tmp_path: Path, depth: int, *, whole: bool) -> None:
    said = SHOP.replace('column = "no"\n', 'columns = "all"\n', 1) if whole else SHOP.replace('"who"', '"tree"')
    deep = b'{"tree":' + b"[" * depth + b"1" + b"]" * depth + b"," + orjson.dumps(LINE)[1:] + b"\n"
    content = b"".join(
        [orjson.dumps(LINE | {"via": "x", "tree": "t"}) + b"\n", deep, orjson.dumps(LINE | {"tree": "u"}), b"\n"]
    )
    checked, made = Trial(tmp_path, said, "orders.jsonl", content).run()
    assert len(made) + checked.rejected == 3
    assert checked.good >= 2


def test_zeros_after_an_amount_and_points_in_whole_numbers_are_exact(tmp_path: Path) -> None:
    said = SHOP.replace('decimal = ","', 'decimal = "."') + 'category = { constant = "cd" }\nquantity = "via"\n'
    said = said.replace('channel = { column = "via", values = { Telefon = "phone" }, otherwise = "other" }\n', "")
    _, made = shop(tmp_path, ROW.replace("1.234,50", "49.900000").replace("Telefon", "2.0"), said).run()
    event = made[0].event
    assert isinstance(event, Purchase)
    assert (event.amount, event.lines[0].quantity) == ("49.900000", 2)
