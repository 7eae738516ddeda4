"""A row as an event: what a firm writes in its cells, and what is made of it."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.core.contract.events import Purchase
from pipeline.errors import Refused
from tests.importing.files import HEADING, ROW, SHOP, Trial, shop

JSONL = """
kind = "purchase"
[event_id]
columns = "all"
[fields]
customer_id = "customer.id"
order_id = "order"
occurred_at = "at"
amount = "amount"
currency = "currency"
category = "group"
quantity = "count"
"""


def first(trial: Trial) -> Any:
    _, made = trial.run()
    return orjson.loads(made[0].value)


def test_a_row_becomes_the_event_it_says(tmp_path: Path) -> None:
    assert first(shop(tmp_path, ROW)) == {
        "event_id": "shop-1", "customer_id": "c-1", "order_id": "1", "occurred_at": "2020-03-05T08:30:00+00:00",
        "amount": "1234.50", "currency": "EUR", "channel": "phone", "backfill": True,
    }  # fmt: skip


MOMENTS = {
    "winter": ("05.01.2020 09:30", "2020-01-05T08:30:00+00:00"),
    "summer": ("05.07.2020 09:30", "2020-07-05T07:30:00+00:00"),
}


@pytest.mark.parametrize(("written", "meant"), MOMENTS.values(), ids=MOMENTS)
def test_a_local_time_is_read_in_its_zone(tmp_path: Path, written: str, meant: str) -> None:
    assert first(shop(tmp_path, ROW.replace("05.03.2020 09:30", written)))["occurred_at"] == meant


def test_digits_side_by_side_are_not_guessed_apart(tmp_path: Path) -> None:
    mapping = SHOP.replace("%d.%m.%Y %H:%M", "%Y%m%d")
    rows = [ROW.replace("05.03.2020 09:30", day) for day in ("20200305", "2020305")]
    checked, made = shop(tmp_path, "".join(rows), mapping).run()
    assert (checked.good, checked.rejected) == (1, 1)
    assert made[0].event.occurred_at.isoformat() == "2020-03-04T23:00:00+00:00"


def test_a_form_with_words_is_read_too(tmp_path: Path) -> None:
    mapping = SHOP.replace("%d.%m.%Y %H:%M", "%d %b %Y %I:%M %p")
    event = first(shop(tmp_path, ROW.replace("05.03.2020 09:30", "05 Mar 2020 09:30 PM"), mapping))
    assert event["occurred_at"] == "2020-03-05T20:30:00+00:00"


REJECTS = {
    "a time that clocks skipped": ("05.03.2020 09:30", "29.03.2020 02:30", "inconsistent", "skipped it"),
    "a time that clocks showed twice": ("05.03.2020 09:30", "25.10.2020 02:30", "inconsistent", "showed it twice"),
    "a date of another form": ("05.03.2020 09:30", "2020-03-05", "datatype-mismatch", "does not have the form"),
    "a date after now": ("2020", "2031", "future", "$.occurred_at"),
    "an amount with a point": ("1.234,50", "1234.50", "out-of-range", "$.amount"),
    "an amount that is none": ("1.234,50", "viel", "out-of-range", "$.amount"),
    "no customer": ("c-1", "", "required-missing", "$.customer_id"),
    "too many fields": ("Telefon", "Telefon;x", "unparseable", "6 fields"),
}


@pytest.mark.parametrize(("good", "bad", "reason", "detail"), REJECTS.values(), ids=REJECTS)
def test_a_row_that_does_not_fit_is_written_down_without_its_values(
    tmp_path: Path, good: str, bad: str, reason: str, detail: str
) -> None:
    trial = shop(tmp_path, ROW + ROW.replace(good, bad).replace("1;", "2;", 1))
    checked, made = trial.run()
    assert (checked.rows, checked.good, len(made)) == (2, 1, 1)
    (rejected,) = map(json.loads, trial.rejects.read_text().splitlines())
    assert trial.rejects.stat().st_mode & 0o777 == 0o600  # it holds customers
    assert (rejected["row"], rejected["reason"]) == (2, reason)
    assert detail in rejected["detail"]
    assert bad not in rejected["detail"] or not bad


def test_without_rejects_there_is_no_file_of_them(tmp_path: Path) -> None:
    trial = shop(tmp_path, ROW)
    trial.rejects.write_text("of an earlier run\n")
    trial.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mapping.toml",
        "orders.csv",
        "orders.csv.rejects.jsonl",
    ]
    (tmp_path / "orders.csv.rejects.jsonl").unlink()
    trial.run()
    assert not trial.rejects.exists()


def test_json_lines_keep_what_is_nested_and_exact(tmp_path: Path) -> None:
    line = {"customer": {"id": 7}, "order": "a", "at": "2020-03-05T09:30:00+01:00", "amount": "0.10",
            "currency": "USD", "group": "cd", "count": 3}  # fmt: skip
    event = first(Trial(tmp_path, JSONL, "orders.jsonl", orjson.dumps(line) + b"\n"))
    assert event["customer_id"] == "7"
    assert event["occurred_at"] == "2020-03-05T08:30:00+00:00"
    assert event["lines"] == [{"category": "cd", "quantity": 3}]
    assert event["amount"] == "0.10"


def test_mixed_currencies_are_what_their_column_says(tmp_path: Path) -> None:
    mapping = SHOP.replace('{ constant = "EUR" }', '"money"')
    rows = "1;c-1;05.03.2020 09:30;1,00;Telefon;EUR\n2;c-1;05.03.2020 09:30;1,00;Telefon;USD\n"
    checked, made = shop(tmp_path, rows, mapping, HEADING.replace("via", "via;money")).run()
    assert dict(checked.currencies) == {"EUR": 1, "USD": 1}
    assert [m.event.currency for m in made if isinstance(m.event, Purchase)] == ["EUR", "USD"]
    assert not checked.warnings


def test_one_currency_for_all_beside_a_column_of_others_is_warned_of(tmp_path: Path) -> None:
    rows = "1;c-1;05.03.2020 09:30;1,00;Telefon;EUR\n2;c-1;05.03.2020 09:30;1,00;Telefon;USD\n"
    checked, _ = shop(tmp_path, rows, SHOP, HEADING.replace("via", "via;money")).run()
    assert "the column money looks like currencies" in checked.warnings[0]


def identical(tmp_path: Path, rows: int) -> Trial:
    mapping = SHOP.replace('column = "no"\n', 'columns = "all"\n', 1)
    return shop(tmp_path, ROW * rows + ROW.replace("c-1", "c-2"), mapping)


def test_identical_rows_stay_events_of_their_own(tmp_path: Path) -> None:
    _, made = identical(tmp_path, 3).run()
    assert len({m.event.event_id for m in made}) == 4


def test_the_same_file_again_is_the_same_events_and_so_is_one_sorted_anew(tmp_path: Path) -> None:
    trial = identical(tmp_path, 3)
    once = {m.value for m in trial.run()[1]}
    assert {m.value for m in trial.run()[1]} == once
    heading, *rows = trial.path.read_text().splitlines(keepends=True)
    trial.path.write_text("".join([heading, *reversed(rows)]))
    assert {m.value for m in trial.run()[1]} == once


def test_ids_that_come_again_are_counted(tmp_path: Path) -> None:
    assert shop(tmp_path, ROW + ROW).run()[0].same_id == 1


def test_who_wants_the_desk_told_sends_events_as_they_are(tmp_path: Path) -> None:
    _, made = shop(tmp_path, ROW).run(backfill=False)
    assert not made[0].event.backfill


def test_parquet_is_read_in_its_order_with_exact_amounts(tmp_path: Path) -> None:
    chdb = pytest.importorskip("chdb")
    path = tmp_path / "made.parquet"
    connection = chdb.connect(":memory:")
    connection.query(
        f"SELECT toString(number) AS no, 'c' AS who, toDateTime64('2020-03-05 08:30:00', 3, 'UTC') AS day, "
        f"toDecimal64(0.1, 2) + number AS paid FROM numbers(20000) ORDER BY no INTO OUTFILE '{path}' FORMAT Parquet",
    )
    connection.close()
    mapping = """
kind = "purchase"
[event_id]
column = "no"
[fields]
customer_id = "who"
order_id = "no"
occurred_at = "day"
amount = "paid"
currency = { constant = "EUR" }
"""
    checked, made = Trial(tmp_path, mapping, "orders.parquet", path.read_bytes()).run()
    assert (checked.good, checked.rejected) == (20_000, 0)
    assert [m.event.event_id for m in made] == sorted(map(str, range(20_000)))
    assert {m.event.event_id: m.event.amount for m in made if isinstance(m.event, Purchase)}["7"] == "7.1"
    cut = Trial(tmp_path, mapping, "cut.parquet", path.read_bytes()[:-100])
    with pytest.raises(Refused, match="cannot be read as Parquet"):
        cut.run()
