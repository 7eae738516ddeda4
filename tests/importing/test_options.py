"""What a mapping can say beside names of columns: how numbers are written, what is left out, what belongs together."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.core.contract.events import Purchase
from pipeline.errors import Refused
from tests.importing.files import HEADING, ROW, SHOP, Trial, shop

PAID = 'amount = { column = "paid", decimal = "," }'


def purchases(trial: Trial) -> list[Purchase]:
    return [made.event for made in trial.run()[1] if isinstance(made.event, Purchase)]


AMOUNTS = {
    "thousands": ('thousands = ","', "1,234.50", "1234.50"),
    "thousands, twice": ('thousands = ","', "1,234,567.5", "1234567.5"),
    "blanks between thousands": ('decimal = ",", thousands = " "', "1 234,50", "1234.50"),
    "narrow blanks": ('decimal = ",", thousands = " "', "1\u202f234,50", "1234.50"),
    "hard blanks": ('decimal = ",", thousands = " "', "1\u00a0234,50", "1234.50"),
    "apostrophes": ('thousands = "\'"', "1'234.50", "1234.50"),
    "curly apostrophes": ('thousands = "\'"', "1\u2019234.50", "1234.50"),
    "without thousands all the same": ('thousands = ","', "1234.50", "1234.50"),
    "a mark behind": ('decimal = ",", mark = "€"', "49,90 €", "49.90"),
    "a mark before": ('thousands = ",", mark = "$"', "$1,234.50", "1234.50"),
    "a mark of letters": ('mark = "EUR"', "EUR 7", "7"),
    "no mark all the same": ('mark = "€"', "49.90", "49.90"),
    "no zero before the point": ("", ".50", "0.50"),
    "zeros before it": ("", "007.50", "7.50"),
    "a plus": ("", "+7.50", "7.50"),
    "cents": ("factor = 0.01", "4990", "49.90"),
    "a price per piece": ('times = "count"', "9.99", "29.97"),
    "both": ('times = "count", factor = 0.01', "999", "29.97"),
    "exact where floats are not": ("factor = 0.1", "0.3", "0.03"),
}


def with_count(directory: Path, option: str, paid: str, count: str = "3") -> Trial:
    option = option or 'decimal = "."'
    said = SHOP.replace(PAID, f'amount = {{ column = "paid", {option} }}')
    rows = ROW.rstrip().replace("1.234,50", paid) + f";{count}\n"
    return shop(directory, rows, said, HEADING.rstrip() + ";count\n")


@pytest.mark.parametrize(("option", "written", "meant"), AMOUNTS.values(), ids=AMOUNTS)
def test_an_amount_as_the_mapping_says_it_is_written(tmp_path: Path, option: str, written: str, meant: str) -> None:
    assert purchases(with_count(tmp_path, option, written))[0].amount == meant


NEGATIVE = ["-49.90", "- 49.90", "49.90-", "(49.90)", "\u221249.90", "-$49.90", "$-49.90", "49.90 $-"]


@pytest.mark.parametrize("written", NEGATIVE)
def test_a_minus_is_a_minus_wherever_it_stands(tmp_path: Path, written: str) -> None:
    said = SHOP.replace(PAID, 'amount = { column = "paid", mark = "$" }') + 'refund_of = "no"\n'
    assert purchases(shop(tmp_path, ROW.replace("1.234,50", written), said))[0].amount == "-49.90"


def test_the_other_sign_can_be_said(tmp_path: Path) -> None:
    said = SHOP.replace(PAID, 'amount = { column = "paid", decimal = ",", factor = -1 }') + 'refund_of = "no"\n'
    assert purchases(shop(tmp_path, ROW, said))[0].amount == "-1234.50"


NO_AMOUNTS = {
    "thousands that are no groups": ('thousands = ","', "1,23,4.50"), "thousands unsaid": ("", "1,234.50"),
    "a group too short": ('thousands = ","', "1,234,56"), "another mark": ('mark = "€"', "49.90 $"),
    "the mark twice, with text": ('mark = "€"', "€ 4 9 €"), "two signs": ("", "--5"),
    "brackets and a sign": ("", "(-5)"),
    "half a bracket": ("", "(5"), "digits of another alphabet": ("", "\u0663"), "a word": ("", "gratis"),
    "an exponent": ("", "1e3"), "only a mark": ('mark = "€"', "€"), "only a sign": ("", "-"),
    "five decimals": ('times = "count"', "0.33333"), "a count that is none": ('times = "count"', "5", ),
}  # fmt: skip


@pytest.mark.parametrize(("option", "written"), NO_AMOUNTS.values(), ids=NO_AMOUNTS)
def test_what_is_written_otherwise_is_no_amount(tmp_path: Path, option: str, written: str) -> None:
    trial = with_count(tmp_path, option, written, count="many" if written == "5" else "1")
    good = ROW.rstrip().replace("1.234,50", "1").replace("1;", "2;", 1) + ";1\n"
    trial.path.write_text(trial.path.read_text() + good)
    checked, _ = trial.run()
    ((reason, detail),) = checked.rejects
    assert (checked.good, reason) == (1, "out-of-range")
    assert detail.startswith("$.amount")
    said = json.loads(trial.rejects.read_text())
    assert (said["row"], said["line"], said["column"]) == (1, 2, "paid")


def test_minutes_become_seconds_exactly(tmp_path: Path) -> None:
    said = """
kind = "service_contact"
[event_id]
columns = "all"
[fields]
customer_id = { column = "who", case = "lower" }
contact_id = { column = "no", whole = true }
issue_id = { column = "no", whole = true }
occurred_at = "at"
opened_at = "at"
stage = { constant = "opened" }
channel = { column = "via", case = "lower" }
kind = { constant = "question" }
waiting_seconds = { column = "waited", factor = 60, thousands = "," }
transfers = "transfers"
"""
    content = 'who,no,at,via,waited,transfers\nAnna@Example.org,17850.0,2026-01-01T00:00:00Z,EMail,"1,000.5",2.0\n'
    event = orjson.loads(Trial(tmp_path, said, "tickets.csv", content.encode()).run()[1][0].value)
    assert (event["customer_id"], event["contact_id"], event["channel"]) == ("anna@example.org", "17850", "email")
    assert (event["waiting_seconds"], event["transfers"]) == (60_030, 2)


VIAS = ["x", "y", " ", "Cx9"]
CONDITIONS = {
    "equals": ('equals = "x"', [1, 2, 3], "via is x"),
    "equals one of": ('equals = ["x", "y"]', [2, 3], "via is x or y"),
    "differs from": ('differs_from = "x"', [0], "via is not x"),
    "starts with": ('starts_with = "C"', [0, 1, 2], "via starts with C"),
    "is empty": ("empty = true", [0, 1, 3], "via is empty"),
    "is not empty": ("empty = false", [2], "via is not empty"),
}


@pytest.mark.parametrize(("condition", "kept", "why"), CONDITIONS.values(), ids=CONDITIONS)
def test_rows_are_left_out_by_a_condition_and_counted(
    tmp_path: Path, condition: str, kept: list[int], why: str
) -> None:
    rows = "".join(ROW.replace("1;", f"{n};", 1).replace("Telefon", via) for n, via in enumerate(VIAS))
    checked, made = shop(tmp_path, rows, SHOP + f'[[leave_out]]\ncolumn = "via"\n{condition}\n').run()
    assert [m.event.event_id for m in made] == [f"shop-{n}" for n in kept]
    assert (checked.rows, checked.rejected, dict(checked.left_out)) == (4, 0, {why: 4 - len(kept)})


def test_a_row_that_cannot_be_read_is_a_reject_and_never_left_out(tmp_path: Path) -> None:
    said = SHOP + '[[leave_out]]\ncolumn = "via"\nempty = true\n'
    checked, _ = shop(tmp_path, ROW + "2;c-1\n" + ROW, said).run()
    assert (checked.rejected, sum(checked.left_out.values())) == (1, 0)


def test_a_mapping_that_leaves_out_every_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="leaves out every row"):
        shop(tmp_path, ROW, SHOP + '[[leave_out]]\ncolumn = "via"\nequals = "Telefon"\n').run()


ORDERS = """
kind = "purchase"
[event_id]
column = "order"
[order]
column = "order"
amount = "sum"
[fields]
customer_id = "who"
order_id = "order"
occurred_at = { column = "at", zone = "UTC" }
amount = { column = "price", times = "count" }
currency = { constant = "GBP" }
category = "group"
quantity = "count"
"""
LINES = "order,who,at,price,count,group\n"
ONE = "o1,anna,2026-01-01,0.10,3,cup\no1,anna,2026-01-01,0.20,1,pot\n"
TWO = "o2,bert,2026-01-02,5,1,cup\n"


def orders(directory: Path, rows: str, said: str = ORDERS, heading: str = LINES) -> Trial:
    return Trial(directory, said, "lines.csv", (heading + rows).encode())


def test_the_lines_of_an_order_are_one_purchase(tmp_path: Path) -> None:
    checked, _ = orders(tmp_path, ONE + TWO).run()
    one, two = purchases(orders(tmp_path, ONE + TWO))
    assert (one.amount, [(line.category, line.quantity) for line in one.lines]) == ("0.50", [("cup", 3), ("pot", 1)])
    assert (two.order_id, two.amount) == ("o2", "5")
    assert (checked.rows, checked.good, checked.rejected, checked.same_id) == (3, 2, 0, 0)


def test_what_is_paid_once_may_stand_in_one_line_or_in_each(tmp_path: Path) -> None:
    said = ORDERS.replace('amount = "sum"', 'amount = "once"').replace(', times = "count"', "")
    for second in ("", "0.10", "0.100"):
        made = purchases(orders(tmp_path, ONE.replace("0.20", second), said))
        assert [event.amount for event in made] == ["0.10"]


DIFFERENT = {
    "another customer": (ONE.replace("o1,anna", "o1,zoe", 1), "$.customer_id differs"),
    "a line that is none": (ONE.replace(",1,pot", ",x,pot"), "$.amount"),
    "a row that cannot be read": (ONE + "o1,anna\n", "a row next to it"),
    "one before it": ("o0\n" + ONE, "a row next to it"),
    "too many lines": (ONE.splitlines()[0].join(["", "\n"]) * 1_001, "$.lines has a length out of range"),
}


@pytest.mark.parametrize(("rows", "detail"), DIFFERENT.values(), ids=DIFFERENT)
def test_an_order_with_a_line_that_does_not_fit_is_rejected_whole(tmp_path: Path, rows: str, detail: str) -> None:
    trial = orders(
        tmp_path, f"o7,zoe,2026-01-01,1,1,cup\no8,zoe,2026-01-01,1,1,cup\n{rows}" + "o9,zoe,2026-01-01,1,1,cup\n" * 2
    )
    if "cannot" in detail or "next to" in detail:
        assert any(detail in why[1] for why in trial.run()[0].rejects)
    else:
        assert [why[1] for why in trial.run()[0].rejects if detail in why[1]]
    assert not [event for event in purchases(trial) if event.order_id == "o1"]


def test_orders_whose_lines_lie_apart_are_refused_with_the_row(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"row 4 belongs to one that came before; sort the file by order"):
        orders(tmp_path, ONE + TWO + ONE.splitlines()[0] + "\n").run()


def test_many_orders_do_not_lie_apart_by_chance(tmp_path: Path) -> None:
    rows = "".join(f"o{n},c{n},2026-01-01,1,1,cup\n" for n in range(20_000))
    assert orders(tmp_path, rows).run()[0].good == 20_000


REFUND = '[refund]\namount = { column = "back", mark = "€" }\n'


def refunded(directory: Path, back: str, said: str = REFUND) -> Trial:
    return shop(directory, ROW.rstrip() + f";{back};06.03.2020\n", SHOP + said, HEADING.rstrip() + ";back;when\n")


@pytest.mark.parametrize("back", ["5.00", "-5.00", "€ 5.00"])
def test_what_was_paid_back_is_an_event_that_refers_to_the_order(tmp_path: Path, back: str) -> None:
    checked, _ = refunded(tmp_path, back).run()
    bought, refund = purchases(refunded(tmp_path, back))
    assert (bought.amount, bought.refund_of) == ("1234.50", None)
    assert (refund.event_id, refund.order_id, refund.refund_of, refund.amount) == (
        "shop-1-refund",
        "1-refund",
        "1",
        "-5.00",
    )
    assert (refund.customer_id, refund.occurred_at, refund.backfill) == (bought.customer_id, bought.occurred_at, True)
    assert (checked.good, checked.refunds) == (1, 1)


def test_a_refund_has_a_time_of_its_own_where_the_file_says_it(tmp_path: Path) -> None:
    said = REFUND + 'occurred_at = { column = "when", format = "%d.%m.%Y", zone = "UTC" }\n'
    assert purchases(refunded(tmp_path, "5", said))[1].occurred_at.isoformat() == "2020-03-06T00:00:00+00:00"


@pytest.mark.parametrize("back", ["", "0", "0.00", "€ 0"])
def test_where_nothing_was_paid_back_there_is_no_refund(tmp_path: Path, back: str) -> None:
    assert len(purchases(refunded(tmp_path, back))) == 1


def test_a_refund_that_does_not_fit_takes_its_purchase_along(tmp_path: Path) -> None:
    trial = refunded(tmp_path, "some")
    trial.path.write_text(trial.path.read_text() + ROW.rstrip().replace("1;", "2;", 1) + ";;\n")
    checked, made = trial.run()
    assert (checked.rejected, len(made)) == (1, 1)
    assert json.loads(trial.rejects.read_text())["column"] == "back"


def test_the_numbers_of_events_rise_through_a_file_with_refunds(tmp_path: Path) -> None:
    rows = "".join(ROW.rstrip().replace("1;", f"{n};", 1) + f";{back};\n" for n, back in enumerate(["1", "", "2"], 1))
    trial = shop(tmp_path, rows, SHOP + REFUND, HEADING.rstrip() + ";back;when\n")
    assert trial.numbers() == [1, 2, 3, 5, 6]
    assert shop(tmp_path, ROW * 3).numbers() == [1, 2, 3]


DOUBTS = {
    "a guest": ('"0"', "looks like nobody"), "null": ('"null"', "looks like nobody"),
    "NaN": ('"NaN"', "looks like nobody"),
    "undefined": ('"undefined"', "looks like nobody"),
    "zeros": ('"0000"', "looks like nobody"), "a number": ("0", "nobody"),
    "a float": ('"17850.0"', "whole = true"),
    "an id that a spreadsheet shortened": ('"1.03006E+13"', "export the file again"),
    "capital letters": ('"ANNA"', "more than one way"), "blanks": ('"an na"', "more than one way"),
    "another normalisation": ('"a\u0301nna"', None), "nothing": ('"bert"', None),
}  # fmt: skip


@pytest.mark.parametrize(("who", "said"), DOUBTS.values(), ids=DOUBTS)
def test_ids_that_may_be_meant_otherwise_are_warned_of(tmp_path: Path, who: str, said: str | None) -> None:
    def line(customer: Any, number: int) -> bytes:
        row = {"no": number, "who": customer, "day": "05.03.2020 09:30", "paid": "1,00", "via": "x"}
        return orjson.dumps(row) + b"\n"

    content = line("anna", 1) + line(json.loads(who), 2)
    warnings = Trial(tmp_path, SHOP, "orders.jsonl", content).run()[0].warnings
    assert [said in warning for warning in warnings] == ([True] if said else [])  # type: ignore[operator]


def test_ids_that_differ_by_normalisation_are_warned_of_without_a_name(tmp_path: Path) -> None:
    rows = ROW.replace("c-1", "Ren\u00e9") + ROW.replace("c-1", "Rene\u0301").replace("1;", "2;", 1)
    (warning,) = shop(tmp_path, rows).run()[0].warnings
    assert "first in row 2" in warning
    assert "Ren" not in warning
