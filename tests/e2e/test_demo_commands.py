"""The commands a person uses, on a pipeline that has run the demo."""

import json
import subprocess
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.e2e.conftest import Demo
from tests.stacks import Stack, eventually

pytestmark = pytest.mark.xdist_group("demo")


def send(demo: Demo, topic: str, **fields: Any) -> None:
    producer = Producer({"bootstrap.servers": demo.kafka, "partitioner": "murmur2_random"})
    producer.produce(topic, json.dumps(fields).encode(), fields["customer_id"])
    assert producer.flush(10) == 0


def moment(hours_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()


@pytest.fixture
def customer(demo: Demo) -> str:
    """A customer with two purchases and a cancellation request that nobody has solved."""
    name = f"person-{uuid.uuid4().hex[:8]}"
    for number, hours in enumerate((900, 500)):
        send(
            demo, "purchases", event_id=f"{name}-p{number}", customer_id=name, occurred_at=moment(hours),
            order_id=f"o-{number}", amount="25.50", currency="EUR", lines=[{"category": "books"}],
        )  # fmt: skip
    time.sleep(0.3)
    send(
        demo, "service-contacts", event_id=f"{name}-k", customer_id=name, occurred_at=moment(2), contact_id=f"{name}-k",
        issue_id=f"{name}-i", stage="opened", opened_at=moment(2), channel="phone", kind="cancellation",
        origin="delivery", transfers=2,
    )  # fmt: skip
    eventually(
        lambda: demo.run("customer", name, "--json").stdout.count('"status":"open"') == 1, 20, "the alert of a customer"
    )
    return name


def test_status_shows_processes_lag_and_last_events(demo: Demo) -> None:
    found = demo.json("status")
    assert {entry["process"] for entry in found["processes"]} == {"broker", "warehouse", "worker", "sink", "notifier"}
    assert all(entry["running"] for entry in found["processes"])
    assert {topic["topic"] for topic in found["topics"]} >= {"purchases", "dead-letters", "customer-states"}
    assert all(entry["last_received_at"] for entry in found["last_events"] if entry["topic"] == "purchases")
    shown = demo.run("status")
    assert shown.returncode == 0
    assert "worker behind" in shown.stdout


def test_a_customer_reads_as_a_person_would_say_it(demo: Demo, customer: str) -> None:
    shown = demo.run("customer", customer).stdout
    assert "Bought twice for 51.00 EUR" in shown
    assert "phone cancellation (delivery)" in shown
    assert "They asked to cancel." in shown
    assert "They were passed on twice." in shown
    assert "Attachment" in shown
    state = demo.json("customer", customer)["loyalty"]
    assert (state["quadrant"], state["repeat_occasions"]) == ("neither regular nor long-standing", 1)
    as_of = demo.json("customer", "02324", "--at", "1998-06-30")["loyalty"]
    assert (as_of["lifecycle"], as_of["quadrant"]) == ("lapsed", "long-standing, not regular")


def test_an_unknown_customer_is_one_clear_line(demo: Demo) -> None:
    done = demo.run("customer", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "nobody" in done.stderr


def test_the_desk_lists_and_shows_alerts_and_its_outcome_closes_one(demo: Demo, customer: str) -> None:
    alert = next(
        a for a in demo.json("alerts", "list", "--sort", "raised", "--limit", "50") if a["customer_id"] == customer
    )
    losses = [a["expected_loss"] for a in demo.json("alerts", "list")]
    assert losses == sorted(losses, reverse=True)
    shown = demo.run("alerts", "show", alert["alert_id"][:12]).stdout
    assert "Next: Call today" in shown
    assert "Worth: pays 51 EUR a year" in shown
    done = ("alerts", "done", alert["alert_id"][:12], "--result", "retained", "--reason", "problem_solved")
    first, again = demo.json(*done, "--desk", "north"), demo.json(*done, "--desk", "north")
    assert first["event_id"] == again["event_id"]
    eventually(lambda: demo.json("alerts", "show", alert["alert_id"])["status"] == "closed", 20, "the alert is closed")
    told = [message["transition"] for message in demo.json("alerts", "show", alert["alert_id"])["told"]]
    assert (told[0], told[-1]) == ("raised", "closed")
    shown = demo.run("alerts", "show", alert["alert_id"]).stdout
    assert shown.count("called, retained (problem_solved)  by north") == 1
    assert demo.json(*done, "--desk", "north")["repeated"]
    refused = demo.run("alerts", "done", "no-such-alert", "--result", "lost")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_tail_shows_alerts_as_they_come(demo: Demo) -> None:
    name = f"tailed-{uuid.uuid4().hex[:8]}"
    tail = subprocess.Popen(
        [str(demo.loyalty), "alerts", "tail", "--json", "--count", "1", "--customer", name,
         "--transition", "raised", "--data-dir", str(demo.directory)],
        stdout=subprocess.PIPE, text=True, env=demo.environment(),
    )  # fmt: skip
    try:
        time.sleep(3)
        send(
            demo, "purchases", event_id=f"{name}-p", customer_id=name, occurred_at=moment(50), order_id="o",
            amount=3, currency="EUR",
        )  # fmt: skip
        time.sleep(0.3)
        send(
            demo, "service-contacts", event_id=f"{name}-k", customer_id=name, occurred_at=moment(1), contact_id="k",
            issue_id="i", stage="opened", opened_at=moment(1), channel="email", kind="cancellation",
        )  # fmt: skip
        out, _ = tail.communicate(timeout=240)
        assert json.loads(out)["customer_id"] == name
    finally:
        tail.kill()


def test_query_answers_and_cannot_write(demo: Demo) -> None:
    assert demo.json("query", "SELECT 1 AS one, 'a' AS letter") == [{"one": 1, "letter": "a"}]
    assert demo.json("query", "SELECT 1 AS one WHERE 0") == []
    refused = demo.run("query", "DROP TABLE raw_purchases")
    assert refused.returncode == 1
    assert int(demo.rows("SELECT count() AS n FROM raw_purchases")[0]["n"]) >= 69_659
    assert demo.run("query", "SELECT nonsense").stderr.count("\n") == 1


def test_the_doctor_finds_nothing_wrong(demo: Demo) -> None:
    found = demo.json("doctor")
    assert [finding["check"] for finding in found if not finding["ok"]] == []
    assert {"configuration", "broker", "topics", "partitioner", "warehouse", "clock", "disk"} <= {
        finding["check"] for finding in found
    }


def test_the_doctor_names_the_remedy_for_what_is_away(demo: Demo) -> None:
    done = subprocess.run(
        [str(demo.loyalty), "doctor", "--json"], capture_output=True, text=True, check=False, timeout=240,
        env=demo.environment() | {"LOYALTY_KAFKA": "127.0.0.1:1", "LOYALTY_CLICKHOUSE": "http://127.0.0.1:1"},
    )  # fmt: skip
    bad = {finding["check"]: finding["remedy"] for finding in json.loads(done.stdout) if not finding["ok"]}
    assert done.returncode == 1
    assert {"broker", "topics", "warehouse"} <= bad.keys()
    assert all(bad.values())


def test_replaying_the_same_purchases_again_changes_no_customer(demo: Demo) -> None:
    def folded() -> int:
        return int(demo.rows("SELECT sum(purchases) AS n FROM customers WHERE match(customer_id, '^[0-9]+$')")[0]["n"])

    before = folded()
    records = "SELECT count() AS n FROM raw_purchases WHERE source = 'cdnow-sample'"
    assert demo.run("replay", "cdnow", "--sample").returncode == 0
    assert demo.run("replay", "cdnow", "--sample").returncode == 0
    eventually(lambda: int(demo.rows(records)[0]["n"]) == 2 * 6_919, 30, "both replays")
    eventually(lambda: folded() == before + 6_919, 20, "the sample once")
    once = demo.rows("SELECT count() AS n FROM purchases WHERE source = 'cdnow-sample'")
    assert int(once[0]["n"]) == 6_919


def test_simulated_events_are_labelled_and_accepted(demo: Demo) -> None:
    rejected = len(demo.json("dead-letters", "list"))
    done = demo.run("simulate", "--customers", "50", "--days", "200", "--seed", "3")
    assert done.returncode == 0, done.stderr
    sent = int(done.stdout.split()[1])
    folded = "SELECT sum(events) AS n FROM customers WHERE startsWith(customer_id, 'sim-3-')"
    eventually(lambda: int(demo.rows(folded)[0]["n"]) == sent, 30, "every simulated event folded")
    assert len(demo.json("dead-letters", "list")) == rejected
    unlabelled = demo.rows(
        "SELECT count() AS n FROM purchases WHERE startsWith(customer_id, 'sim-3-') AND NOT synthetic"
    )
    assert int(unlabelled[0]["n"]) == 0


def test_a_population_of_the_future_is_refused_with_the_remedy(demo: Demo) -> None:
    done = demo.run("simulate", "--customers", "1", "--days", "7000", "--seed", "1")
    assert done.returncode == 4
    assert "--start" in done.stderr


@pytest.mark.soak
def test_a_second_stack_shares_the_broker_under_a_prefix(demo: Demo, tmp_path: Path) -> None:
    other = Stack(demo.loyalty, tmp_path, ("up", "--kafka", demo.kafka))
    other.settings = {"LOYALTY_TOPIC_PREFIX": "other."}
    try:
        other.start()
        assert any("other." not in line and "created" in line for line in other.lines)
        assert other.run("replay", "cdnow", "--sample").returncode == 0
        counted = "SELECT sum(purchases) AS n FROM customers"
        eventually(lambda: int(other.rows(counted)[0]["n"] or 0) == 6_919, 30, "the sample in the other stack")
        assert {p["process"] for p in other.json("status")["processes"]} == {"warehouse", "worker", "sink", "notifier"}
        other.settings["LOYALTY_PARTITIONS"] = "8"
        done = other.run("topics", "create")
        assert done.returncode == 4
        assert "other.purchases has 4 partitions" in done.stderr
    finally:
        other.end()


def test_topics_that_are_missing_are_named_with_the_remedy(demo: Demo) -> None:
    done = subprocess.run(
        [str(demo.loyalty), "replay", "cdnow", "--sample"], capture_output=True, text=True, check=False, timeout=240,
        env=demo.environment() | {"LOYALTY_KAFKA": demo.kafka, "LOYALTY_TOPIC_PREFIX": "nowhere."},
    )  # fmt: skip
    assert done.returncode == 4
    assert "nowhere.purchases is missing; create the topics: loyalty topics create" in done.stderr
