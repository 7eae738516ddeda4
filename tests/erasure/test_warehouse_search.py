"""The warehouse forgets a customer in every table it has, also in one that nobody told the program of."""

import subprocess
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.core.state.customer import Customer, encode_state
from pipeline.core.state.profile import ConsentState, ReferralState, Stated
from pipeline.core.state.suppression import digest_of
from pipeline.erasure import warehouse_search
from pipeline.erasure.row_filter import Forgetting
from pipeline.errors import NotFound, Refused
from pipeline.records import Record
from pipeline.sink.rows import TABLES, RowPlace, by_topic
from pipeline.topics import ERROR_HEADERS
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate
from pipeline.warehouse.own_columns import columns
from tests.conftest import ROOT
from tests.warehouses import embedded
from tests.written import NAME, NAMES, NUMBER, NUMBERS, OTHERS, Written

pytestmark = pytest.mark.xdist_group("warehouse")
GONE, OTHER = "erased-customer-77", "another-customer-78"
AT = 1_780_000_000_000
FILLED = {*TABLES, "tomorrow"} - {"suppressions"}
EVENTS = {"purchases": "purchase", "service-contacts": "service_contact", "surveys": "survey_response",
          "alert-outcomes": "alert_outcome"}  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse of its own, running."""
    with embedded(tmp_path_factory.mktemp("erasure")) as made:
        yield made


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    """An empty database with every table the program has, and one it has not."""
    connect(settings, create_database=True).command(f"DROP DATABASE IF EXISTS `{settings.database}` SYNC")
    made = connect(settings, create_database=True)
    migrate(made)
    made.command(
        "CREATE TABLE tomorrow (n UInt8, customer_id String, referred_by String) ENGINE = MergeTree ORDER BY n"
    )
    yield made
    made.close()


def example(topic: str, customer: str) -> bytes:
    path = sorted((ROOT / f"schemas/examples/{EVENTS[topic]}/valid").glob("*.json"))[0]
    return orjson.dumps(orjson.loads(path.read_bytes()) | {"customer_id": customer})


def alert(customer: str) -> bytes:
    path = sorted((ROOT / "schemas/examples/churn_alert/valid").glob("*.json"))[0]
    return orjson.dumps(
        orjson.loads(path.read_bytes()) | {"customer_id": customer, "alert_id": digest_of(customer.encode()).hex()[:32]}
    )


def records(customer: str, friend: str) -> Iterator[tuple[str, Record]]:
    """Records of every topic about a customer, who was recommended by a friend."""
    key = customer.encode()
    for topic in EVENTS:
        value = orjson.loads(example(topic, customer))
        if topic == "purchases":
            value |= {"referred_by": friend, "unplanned": {"colour": "red"}}
        yield topic, Record(0, AT, key, orjson.dumps(value), [])
    yield "churn-alerts", Record(0, AT, key, alert(customer), [])
    stated = Stated(consent=ConsentState(1, "c", "granted"), referred_by=ReferralState(1, "e", friend))
    for offset in (0, 1):  # the first of them is replaced, and lies there all the same
        state = encode_state(Customer(customer_id=customer, stated=stated, purchases=offset))
        yield "customer-states", Record(offset, AT, key, state, [])
    for offset, (kept, value) in enumerate(((key, b"\xff"), (b"x", b'{"customer_id":"%b"' % key))):
        place = {"topic": "purchases", "partition": "0", "offset": f"{offset}{len(customer)}", "reason": "unparseable"}
        yield (
            "dead-letters",
            Record(offset, AT, kept, value, [(ERROR_HEADERS + k, v.encode()) for k, v in place.items()]),
        )


def fill(warehouse: Warehouse) -> None:
    """The same about two customers who recommended each other."""
    rows_of = by_topic()
    for customer, friend in ((GONE, OTHER), (OTHER, GONE)):
        for number, (topic, record) in enumerate(records(customer, friend)):
            place = RowPlace(topic, partition_of(customer.encode(), 4), 4)
            for table, row in rows_of[topic](place, record):
                warehouse.insert(table, columns(warehouse, table), [row], f"{customer}-{number}-{table}")
        warehouse.command(f"INSERT INTO tomorrow VALUES (1, '{customer}', '{friend}')")


def tables(warehouse: Warehouse) -> dict[str, list[str]]:
    rows = warehouse.query(
        "SELECT table, groupArray(name) FROM system.columns WHERE database = {d:String} "
        "AND type NOT LIKE '%AggregateFunction%' AND table IN "
        "(SELECT name FROM system.tables WHERE database = {d:String} AND engine LIKE '%MergeTree') GROUP BY table",
        {"d": warehouse.database},
    ).rows
    return {str(table): names for table, names in rows}


def holding(warehouse: Warehouse, text: str) -> dict[str, int]:
    """Rows that hold a text anywhere."""
    found = {}
    for table, names in tables(warehouse).items():
        tests = " OR ".join(f"position(toString(`{name}`), {{c:String}}) > 0" for name in names)
        found[table] = int(warehouse.value(f"SELECT count() FROM `{table}` WHERE {tests}", {"c": text}))
    return {table: count for table, count in found.items() if count}


def own_rows(warehouse: Warehouse) -> dict[str, Any]:
    """Every row of the customer who stays."""
    keyed = [table for table, names in tables(warehouse).items() if "customer_id" in names]
    return {
        table: sorted(map(repr, warehouse.query(f"SELECT * FROM `{table}` WHERE customer_id = '{OTHER}'").rows))
        for table in keyed
    }


def files_with(settings: Settings, text: str) -> list[str]:
    """Files of the engine that hold a text."""
    done = subprocess.run(
        ["grep", "-rlaF", text, str(settings.directory / "warehouse")], capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()


def test_a_customer_is_erased_from_every_table_and_the_others_stay_as_they_were(
    settings: Settings, warehouse: Warehouse
) -> None:
    fill(warehouse)
    assert len(warehouse_search.open_alerts(warehouse, GONE)) == 1
    named = {table for table, names in tables(warehouse).items() if {"customer_id", "key"} & set(names)}
    assert FILLED <= holding(warehouse, GONE).keys() <= named
    assert files_with(settings, GONE)
    before, count = own_rows(warehouse), warehouse_search.count(warehouse, GONE)
    assert {place.split(".")[0] for place, rows in count.items() if rows} == holding(warehouse, GONE).keys()
    assert set(warehouse_search.erase(warehouse, GONE)) == {place for place, rows in count.items() if rows}
    assert not any(warehouse_search.count(warehouse, GONE).values())
    assert holding(warehouse, GONE) == {}
    assert warehouse_search.cleaned(warehouse) == (0, 0)
    assert not files_with(settings, GONE)
    after = own_rows(warehouse)
    assert {table: len(rows) for table, rows in after.items()} == {table: len(rows) for table, rows in before.items()}
    without = {table: [row.replace(GONE, "") for row in rows] for table, rows in before.items()}
    naming = {table for table, names in tables(warehouse).items() if {"referred_by", "state"} & set(names)}
    changed = {table for table in before if after[table] != before[table]}
    assert {"raw_purchases", "customer_states", "tomorrow"} <= changed <= naming
    assert after["raw_purchases"] == without["raw_purchases"]
    assert list(warehouse_search.erase(warehouse, GONE)) == []


def test_a_table_that_keeps_old_parts_for_long_keeps_none_of_an_erased_customer(
    settings: Settings, warehouse: Warehouse
) -> None:
    fill(warehouse)
    warehouse.command("ALTER TABLE raw_purchases MODIFY SETTING old_parts_lifetime = 480")
    warehouse.command("ALTER TABLE tomorrow DETACH PARTITION tuple()")
    list(warehouse_search.erase(warehouse, GONE))
    assert warehouse_search.cleaned(warehouse) == (0, 2)
    assert {name for name in files_with(settings, GONE) if "/detached/" not in name} == set()
    assert "old_parts_lifetime = 480" in str(warehouse.query("SHOW CREATE TABLE raw_purchases").rows)


def letter(number: int, record: Written) -> tuple[str, Record]:
    place = {"topic": "purchases", "partition": "0", "offset": str(number), "reason": "unparseable"}
    errors = [(ERROR_HEADERS + k, v.encode()) for k, v in place.items()]
    return "dead-letters", Record(number, AT, record.key, record.value, [*record.headers, *errors])


def test_letters_go_however_they_name_the_customer_and_those_of_others_stay(warehouse: Warehouse) -> None:
    for customer, mine in ((NUMBER, NUMBERS), (NAME, NAMES)):
        warehouse.command("TRUNCATE TABLE dead_letters SYNC")
        rows: list[Any] = []
        for number, record in enumerate((*mine.values(), *OTHERS.values())):
            topic, made = letter(number, record)
            rows += [row for _, row in by_topic()[topic](RowPlace(topic, 0, 4), made)]
        warehouse.insert("dead_letters", columns(warehouse, "dead_letters"), rows, f"letters-{customer}")
        assert warehouse_search.count(warehouse, customer)["dead_letters"] == len(mine)
        list(warehouse_search.erase(warehouse, customer))
        left = warehouse.query("SELECT source_offset FROM dead_letters ORDER BY 1").rows
        assert [int(offset) for (offset,) in left] == list(range(len(mine), len(mine) + len(OTHERS)))
        assert warehouse_search.count(warehouse, customer)["dead_letters"] == 0
        kept = Forgetting({"dead_letters": columns(warehouse, "dead_letters")}, {digest_of(customer.encode())})
        assert kept.kept_of("dead_letters", rows) == rows[len(mine) :]


def test_what_others_events_carry_of_the_customer_beside_the_contract_goes_too(warehouse: Warehouse) -> None:
    rows: list[Any] = []
    for number, more in enumerate((b'"context":{"customerId":"J\\u00fcrgen"}', b'"colour":"red"')):
        value = example("purchases", OTHER)[:-1] + b"," + more + b"}"
        record = Record(number, AT, OTHER.encode(), value, [])
        rows += [
            row for _, row in by_topic()["purchases"](RowPlace("purchases", partition_of(OTHER.encode(), 4), 4), record)
        ]
    fields = columns(warehouse, "raw_purchases")
    warehouse.insert("raw_purchases", fields, rows, "raw")
    assert warehouse_search.count(warehouse, NAME)["raw_purchases.raw"] == 1
    list(warehouse_search.erase(warehouse, NAME))
    left = [str(raw) for (raw,) in warehouse.query("SELECT raw FROM raw_purchases ORDER BY _offset").rows]
    assert [bool(raw) for raw in left] == [False, True]
    kept = Forgetting({"raw_purchases": fields}, {digest_of(NAME.encode())}).kept_of("raw_purchases", rows)
    at = list(fields).index("raw")
    assert [row[at] for row in kept] == [b"", rows[1][at]]


def test_what_the_engine_keeps_of_the_statements_names_nobody(warehouse: Warehouse) -> None:
    fill(warehouse)
    list(warehouse_search.erase(warehouse, GONE))
    commands = [str(command) for (command,) in warehouse.query("SELECT command FROM system.mutations").rows]
    assert commands
    assert not [command for command in commands if GONE in command]


def test_rows_that_come_back_behind_our_back_are_found(warehouse: Warehouse) -> None:
    fill(warehouse)
    assert not any(warehouse_search.left_over(warehouse).values())
    key = digest_of(GONE.encode()).hex().encode()
    record = Record(0, AT, key, orjson.dumps({"suppressed_at": "2026-01-02T03:04:05Z", "reason": "test-data",
                                              "receipt_id": "r"}), [])  # fmt: skip
    ((table, row),) = by_topic()["suppressed"](RowPlace("suppressed", 0, 4), record)
    warehouse.insert(table, columns(warehouse, table), [row], "s")
    assert warehouse_search.left_over(warehouse)["raw_purchases"] == 1
    list(warehouse_search.erase(warehouse, GONE))
    assert not any(warehouse_search.left_over(warehouse).values())
    with pytest.raises(NotFound, match="erased on 2026-01-02, receipt r"):
        warehouse_search.check_not_erased(warehouse, GONE)
    warehouse_search.check_not_erased(warehouse, OTHER)


def test_a_warehouse_without_the_tables_for_receipts_is_refused(warehouse: Warehouse) -> None:
    warehouse_search.check_ready(warehouse)
    warehouse.command("DROP TABLE erasures SYNC")
    with pytest.raises(Refused, match="newest migrations"):
        warehouse_search.check_ready(warehouse)
