"""What a sink refuses to start on, and what ClickHouse refuses to take: one record at most, never its neighbours."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline.config import Settings
from pipeline.crashpoints import VARIABLE, Point
from pipeline.errors import Refused, Transient
from pipeline.sink.start_checks import keeps_metadata
from pipeline.topics import DEAD_LETTERS, INPUTS
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrations import migrate
from tests.faults.field import Field, Running, traffic
from tests.faults.oracle import read_log
from tests.faults.rows import check_rows
from tests.faults.volume import EVENTS
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-sink")
WINDOW = "SETTINGS non_replicated_deduplication_window = 10000"
PURCHASES = INPUTS[0].name


@pytest.fixture
def migrated(filled: Field) -> Field:
    """A field whose database has its tables."""
    migrate(connect(filled.settings, create_database=True))
    return filled


def purchase(number: int, amount: str = "10.00", currency: str = "EUR") -> tuple[str, bytes, bytes]:
    customer = f"c{number % 7}"
    event = {
        "event_id": f"e{number}", "customer_id": customer, "occurred_at": "2025-03-01T12:00:00Z",
        "order_id": str(number), "amount": amount, "currency": currency,
    }  # fmt: skip
    return PURCHASES, customer.encode(), json.dumps(event).encode()


def refusal(sink: Running) -> str:
    """The one line with which a sink refuses to start."""
    assert sink.wait_dead() == 4
    lines = [line for line in sink.tail().splitlines() if line.startswith("loyalty: ")]
    assert len(lines) == 1, sink.tail()
    return lines[0]


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (["ALTER TABLE raw_surveys_ MODIFY SETTING non_replicated_deduplication_window = 0"], "raw_survey_responses"),
        (
            [
                "CREATE TABLE totals (n UInt64) ENGINE = SummingMergeTree ORDER BY tuple()",
                "CREATE MATERIALIZED VIEW v TO totals AS SELECT toUInt64(1) AS n FROM raw_purchases",
            ],
            "totals",
        ),
        (
            [
                f"CREATE TABLE first (n UInt64) ENGINE = MergeTree ORDER BY n {WINDOW}",
                "CREATE MATERIALIZED VIEW v TO first AS SELECT toUInt64(1) AS n FROM raw_purchases",
                "CREATE TABLE `the-second` (n UInt64) ENGINE = MergeTree ORDER BY n",
                "CREATE MATERIALIZED VIEW w TO `the-second` AS SELECT n FROM first",
            ],
            "the-second",
        ),
        (
            ["CREATE MATERIALIZED VIEW hidden ENGINE = MergeTree ORDER BY n AS SELECT 1 AS n FROM alert_messages"],
            ".inner_id.",
        ),
    ],
    ids=["table", "view-target", "second-in-a-chain", "hidden-table-of-a-view"],
)
def test_a_table_without_a_window_is_refused_and_the_line_mends_it(
    migrated: Field, broken: Sequence[str], named: str
) -> None:
    for sql in broken:
        migrated.rows(sql.replace("raw_surveys_", "raw_survey_responses"))
    sink = migrated.sink("0")
    line = refusal(sink)
    assert named in line
    migrated.rows(line[line.index("ALTER TABLE") :])
    sink.start().wait_ready()


@pytest.mark.extended
def test_an_analysts_own_table_is_no_business_of_the_sink(migrated: Field) -> None:
    migrated.rows("CREATE TABLE mine (n UInt64) ENGINE = MergeTree ORDER BY n")
    migrated.rows("CREATE VIEW plain AS SELECT * FROM raw_purchases")
    migrated.sink().wait_ready()


class Dropping:
    """A broker that keeps offsets and drops what is said beside them, as some that speak Kafka's protocol do."""

    def commit(self, **_: Any) -> None:
        """Accept it."""

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """The offset, without its metadata."""
        return [TopicPartition(place.topic, place.partition, 0) for place in places]

    def close(self) -> None:
        """Nothing to close."""


def test_a_broker_that_drops_the_metadata_of_commits_is_refused(field: Field) -> None:
    keeps_metadata(field.settings)
    with pytest.raises(Refused, match="drops the metadata"):
        keeps_metadata(field.settings, Dropping())


def letters_of(field: Field, reason: str) -> list[tuple[str, int, int]]:
    said = [
        {name.rsplit(".", 1)[1]: (value or b"").decode() for name, value in record.headers.items()}
        for record in read_log(field.settings, DEAD_LETTERS)
    ]
    return [
        (field.settings.logical(one["topic"]), int(one["partition"]), int(one["offset"]))
        for one in said
        if one["reason"] == reason
    ]


def purchases_with(field: Field, text: bytes) -> list[tuple[str, int, int]]:
    found = [record for record in read_log(field.settings, INPUTS[0]) if text in (record.value or b"")]
    return [(PURCHASES, record.partition, record.offset) for record in found]


@pytest.mark.extended
@pytest.mark.parametrize(
    "step",
    [
        *(
            pytest.param(step, marks=pytest.mark.soak)
            for step in (None, Point.SINK_INTENT_RECORDED, Point.SINK_COMMITTED)
        ),
        Point.SINK_INSERTED,
    ],
)
def test_rows_that_a_constraint_refuses_become_dead_letters_and_their_neighbours_are_written(
    grown_filled: Field, step: Point | None
) -> None:
    migrated = grown_filled
    migrate(connect(migrated.settings, create_database=True))
    migrated.rows("ALTER TABLE raw_purchases ADD CONSTRAINT no_francs CHECK currency != 'CHF'")
    migrated.send(purchase(n, currency="CHF" if n in (40, 41, 300) else "EUR") for n in range(500))
    sink = migrated.sink("0", **({VARIABLE: f"{step}:4"} if step else {}))
    if step:
        assert sink.wait_dead() == -9
        sink.start(**{VARIABLE: ""})
    sink.wait_ready()
    migrated.wait_done("sink")
    refused = purchases_with(migrated, b'"CHF"')
    assert len(refused) == 3
    assert set(letters_of(migrated, "rejected-by-warehouse")) == set(refused)
    assert check_rows(migrated, frozenset(refused)) > 4 * EVENTS
    detail = migrated.rows("SELECT DISTINCT detail FROM dead_letters WHERE reason = 'rejected-by-warehouse'")
    assert detail == [{"detail": "raw_purchases: VIOLATED_CONSTRAINT (469)"}]


@pytest.mark.extended
def test_a_refusal_by_the_second_table_does_not_double_the_first(migrated: Field) -> None:
    migrated.rows("ALTER TABLE alert_states ADD CONSTRAINT picky CHECK severity != 'critical'")
    migrated.send(traffic(200))
    migrated.worker().wait_ready()
    migrated.wait_done()
    migrated.sink().wait_ready()
    migrated.wait_done("sink")
    messages = migrated.rows("SELECT count() AS rows, uniqExact(_partition, _offset) AS places FROM alert_messages")[0]
    critical = migrated.rows("SELECT count() AS n FROM alert_messages WHERE severity = 'critical'")[0]["n"]
    assert messages["rows"] == messages["places"]
    assert int(critical) > 0
    assert len(set(letters_of(migrated, "rejected-by-warehouse"))) == int(critical)
    assert migrated.rows("SELECT count() AS n FROM alert_states FINAL WHERE severity = 'critical'") == [{"n": 0}]


@pytest.mark.extended
def test_a_dead_letter_that_is_refused_itself_is_counted_and_goes_nowhere(migrated: Field) -> None:
    migrated.rows("ALTER TABLE dead_letters ADD CONSTRAINT none_at_all CHECK source_topic = ''")
    migrated.rows("ALTER TABLE raw_purchases ADD CONSTRAINT no_francs CHECK currency != 'CHF'")
    migrated.send([purchase(1), purchase(2, currency="CHF"), purchase(3)].__iter__())
    sink = migrated.sink().wait_ready()
    migrated.wait_done("sink")
    time.sleep(1.5)
    migrated.wait_done("sink")
    assert len(read_log(migrated.settings, DEAD_LETTERS)) == 1
    assert sink.metric("loyalty_sink_rejected_records_total") == 2
    assert migrated.rows("SELECT count() AS n FROM raw_purchases") == [{"n": 2}]


@pytest.mark.extended
@pytest.mark.parametrize(
    ("view", "mend"),
    [
        pytest.param(
            "SELECT throwIf(currency = 'CHF') AS n FROM raw_purchases", "DROP VIEW throwing", marks=pytest.mark.soak
        ),
        ("SELECT toUInt8(currency = 'CHF') AS n FROM raw_purchases", "ALTER TABLE target DROP CONSTRAINT zero"),
    ],
    ids=["throws", "its-table-refuses"],
)
def test_a_view_that_fails_holds_its_batch_up_until_it_is_mended_and_doubles_nothing(
    migrated: Field, view: str, mend: str
) -> None:
    migrated.rows(f"CREATE TABLE target (n UInt8, CONSTRAINT zero CHECK n = 0) ENGINE = MergeTree ORDER BY n {WINDOW}")
    migrated.rows(f"CREATE MATERIALIZED VIEW throwing TO target AS {view}")
    migrated.send(purchase(n, currency="CHF" if n == 33 else "EUR") for n in range(100))
    sink = migrated.sink().wait_ready()
    eventually(lambda: sink.metric("loyalty_sink_unexplained_errors_total") > 1, 30, "the sink complains")
    others = [record for record in traffic(20, broken=0) if record[0] != PURCHASES]
    migrated.send(iter(others))
    stored = "SELECT count() AS n FROM raw_service_contacts UNION ALL SELECT count() FROM raw_survey_responses"
    eventually(lambda: all(int(row["n"]) for row in migrated.rows(stored)), 30, "other topics are written meanwhile")
    migrated.rows(mend)
    migrated.wait_done("sink")
    assert check_rows(migrated) == 100 + len(others)
    if mend.startswith("ALTER"):
        assert migrated.rows("SELECT count() AS n FROM target") == [{"n": 100}]


@pytest.mark.extended
def test_too_many_parts_are_waited_for(migrated: Field) -> None:
    sink = migrated.sink().wait_ready()
    migrated.rows("SYSTEM STOP MERGES raw_purchases")
    migrated.rows("ALTER TABLE raw_purchases MODIFY SETTING parts_to_throw_insert = 2, parts_to_delay_insert = 1")
    for start in range(0, 500, 100):  # in batches of their own
        migrated.send(purchase(n) for n in range(start, start + 100))
        time.sleep(1.2)
    eventually(lambda: sink.metric("loyalty_sink_retries_total") > 1, 30, "the sink waits")
    assert sink.metric("loyalty_sink_unexplained_errors_total") == 0
    migrated.rows("ALTER TABLE raw_purchases RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
    migrated.wait_done("sink")
    assert check_rows(migrated) == 500


class Loading:
    """A broker whose coordinator is not ready at first."""

    def __init__(self, code: int, times: int) -> None:
        self._code, self._times, self._kept = code, times, ""

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self._times -= 1
        if self._times >= 0:
            raise KafkaException(KafkaError(self._code))
        self._kept = offsets[0].metadata

    def committed(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(asked[0].topic, asked[0].partition, 0, self._kept)]

    def close(self) -> None:
        pass


def test_a_coordinator_that_is_not_ready_yet_is_waited_for_and_any_other_answer_is_not() -> None:
    keeps_metadata(Settings(), Loading(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, 2))
    with pytest.raises(Transient, match="does not take offsets"):
        keeps_metadata(Settings(), Loading(KafkaError.GROUP_AUTHORIZATION_FAILED, 1))
