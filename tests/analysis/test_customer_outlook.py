"""The view ``customer_outlook``: what ``loyalty customer`` expects of each, for all of them, by the recorded model."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from math import isclose
from typing import Any, NamedTuple

import msgspec
import pytest

from pipeline.analysis.outlook import outlook
from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Binding, Event, Purchase
from pipeline.core.contract.moments import milliseconds
from pipeline.core.forecast.learned import LearnedPurchases, encode
from pipeline.core.forecast.spending import expected_spend
from pipeline.core.loyalty.loyalty_state import loyalty
from pipeline.core.replay import retold
from pipeline.core.state.customer import Customer
from pipeline.fitting.bought import Bought
from pipeline.fitting.history import log_of, summarise
from pipeline.simulate import cdnow
from pipeline.simulate.send import encode as sent
from pipeline.warehouse import model_registry
from pipeline.warehouse.client import Warehouse
from tests.core.forecast.test_learned import LEARNED
from tests.storing import migrated, store, store_states

NOW = datetime(1998, 3, 31, 15, tzinfo=UTC)
CLOSE = 1e-9
YEARS = {365: "expected_purchases_1_year", 730: "expected_purchases_2_years", 1_095: "expected_purchases_3_years"}


def cdnow_customers(count: int) -> dict[str, list[Event]]:
    decoder, found = Decoder("purchase"), dict[str, list[Event]]()
    for event in cdnow.purchases(sample=True):
        decoded = decoder(sent(event), datetime(2026, 1, 1, tzinfo=UTC)).event
        found.setdefault(decoded.customer_id, []).append(decoded)
    return dict(islice(sorted(found.items()), count))


def bought(customer: str, day: date, **more: Any) -> Purchase:
    fields = {"amount": "20.00", "currency": "USD"} | more
    return Purchase(
        event_id=f"{customer}-{day}", customer_id=customer, order_id=f"{customer}-{day}",
        occurred_at=datetime(day.year, day.month, day.day, 10, tzinfo=UTC), **fields,
    )  # fmt: skip


FIRST, SECOND = date(1997, 5, 1), date(1997, 8, 1)
CONTRACT = [Binding(kind="contractual", ends_at=NOW + timedelta(days=90))]
OVER = [Binding(kind="contractual", ends_at=NOW - timedelta(days=90))]
SPECIAL: dict[str, list[Event]] = {
    "bound": [bought("bound", FIRST), bought("bound", SECOND, bindings=CONTRACT)],
    "released": [bought("released", FIRST, bindings=OVER), bought("released", SECOND)],
    "obligated only": [bought("obligated only", FIRST, obligated=True)],
    "obligated first": [bought("obligated first", FIRST, obligated=True), bought("obligated first", SECOND)],
    "in euros": [bought("in euros", FIRST, currency="EUR"), bought("in euros", SECOND, currency="EUR")],
    "in both": [bought("in both", FIRST, currency="EUR"), bought("in both", SECOND)],
    "for nothing": [bought("for nothing", FIRST), bought("for nothing", SECOND, amount="0.00")],
    "refunded": [bought("refunded", FIRST), bought("refunded", SECOND, amount="-20.00", refund_of="x")],
    "later": [bought("later", FIRST), bought("later", date(1998, 5, 1))],
    "long ago": [bought("long ago", date(1985, 5, 1)), bought("long ago", date(1985, 5, 2))],
}


class Known(NamedTuple):
    warehouse: Warehouse
    customers: dict[str, Customer]
    events: dict[str, list[Event]]


def folded(events: list[Event]) -> Customer:
    return list(retold(events))[-1][1]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """Real customers and special ones, with the published parameters on record."""
    events = cdnow_customers(120) | SPECIAL
    customers = {name: folded(life) for name, life in events.items()}
    with migrated(tmp_path_factory.mktemp("outlook")) as (_, warehouse):
        store(warehouse, [event for life in events.values() for event in life])
        store(warehouse, SPECIAL["released"], first=1_000_000)  # produced twice
        store_states(warehouse, [*customers.values(), Customer(customer_id="prospect")])
        yield Known(warehouse, customers, events)


def rows(warehouse: Warehouse, source: str = "customer_outlook_at(at = '1998-03-31 15:00:00')") -> dict[str, Any]:
    answer = warehouse.query(f"SELECT * FROM {source}")
    found = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    return {row["customer_id"]: row for row in found}


def with_weeks(found: LearnedPurchases, weeks: float) -> Settings:
    """Settings under which ``loyalty customer`` looks as far ahead as this."""
    changed = msgspec.structs.replace(found, hold_out=msgspec.structs.replace(found.hold_out, weeks=weeks))
    return Settings().with_changes(purchase_model=_file(encode(changed)))


_files: dict[bytes, str] = {}


def _file(content: bytes) -> str:
    return _files[content]


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> None:
    for days in (90, *YEARS):
        content = encode(
            msgspec.structs.replace(LEARNED, hold_out=msgspec.structs.replace(LEARNED.hold_out, weeks=days / 7))
        )
        path = tmp_path_factory.mktemp("parameters") / f"{days}.json"
        path.write_bytes(content)
        _files[content] = str(path)


def test_without_a_model_every_figure_is_unknown_and_the_note_says_what_to_do(known: Known) -> None:
    found = rows(known.warehouse)
    assert set(found) == set(known.customers)
    for row in found.values():
        assert row["model_version"] is row["p_alive"] is row["expected_purchases_1_year"] is row["currency"] is None
        assert "loyalty warehouse parameters" in row["note"]


@pytest.fixture(scope="module")
def expecting(known: Known) -> Known:
    model_registry.record(known.warehouse, model_registry.of_purchases(LEARNED), datetime(2026, 1, 1, tzinfo=UTC))
    return known


@pytest.fixture(scope="module")
def then(expecting: Known) -> dict[str, Any]:
    """The outlook on a day of the past."""
    return rows(expecting.warehouse)


@pytest.mark.parametrize("source", ["then", "now"])
def test_every_customer_is_expected_to_do_what_the_core_expects(
    expecting: Known, then: dict[str, Any], source: str
) -> None:
    found = then if source == "then" else rows(expecting.warehouse, "customer_outlook")
    at = datetime.fromisoformat(next(iter(found.values()))["as_of"]).replace(tzinfo=UTC)
    settings = {days: with_weeks(LEARNED, days / 7) for days in (90, *YEARS)}
    compared = 0
    for name, customer in expecting.customers.items():
        state = loyalty(customer, milliseconds(at))
        by_days = {days: outlook(chosen, customer, at, state) for days, chosen in settings.items()}
        row = found[name]
        if by_days[90] is None:
            assert row["p_alive"] is row["p_buy_90_days"] is row["expected_purchases_1_year"] is None, name
            assert row["note"], name
            continue
        assert row["model_version"] == by_days[90].version
        assert isclose(row["p_alive"], by_days[90].p_alive or 0, rel_tol=CLOSE), name
        assert isclose(row["p_buy_90_days"], by_days[90].p_buy, rel_tol=CLOSE), name
        for days, column in YEARS.items():
            expected = by_days[days]
            assert expected is not None
            assert isclose(row[column], expected.expected_purchases, rel_tol=CLOSE), (name, column)
            compared += 1
    assert compared > 350


def test_baskets_are_those_that_the_fit_learns_from(expecting: Known, then: dict[str, Any]) -> None:
    """Repeat occasions with a value, in the currency of the fit: the fit's own summary of the same purchases."""
    spend = LEARNED.spend_model()
    assert spend is not None
    shown = 0
    for name, events in expecting.events.items():
        row = then[name]
        if row["note"]:
            continue
        said = summarise(log_of(as_bought(events)), milliseconds(NOW) // 86_400_000)
        paid, mean = int(said.paid[0]), float(said.mean[0])
        assert row["valued_occasions"] == paid, name
        assert isclose(row["mean_basket"], mean, rel_tol=CLOSE), name
        assert isclose(row["expected_basket"], expected_spend(spend, paid, mean), rel_tol=CLOSE), name
        for column in YEARS.values():
            value = row[column.replace("purchases", "value")]
            assert isclose(value, row[column] * row["expected_basket"], rel_tol=CLOSE), name
        shown += 1
    assert shown > 115


def as_bought(events: list[Event]) -> Iterator[Bought]:
    """Voluntary purchases as the fit reads them."""
    for event in events:
        assert isinstance(event, Purchase)
        if not event.obligated:
            day, units = milliseconds(event.occurred_at) // 86_400_000, round(float(event.amount) * 10_000)
            yield Bought(event.customer_id, day, units, event.currency, refund=event.refund_of is not None)


NOTES = {
    "bound": "bound by contract",
    "released": "",
    "obligated only": "no voluntary purchase",
    "in euros": "another currency",
    "in both": "another currency",
    "for nothing": "",
}


@pytest.mark.parametrize(("name", "note"), NOTES.items())
def test_a_figure_that_would_not_be_honest_is_missing_and_the_note_says_why(
    then: dict[str, Any], name: str, note: str
) -> None:
    row = then[name]
    assert note in row["note"] if note else row["note"] == ""
    assert (row["expected_value_1_year"] is None) == bool(note)
    assert (row["expected_purchases_1_year"] is None) == (note[:1] in ("b", "n"))
    assert row["contractual"] == (name == "bound")


def test_days_are_counted_from_the_first_voluntary_purchase_up_to_the_day_of_the_question(then: dict[str, Any]) -> None:
    assert then["obligated first"]["T_weeks"] == pytest.approx((NOW.date() - SECOND).days / 7)
    assert (then["later"]["repeat_occasions"], then["later"]["t_x_weeks"]) == (0, 0)
    assert then["refunded"]["repeat_occasions"] == 0
    assert then["for nothing"]["valued_occasions"] == 0
    assert "prospect" not in then


def test_a_model_without_spend_has_no_value_and_says_so(expecting: Known) -> None:
    without = msgspec.structs.replace(LEARNED, version="without-spend", spend=None)
    model_registry.record(expecting.warehouse, model_registry.of_purchases(without), datetime(2026, 1, 2, tzinfo=UTC))
    try:
        row = rows(expecting.warehouse)["released"]
        assert row["model_version"] == "without-spend"
        assert row["expected_purchases_1_year"] > 0
        assert row["expected_value_1_year"] is None
        assert "without spend" in row["note"]
    finally:
        model_registry.record(
            expecting.warehouse, model_registry.of_purchases(LEARNED), datetime(2026, 1, 3, tzinfo=UTC)
        )


def test_every_column_of_the_views_says_what_it_means(known: Known) -> None:
    bare = known.warehouse.query(
        "SELECT table, name FROM system.columns WHERE database = {d:String} AND comment = '' AND table IN "
        "('customer_outlook', 'customer_outlook_at', 'scores', 'scored_contacts', 'parameters')",
        {"d": known.warehouse.database},
    ).rows
    assert not bare
