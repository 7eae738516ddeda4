"""The embedded warehouse speaks ClickHouse's protocol: to the official client, to curl, and not to web pages."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.config import Settings
from pipeline.core.contract.partitioner import partition_of
from pipeline.errors import Refused, Unreachable
from pipeline.records import Record
from pipeline.sink.duplicates import KINDS
from pipeline.sink.rows import TABLES, RowPlace, by_topic
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.failures import QueryFailed
from pipeline.warehouse.migrations import Migration, migrate, shipped
from pipeline.warehouse.own_columns import columns
from tests.conftest import ROOT
from tests.faults.warehouses import Embedded
from tests.stacks import eventually, free_ports
from tests.warehouses import answers, embedded

pytestmark = pytest.mark.xdist_group("warehouse")
DAILY = ("sales_daily", "sales_daily_by_category", "contacts_daily", "survey_answers_daily", "outcomes_daily",
         "alerts_daily")  # fmt: skip
READ_AS_SETS = ["schema_migrations", "repeats_searched", *(f"found_repeats_of_{kind}" for _, kind in KINDS.values())]
"""No insert of the sink reaches them, and a line that stands there twice means the same."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse of its own, running."""
    with embedded(tmp_path_factory.mktemp("warehouse")) as made:
        yield made


@pytest.fixture(scope="module")
def client(settings: Settings) -> Client:
    """The official client."""
    port = int(settings.clickhouse.rsplit(":", 1)[1])
    made = clickhouse_connect.get_client(host="127.0.0.1", port=port)
    made.command("CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
    made.command(
        "CREATE TABLE d.t (a UInt64, b String) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    return made


def get(
    settings: Settings, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    request = urllib.request.Request(settings.clickhouse + path, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as failed:
        return failed.code, failed.read().decode()
    except OSError:
        return 0, ""


def test_curl_asks_by_url_or_by_body(settings: Settings) -> None:
    assert get(settings, "/?query=" + urllib.parse.quote("SELECT 1, 'a'")) == (200, "1\ta\n")
    assert get(settings, "/", b"SELECT 2 FORMAT JSONEachRow") == (200, '{"2":2}\n')
    status, text = get(settings, "/?default_format=JSONCompact", b"SELECT 3 AS three")
    assert (status, json.loads(text)["data"]) == (200, [[3]])


def test_an_error_carries_clickhouses_code_and_text(settings: Settings) -> None:
    status, text = get(settings, "/", b"SELECT nonsense")
    assert status == 500
    assert text.startswith("Code: 47.")


def test_the_official_client_inserts_and_reads_bytes_as_they_are(client: Client) -> None:
    client.insert("d.t", [[1, b"\xff\x00raw"]], column_names=["a", "b"])
    found = client.query("SELECT b FROM d.t WHERE a = 1", column_formats={"b": "bytes"})
    assert found.result_rows == [(b"\xff\x00raw",)]


def test_the_same_token_again_inserts_nothing(client: Client) -> None:
    for _ in range(3):
        client.insert("d.t", [[7, "x"]] * 50, column_names=["a", "b"],
                      settings={"insert_deduplication_token": "t/0/1-50", "insert_deduplicate": 1})  # fmt: skip
    assert client.query("SELECT count() FROM d.t WHERE a = 7").result_rows == [(50,)]


@pytest.mark.parametrize(
    ("refusing", "code"),
    [
        ("ALTER TABLE refused ADD CONSTRAINT small CHECK n < 9", 469),
        ("CREATE MATERIALIZED VIEW picky ENGINE = Null AS SELECT throwIf(n > 8) FROM refused", 395),
        ("ALTER TABLE refused MODIFY SETTING parts_to_throw_insert = 1", 252),
    ],
    ids=["constraint", "view", "parts"],
)
def test_rows_that_the_engine_does_not_take_are_an_error(client: Client, refusing: str, code: int) -> None:
    client.command("CREATE OR REPLACE TABLE refused (n UInt8) ENGINE = MergeTree ORDER BY n")
    client.command("DROP VIEW IF EXISTS picky")
    client.insert("refused", [[1]], column_names=["n"])
    client.command(refusing)
    with pytest.raises(ClickHouseError, match=f"Code: {code}"):
        client.insert("refused", [[7], [9]], column_names=["n"])


def test_parameters_are_values_not_sql(client: Client) -> None:
    text = "it's; DROP TABLE d.t --"
    assert client.query("SELECT {s:String}", parameters={"s": text}).result_rows == [(text,)]


def test_settings_of_one_request_end_with_it(settings: Settings) -> None:
    ask = b"SELECT getSetting('max_threads')"
    before = get(settings, "/", ask)
    assert get(settings, "/?max_threads=1", ask) == (200, "1\n")
    assert get(settings, "/", ask) == before


def test_an_insert_does_not_wait_behind_a_scan_that_never_ends(settings: Settings, client: Client) -> None:
    with asking(settings, ENDLESS["before the first row"]):
        eventually(lambda: running(settings) == 1, 20, "it runs")
        client.insert("d.t", [[9, "y"]], column_names=["a", "b"])
        assert running(settings) == 1
    eventually(lambda: running(settings) == 0, 20, "it has ended")


ENDLESS = {
    "before the first row": "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 0",
    "with a head and a foot": "SELECT sum(sipHash64(number)) FROM numbers(1000000000000) FORMAT JSONCompact",
    "in the middle of its rows": "SELECT number FROM numbers(1000000000000)",
}


def asking(settings: Settings, sql: str) -> socket.socket:
    """Somebody who has asked and waits for the answer."""
    host, port = settings.clickhouse.removeprefix("http://").split(":")
    made = socket.create_connection((host, int(port)))
    body = sql.encode()
    made.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    return made


def running(settings: Settings) -> int:
    """How many queries of so many numbers the engine works on."""
    asked = b"SELECT count() FROM system.processes WHERE position(query, '1' || '000000000000') > 0"
    return int(get(settings, "/", asked)[1])


@pytest.mark.parametrize("sql", ENDLESS.values(), ids=ENDLESS)
def test_a_query_ends_when_whoever_asked_is_gone(settings: Settings, sql: str) -> None:
    with asking(settings, sql) as client:
        eventually(lambda: running(settings) == 1, 20, "it runs")
        if "SELECT number" in sql:
            assert client.recv(1_000)
    eventually(lambda: running(settings) == 0, 20, "it has ended")


def test_queries_that_wait_for_their_turn_do_not_begin_when_whoever_asked_is_gone(settings: Settings) -> None:
    clients = [asking(settings, ENDLESS["before the first row"]) for _ in range(3)]
    eventually(lambda: running(settings) == 3, 20, "they run")
    waiting = [asking(settings, ENDLESS["with a head and a foot"]) for _ in range(4)]
    for client in (*waiting, *clients):
        client.close()
    eventually(lambda: running(settings) == 0, 30, "all have ended")
    assert get(settings, "/", b"SELECT 1") == (200, "1\n")


def test_a_time_limit_of_a_request_holds(settings: Settings) -> None:
    sql = ENDLESS["before the first row"].encode()
    assert get(settings, "/?max_execution_time=1", sql)[1].startswith("Code: 159.")
    assert get(settings, "/?log_comment=mine", b"SELECT getSetting('log_comment')")[1].endswith(" mine\n")


def test_a_warehouse_that_is_told_to_stop_does_not_wait_for_a_query(tmp_path: Path) -> None:
    with embedded(tmp_path) as alone:
        client = asking(alone, ENDLESS["before the first row"])
        eventually(lambda: running(alone) == 1, 20, "it runs")
    client.close()


def test_a_failure_in_the_middle_of_an_answer_is_no_complete_answer(client: Client) -> None:
    for rows in (200_000, 3_000_000):
        with pytest.raises(ClickHouseError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"):
            list(client.query(f"SELECT number, throwIf(number = {rows}) FROM numbers(5000000)").result_rows)


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_web_pages_are_kept_out(settings: Settings, headers: dict[str, str]) -> None:
    assert get(settings, "/?query=SELECT+1", headers=headers)[0] == 403


# --- migrations


@pytest.fixture
def warehouse(settings: Settings, request: pytest.FixtureRequest) -> Warehouse:
    """An empty database."""
    return connect(settings.with_changes(database=f"m_{abs(hash(request.node.name))}"), create_database=True)


def test_migrations_are_applied_once(warehouse: Warehouse) -> None:
    assert migrate(warehouse) == [migration.name for migration in shipped()]
    assert migrate(warehouse) == []


def test_every_table_has_its_deduplication_window_and_a_comment(warehouse: Warehouse) -> None:
    migrate(warehouse)
    tables = warehouse.query(
        "SELECT name, comment, create_table_query FROM system.tables WHERE database = {d:String} "
        "AND engine LIKE '%MergeTree' AND name NOT IN {sets:Array(String)}",
        {"d": warehouse.database, "sets": READ_AS_SETS},
    ).rows
    assert {name for name, *_ in tables} >= {*TABLES, *DAILY, "customer_state_history"}
    for name, comment, sql in tables:
        assert comment, name
        assert "non_replicated_deduplication_window = 10000" in sql, name


def stored(warehouse: Warehouse, topic: str, example: str, offset: int) -> None:
    """Write the row of an example as the sink does."""
    value = (ROOT / "schemas/examples" / example).read_bytes()
    key = json.loads(value)["customer_id"].encode()
    record = Record(offset, 1_780_000_000_000, key, value, [])
    ((table, row),) = by_topic()[topic](RowPlace(topic, partition_of(key, 4), 4), record)
    warehouse.insert(table, columns(warehouse, table), [row], f"{topic}-{offset}")


def test_other_spellings_of_a_value_are_stored_as_the_value(warehouse: Warehouse) -> None:
    migrate(warehouse)
    stored(warehouse, "purchases", "purchase/valid/other-spellings.json", 1)
    (row,) = warehouse.query(
        "SELECT toString(amount), quantities, toString(occurred_at) FROM raw_purchases"
    ).rows  # fmt: skip
    assert tuple(row) == ("49.9", [2], "2017-01-01 00:00:00.000")


def test_facts_that_only_some_sources_know_stand_beside_rows_from_before(warehouse: Warehouse) -> None:
    """A row of before the migration reads as one that says nothing; the views show the new columns."""
    migrate(warehouse, shipped()[:3])
    warehouse.command(
        "INSERT INTO raw_purchases (event_id, customer_id, occurred_at, order_id, amount, currency, _offset) "
        "VALUES ('old', 'c-0', '2026-01-01', 'o', 1, 'EUR', 0)"
    )
    assert migrate(warehouse) == [migration.name for migration in shipped()[3:]]
    stored(warehouse, "purchases", "purchase/valid/with-everything-a-source-may-know.json", 1)
    stored(warehouse, "service-contacts", "service_contact/valid/promises.json", 2)
    stored(warehouse, "surveys", "survey_response/valid/consent-withdrawn.json", 3)
    stored(warehouse, "alert-outcomes", "alert_outcome/valid/consent-granted.json", 4)
    purchases = warehouse.query(
        "SELECT binding_kinds, toString(binding_ends[1]), binding_notices[2], programme_member, referred_by, "
        "toString(promised_delivery_at), toString(delivered_at), survey_consent FROM purchases ORDER BY occurred_at"
    ).rows  # fmt: skip
    assert [tuple(row) for row in purchases] == [
        ([], None, None, None, "", None, None, ""),
        (["contractual", "technical"], "2028-04-02 22:00:00.000", None, True, "17", "2026-04-05 16:00:00.000",
         "2026-04-06 09:00:00.000", "existing_customer"),
    ]  # fmt: skip
    (contact,) = warehouse.query(
        "SELECT promised_callback_at = called_back_at, promised_answer_at = answered_at, survey_consent, "
        "survey_consent_at = occurred_at FROM service_contacts"
    ).rows
    assert tuple(contact) == (1, 1, "granted", 1)
    assert warehouse.query("SELECT survey_consent FROM survey_responses").rows[0][0] == "withdrawn"
    assert warehouse.query("SELECT survey_consent FROM alert_outcomes").rows[0][0] == "granted"


def test_an_interrupted_migration_is_finished(warehouse: Warehouse) -> None:
    first = shipped()[0]
    half = Migration(1, first.name, first.statements()[0] + ";\n")
    warehouse.command(half.statements()[0])
    assert migrate(warehouse)[0] == first.name


def test_a_migration_that_was_edited_after_it_was_applied_is_refused(warehouse: Warehouse) -> None:
    migrate(warehouse)
    edited = [m._replace(sql=m.sql + "\n-- a word more\n") for m in shipped()]
    with pytest.raises(Refused, match=r"0001_raw_events\.sql was changed"):
        migrate(warehouse, edited)


def test_a_warehouse_that_is_newer_than_the_program_is_refused(warehouse: Warehouse) -> None:
    migrate(warehouse, [*shipped(), Migration(99, "0099_future.sql", "")])
    with pytest.raises(Refused, match="run the newer version"):
        migrate(warehouse)


def test_errors_say_whose_they_are(settings: Settings, warehouse: Warehouse) -> None:
    with pytest.raises(QueryFailed):
        warehouse.query("SELECT nonsense")
    with pytest.raises(Unreachable):
        connect(Settings(clickhouse="http://127.0.0.1:1"))


def test_two_warehouses_on_one_directory_are_refused(settings: Settings, tmp_path: Path) -> None:
    port, metrics = free_ports(2)
    env = settings.with_changes(clickhouse=f"http://127.0.0.1:{port}", warehouse_metrics_port=metrics).as_env()
    done = subprocess.run([sys.executable, "-m", "pipeline", "warehouse"], env=env | {"PATH": "/usr/bin"},
                          capture_output=True, text=True, timeout=240, check=False)  # fmt: skip
    assert done.returncode == 4
    assert "cannot be opened" in done.stderr


def test_a_client_that_goes_away_in_the_middle_of_its_request_is_no_error(tmp_path: Path) -> None:
    engine = Embedded(tmp_path).start()
    try:
        with socket.create_connection(("127.0.0.1", engine.port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nSELECT")
        with urllib.request.urlopen(engine.url, b"SELECT 1", timeout=10) as answer:
            assert answer.read() == b"1\n"
        assert "Traceback" not in (tmp_path / "warehouse.log").read_text()
    finally:
        engine.kill()


FILLING = """
mount -t tmpfs -o size=150m tmpfs "$1"
( while [ ! -e "$2/fill" ]; do sleep 0.1; done; dd if=/dev/zero of="$1/full" bs=1M 2>/dev/null
  while [ ! -e "$2/free" ]; do sleep 0.1; done; rm "$1/full"; touch "$2/freed" ) &
for attempt in 1 2 3; do
    "$3" -m pipeline warehouse serve
    code=$?; echo "ended $code"
    [ $code = 3 ] || exit
    if [ $attempt = 2 ]; then touch "$2/free"; while [ ! -e "$2/freed" ]; do sleep 0.1; done; fi
done
"""


def test_a_full_disk_ends_the_warehouse_at_once_and_with_room_it_goes_on(tmp_path: Path) -> None:
    """What is merged while the disk is full may come out empty: an engine that goes on drops its sources."""
    place, signs = tmp_path / "place", tmp_path / "signs"
    place.mkdir()
    signs.mkdir()
    port, metrics = free_ports(2)
    own = Settings().with_changes(
        clickhouse=f"http://127.0.0.1:{port}", warehouse_metrics_port=metrics, data_dir=str(place / "data")
    )
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    with subprocess.Popen(
        [*own_mounts, "sh", "-c", FILLING, "filling", str(place), str(signs), sys.executable],
        env=os.environ | own.as_env(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            eventually(lambda: answers(own), 60, "the warehouse answers")
            warehouse = connect(own, create_database=True)
            warehouse.command("CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
            warehouse.command("INSERT INTO kept SELECT number FROM numbers(1000)")
            (signs / "fill").touch()
            eventually((signs / "freed").exists, 60, "it ended twice for want of room")
            eventually(lambda: answers(own), 60, "it answers again")
            assert int(connect(own).value("SELECT count() FROM kept")) == 1000
        finally:
            os.killpg(process.pid, signal.SIGTERM)
        said = process.stdout.read() if process.stdout else ""
    assert said.count("is full: ") == 2, said
    assert said.count("ended 3") == 2, said
