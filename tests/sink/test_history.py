"""What was known when: every state the sink saw; and rows of before, which say what newer ones say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import json

from pipeline.analysis import customer_profile
from pipeline.config import Settings
from pipeline.core.contract.moments import instant
from pipeline.core.state.customer import Contact, Customer, encode_named, encode_state, occasion_bits
from pipeline.errors import NotFound, Refused
from pipeline.records import Record
from pipeline.sink import start_checks
from pipeline.sink.rows import Row, RowPlace, state
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate, shipped
from pipeline.warehouse.own_columns import columns
from tests.sink.lives import FIRST, day, edges, simulated, wild
from tests.warehouses import embedded

pytestmark = pytest.mark.xdist_group("warehouse")

PLACE = RowPlace("customer-states", 0, 1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse of its own, running."""
    with embedded(tmp_path_factory.mktemp("history")) as made:
        yield made


@pytest.fixture(scope="module")
def newest(engine: Settings) -> Warehouse:
    """A database with everything this program knows, for comparison."""
    made = connect(engine.with_changes(database="h_newest"), create_database=True)
    migrate(made)
    return made


@pytest.fixture
def warehouse(engine: Settings, request: pytest.FixtureRequest) -> Warehouse:
    """An empty database."""
    return connect(engine.with_changes(database=f"h_{abs(hash(request.node.name))}"), create_database=True)


def record(offset: int, at: float, customer: str, purchases: int | None) -> Record:
    """The state of a customer with so many purchases, appended so many days later; their erasure when ``None``."""
    made = Customer(customer_id=customer, first_purchase_at=FIRST, last_event_at=FIRST, purchases=purchases or 0)
    return Record(offset, day(at), customer.encode(), None if purchases is None else encode_state(made), [])


def rows(records: list[Record]) -> list[Row]:
    return [row for one in records for _, row in state(PLACE, one)]


def write(warehouse: Warehouse, records: list[Record], token: str) -> None:
    """Write states as the sink does."""
    warehouse.insert("customer_states", columns(warehouse, "customer_states"), rows(records), token)


def known_at(warehouse: Warehouse, at: float) -> dict[str, int]:
    """Who was known at a moment, and with how many purchases."""
    moment = datetime.fromtimestamp(day(at) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    found = warehouse.query("SELECT customer_id, purchases FROM customers_known_at(at = {at:String})", {"at": moment})
    assert len({row[0] for row in found.rows}) == len(found.rows)
    return {str(customer): int(purchases) for customer, purchases in found.rows}


LIVES = [record(0, 1, "a", 1), record(1, 2, "b", 1), record(2, 3, "a", 2), record(3, 4, "a", 3), record(4, 4, "b", 5)]


def test_a_state_is_known_from_the_moment_the_broker_had_it(warehouse: Warehouse) -> None:
    migrate(warehouse)
    write(warehouse, LIVES, "one")
    assert [known_at(warehouse, at) for at in (0.9, 1, 2.5, 3, 4, 900)] == [
        {}, {"a": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 3, "b": 5}, {"a": 3, "b": 5},
    ]  # fmt: skip


def test_a_batch_that_is_repeated_stands_there_once(warehouse: Warehouse) -> None:
    migrate(warehouse)
    start_checks.windows(warehouse)
    for _ in range(3):
        write(warehouse, LIVES, "one")
    write(warehouse, [record(5, 6, "c", 1)], "two")
    write(warehouse, LIVES, "one")
    assert warehouse.value("SELECT count() = uniqExact(_offset) AND count() = 6 FROM customer_state_history")
    (seen,) = warehouse.query("SELECT rows, repeated, gaps FROM audit WHERE table = 'customer_state_history'").rows
    assert list(map(int, seen)) == [6, 0, 0]
    warehouse.command("ALTER TABLE customer_state_history MODIFY SETTING non_replicated_deduplication_window = 0")
    with pytest.raises(Refused, match="customer_state_history does not remember"):
        start_checks.windows(warehouse)


def test_whoever_was_erased_is_shown_at_no_moment(warehouse: Warehouse) -> None:
    """Not even as they were known before: what is left of them waits to be deleted."""
    migrate(warehouse)
    write(warehouse, [*LIVES, record(5, 6, "a", None)], "one")
    assert [known_at(warehouse, at) for at in (3, 7)] == [{"b": 1}, {"b": 5}]
    write(warehouse, [record(6, 8, "a", 9)], "two")
    assert [known_at(warehouse, at) for at in (3, 7, 9)] == [{"a": 2, "b": 1}, {"b": 5}, {"a": 9, "b": 5}]


def test_one_customer_is_shown_as_they_were_known(engine: Settings) -> None:
    settings = engine.with_changes(database="h_one")
    warehouse = connect(settings, create_database=True)
    migrate(warehouse)
    write(warehouse, LIVES, "one")

    def seen(known_at: float | None) -> int:
        found = customer_profile.read(
            settings, "a", instant(day(9)), None if known_at is None else instant(day(known_at))
        )
        assert found.loyalty is not None
        assert found.loyalty.standing.tenure_days == 9
        return found.customer.purchases

    assert [seen(known_at) for known_at in (1, 3.5, 4, None)] == [1, 2, 3, 3]
    with pytest.raises(NotFound, match="nothing was known of a customer 'a' at 2026-01-01 12:00:00"):
        seen(0.5)
    write(warehouse, [record(5, 6, "a", None)], "two")
    for known_at in (3.5, None):
        with pytest.raises(NotFound):
            seen(known_at)


def test_customers_of_before_the_history_are_known_since_their_newest_state(
    warehouse: Warehouse, newest: Warehouse
) -> None:
    migrate(warehouse, shipped()[:5])
    write_old(warehouse, newest, LIVES[:2])
    migrate(warehouse)
    write(warehouse, [record(9, 9, "a", 4)], "new")
    assert warehouse.value("SELECT toUInt8(count()) FROM customer_state_history") == 1
    assert [known_at(warehouse, at) for at in (1.5, 2, 9)] == [{}, {"b": 1}, {"a": 4, "b": 1}]


def test_absurd_moments_cannot_refuse_an_insert(warehouse: Warehouse) -> None:
    migrate(warehouse)
    moments = [timedelta(days=365.25 * year) // timedelta(milliseconds=1) for year in range(330)]
    write(warehouse, [record(n, 0, f"c-{n}", 1)._replace(appended_at_ms=at) for n, at in enumerate(moments)], "one")
    assert int(warehouse.value("SELECT count() FROM customer_state_history")) == len(moments)


def test_the_history_has_the_columns_of_the_states(warehouse: Warehouse) -> None:
    """Whoever adds a column to one of them adds it to the other, and to the view between them."""
    migrate(warehouse)
    kept = columns(warehouse, "customer_states")
    assert columns(warehouse, "customer_state_history") == kept == columns(warehouse, "customer_state_recorded")


def write_old(warehouse: Warehouse, newest: Warehouse, records: list[Record]) -> None:
    """Write states as sinks of before the loyalty columns did: those columns are left out."""
    there = warehouse.query(
        "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String} ORDER BY position",
        {"d": warehouse.database, "t": "customer_states"},
    ).rows
    kept, names = {str(name): str(type_) for name, type_ in there}, columns(newest, "customer_states")
    values = [dict(zip(names, row, strict=True)) for row in rows(records)]
    warehouse.insert("customer_states", kept, [[row[name] for name in kept] for row in values], "old")


def test_rows_of_before_say_what_newer_ones_say(warehouse: Warehouse, newest: Warehouse) -> None:
    """The columns they lack are read out of the state itself."""
    lives = [*edges(), *map(wild, range(600)), *simulated(100)]
    records = [Record(n, FIRST, c.customer_id.encode(), encode_state(c), []) for n, c in enumerate(lives)]
    migrate(warehouse, shipped()[:5])
    write_old(warehouse, newest, records)
    migrate(warehouse)
    write(newest, records, "new")
    old, new = (made.query("SELECT * FROM customer_states FINAL ORDER BY customer_id") for made in (warehouse, newest))
    assert old.columns == new.columns
    for before, now in zip(old.rows, new.rows, strict=True):
        assert dict(zip(old.columns, before, strict=True)) == dict(zip(new.columns, now, strict=True))


def test_a_state_of_an_older_program_lacks_what_it_did_not_know(warehouse: Warehouse) -> None:
    """Before promises and statements: an object without the field, contacts without the last part."""
    migrate(warehouse)
    made = next(life for life in map(wild, range(99)) if occasion_bits(life).bit_count() > 1)
    made.contacts = [
        Contact(FIRST, "k", "i", FIRST, "e", "phone", "complaint", "x", True, 1.0, 0, False, False, 1, True)
    ]
    named = json.decode(encode_named(made))
    del named["stated"]
    named["contacts"] = [contact[:-1] for contact in named["contacts"]]
    warehouse.insert(
        "customer_states", {"customer_id": "String", "state": "String"}, [["a", json.encode(named).decode()]], "old"
    )
    found = warehouse.query("SELECT * FROM customer_states")
    row = dict(zip(found.columns, found.rows[0], strict=True))
    for name in ("binding_kinds", "binding_ends", "promised_at", "promise_done_at", "promise_settled_at"):
        assert row[name] == []
    assert (row["programme_member"], row["referred_by"], row["survey_consent"]) == (None, "", "")
    assert len(row["occasions"]) == occasion_bits(made).bit_count()
