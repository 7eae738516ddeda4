"""Aggregates count every event once: under retries, under events produced twice, and with any number of sinks."""

from collections.abc import Iterator

import pytest

from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.sink import duplicates, start_checks
from pipeline.sink.audit import aggregates
from pipeline.warehouse import backfill
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate, views
from tests.sink.purchases import Bought, insert, made, sales, told
from tests.warehouses import embedded

pytestmark = pytest.mark.xdist_group("aggregates")
BOUGHT = made(1_500, seed=1)
TARGETS = ("sales_daily", "sales_daily_by_category", "contacts_daily", "survey_answers_daily", "outcomes_daily",
           "alerts_daily")  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse of its own, running."""
    with embedded(tmp_path_factory.mktemp("warehouse")) as made_:
        yield made_


@pytest.fixture(scope="module")
def migrated(settings: Settings) -> Warehouse:
    """Its database, up to date."""
    warehouse = connect(settings, create_database=True)
    migrate(warehouse)
    return warehouse


@pytest.fixture
def warehouse(migrated: Warehouse) -> Warehouse:
    """The same, with the purchases in it."""
    tables = ("raw_purchases", "sales_daily", "sales_daily_by_category", "found_repeats_of_purchases",
              "repeats_searched")  # fmt: skip
    for table in tables:
        migrated.command(f"TRUNCATE TABLE {table}")
    for start in range(0, len(BOUGHT), 400):
        insert(migrated, BOUGHT[start : start + 400])
    return migrated


def committed(below: int) -> dict[tuple[str, int], int]:
    """Committed offsets, the same in every partition."""
    return {("purchases", partition): below for partition in range(4)}


def check(warehouse: Warehouse, bought: list[Bought]) -> None:
    """Both views equal the recomputation."""
    assert told(warehouse) == sales(bought)
    assert told(warehouse, by_category=True) == sales(bought, by_category=True)


def test_the_events_hold_what_makes_it_hard() -> None:
    first: dict[tuple[int, str], Bought] = {}
    repeated = [one for one in BOUGHT if first.setdefault((one.customer, one.event_id), one) is not one]
    assert len(repeated) > 150
    assert sum(one.day != first[one.customer, one.event_id].day for one in repeated) > 30
    assert sum(one.refund != first[one.customer, one.event_id].refund for one in repeated) > 5


def test_without_any_search_every_event_counts_once(warehouse: Warehouse) -> None:
    check(warehouse, BOUGHT)


@pytest.mark.parametrize("below", [1, 200, 10_000])
def test_however_far_repeats_were_searched_every_event_counts_once(warehouse: Warehouse, below: int) -> None:
    duplicates.search(warehouse, committed(below))
    found = int(warehouse.value("SELECT count() FROM found_repeats_of_purchases"))
    assert int(warehouse.value("SELECT count() FROM found_repeats_of_purchases WHERE _offset >= {below:UInt64}",
                               {"below": below})) == 0  # fmt: skip
    assert (found > 0) == (below > 1)
    check(warehouse, BOUGHT)


def test_a_search_in_small_steps_finds_the_same(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    duplicates.search(warehouse, committed(10_000))
    places = "SELECT _partition, _offset, contradicts FROM found_repeats_of_purchases FINAL ORDER BY ALL"
    at_once = warehouse.query(places).rows
    for table in ("found_repeats_of_purchases", "repeats_searched"):
        warehouse.command(f"TRUNCATE TABLE {table}")
    monkeypatch.setattr(duplicates, "STEP", 150)
    duplicates.search(warehouse, committed(450))
    assert warehouse.query(places).rows == at_once
    assert len(at_once) > 150


def test_a_search_that_is_cut_off_or_done_twice_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.command(
        "INSERT INTO found_repeats_of_purchases SELECT * EXCEPT (same) FROM new_repeats_of_purchases WHERE same"
    )
    check(warehouse, BOUGHT)  # found, and not yet written down how far
    duplicates.search(warehouse, committed(300))
    warehouse.insert("repeats_searched", {"table": "String", "topic": "String", "partition": "UInt16",
                     "below": "UInt64"}, [["raw_purchases", "purchases", 0, 10]], "")  # fmt: skip
    duplicates.search(warehouse, committed(200))
    check(warehouse, BOUGHT)


def test_a_repeat_much_later_counts_nothing(warehouse: Warehouse) -> None:
    duplicates.search(warehouse, committed(10_000))
    later = [one._replace(offset=one.offset + 20_000, day=6, amount=9_999) for one in BOUGHT[:40]]
    insert(warehouse, later)
    check(warehouse, BOUGHT + later)
    assert not any(key[0] == "2024-01-06" for key in told(warehouse))


def test_a_hash_that_two_events_share_is_not_written_down_as_a_repeat(warehouse: Warehouse) -> None:
    warehouse.command("ALTER TABLE raw_purchases MODIFY COLUMN _event UInt64 MATERIALIZED cityHash64(customer_id, 'x')")
    try:
        insert(warehouse, [Bought(f"x-{n}", 1, 7, 5, "EUR", "web", (), False, 50_000 + n) for n in range(3)])
        duplicates.search(warehouse, {("purchases", 1): 60_000})
        assert int(warehouse.value("SELECT count() FROM found_repeats_of_purchases WHERE _offset >= 50000")) == 0
    finally:
        warehouse.command(
            "ALTER TABLE raw_purchases MODIFY COLUMN _event UInt64 MATERIALIZED cityHash64(customer_id, event_id)"
        )


def test_a_customer_who_is_taken_out_leaves_every_sum_and_the_audit_agrees(warehouse: Warehouse) -> None:
    duplicates.search(warehouse, committed(200))
    for _ in range(2):  # interrupted, and done again
        for view in views():
            if view.source == "raw_purchases":
                backfill.take_out(warehouse, view, "c-7", f"erase/c-7/{view.name}")
    for table in ("raw_purchases", "found_repeats_of_purchases"):
        warehouse.command(f"DELETE FROM {table} WHERE customer_id = 'c-7'")
    left = [one for one in BOUGHT if one.customer != 7]
    found, wanted = told(warehouse), sales(left)
    assert {key: sums[:-1] for key, sums in found.items()} == {key: sums[:-1] for key, sums in wanted.items()}
    assert all(0 <= found[key][-1] - wanted[key][-1] <= 1 for key in wanted), "still one of the customers of the day"
    assert all(one.counted == one.rows for one in aggregates(warehouse).values())


def test_a_batch_that_is_written_again_counts_once(warehouse: Warehouse) -> None:
    insert(warehouse, BOUGHT[:400])
    check(warehouse, BOUGHT)
    assert all(one.counted == one.rows for one in aggregates(warehouse).values())


def test_a_target_without_its_window_counts_twice_and_both_checks_say_so(warehouse: Warehouse) -> None:
    for target in TARGETS:
        warehouse.command(f"ALTER TABLE {target} MODIFY SETTING non_replicated_deduplication_window = 0")
        with pytest.raises(Refused, match=target):
            start_checks.windows(warehouse)
        if target == "sales_daily":
            insert(warehouse, BOUGHT[:400])
            assert told(warehouse) != sales(BOUGHT)
            counted, rows, _ = aggregates(warehouse, looks=1)[target]
            assert counted == rows + 400
        warehouse.command(f"ALTER TABLE {target} MODIFY SETTING non_replicated_deduplication_window = 10000")
    start_checks.windows(warehouse)
