"""``loyalty fit risk`` as a person uses it: from the warehouse or simulated, with a report, a picture and a policy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from pipeline.analysis import stored_events
from pipeline.cli import cli
from pipeline.cli.printing import risk_fitting as printing
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import AlertOutcome, Event, Purchase, ServiceContact, SurveyResponse
from pipeline.core.contract.partitioner import partition_of
from pipeline.errors import Refused
from pipeline.fitting.observations import gather
from pipeline.fitting.risk import learn
from pipeline.policy import read_policy
from pipeline.records import Record
from pipeline.sink import rows
from pipeline.sink.rows import EventRows, RowPlace
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.own_columns import columns
from tests.fitting.histories import simulated
from tests.fitting.test_risk import only_time_tells
from tests.storing import migrated

PNG = b"\x89PNG\r\n\x1a\n"
KINDS: dict[type[Event], tuple[str, Any, Any]] = {
    Purchase: ("raw_purchases", "purchase", rows.purchase),
    ServiceContact: ("raw_service_contacts", "service_contact", rows.contact),
    SurveyResponse: ("raw_survey_responses", "survey_response", rows.survey),
    AlertOutcome: ("raw_alert_outcomes", "alert_outcome", rows.outcome),
}


def fitted(tmp_path: Path, *more: str) -> Any:
    files = ["--policy", str(tmp_path / "policy.json"), "--picture", str(tmp_path / "picture.png")]
    return CliRunner().invoke(cli, ["fit", "risk", *files, *more])


def test_simulated_customers_give_a_report_a_picture_and_a_policy_that_can_be_read(tmp_path: Path) -> None:
    done = fitted(tmp_path, "--simulated", "4000", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    policy = read_policy(tmp_path / "policy.json")
    assert policy.version == found["version"]
    assert {term["term"]: term["used"] for term in found["terms"]} == {
        term["term"]: policy.named()[term["term"]] for term in found["terms"]
    }
    assert found["compared"]["learned"]["auc"] > found["compared"]["recency"]["auc"]
    assert found["synthetic_contacts"] == found["contacts"]
    assert found["bins"] == 10
    assert (tmp_path / "picture.png").read_bytes().startswith(PNG)
    assert fitted(tmp_path, "--simulated", "4000", "--json").stdout.splitlines()[-1] == done.stdout.splitlines()[-1]


def test_the_report_is_for_people(tmp_path: Path) -> None:
    done = fitted(tmp_path, "--simulated", "4000", "--per", "issue")
    assert done.exit_code == 0, done.output
    for said in (
        "All of it is synthetic: a demonstration, not evidence.",
        "Silence after a contact: no voluntary purchase for 3 times",
        "planted",
        "AUC, 0.5 is chance",
        "ECE, 10 classes",
        "days since last purchase",
        "Where the desk acted",
        "ranks and predicts better than the days since the last purchase",
        "No process uses it by itself",
    ):
        assert said in done.output, said
    assert "nan" not in done.output


def test_too_small_a_history_writes_nothing(tmp_path: Path) -> None:
    done = fitted(tmp_path, "--simulated", "50")
    assert isinstance(done.exception, Refused)
    assert "too small" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_what_does_not_beat_the_baseline_is_written_by_force_only(tmp_path: Path) -> None:
    useless = only_time_tells(gather(simulated(4_000, 1_096, seed=4)))
    policy, picture = tmp_path / "policy.json", tmp_path / "picture.png"
    with pytest.raises(Refused, match="does not beat the days since the last purchase"):
        printing.conclude(useless, policy, picture, force=False, as_json=True, simulated=False)
    assert picture.read_bytes().startswith(PNG)
    assert not policy.exists()
    printing.conclude(useless, policy, picture, force=True, as_json=True, simulated=False)
    assert read_policy(policy) == useless.policy
    assert json.loads(policy.read_text())["learned_from"]["beats_recency"] is False


def test_bounds_that_contradict_each_other_are_wrong_usage(tmp_path: Path) -> None:
    assert fitted(tmp_path, "--simulated", "50", "--shortest", "90", "--longest", "80").exit_code == 2


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A database with every table."""
    with migrated(tmp_path_factory.mktemp("warehouse")) as (_, connected):
        yield connected


def store(warehouse: Warehouse, lives: list[list[Event]]) -> None:
    """Put events where the sink puts them, through its own rows."""
    for kind, (table, name, own) in KINDS.items():
        make = EventRows(table, Decoder(name), own)
        events = [event for life in lives for event in life if isinstance(event, kind)]
        made = [
            row
            for offset, event in enumerate(events)
            for _, row in make(
                RowPlace(table, partition_of(event.customer_id.encode(), 1), 1),
                Record(offset, 4_000_000_000_000, event.customer_id.encode(), msgspec.json.encode(event), []),
            )
        ]
        assert len(made) == len(events)
        warehouse.insert(table, columns(warehouse, table), made, token=table)


@pytest.mark.xdist_group("warehouse")
def test_the_warehouse_gives_the_events_back_and_the_same_policy(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events through the sink's rows and back are the events; read in shares, each customer is whole."""
    lives = list(simulated(2_500, 1_096, seed=9))
    store(warehouse, lives)
    monkeypatch.setattr(stored_events, "ROWS_AT_ONCE", 2_000)
    shares = list(stored_events.stored(warehouse))
    read = {life[0].customer_id: life for life in shares}
    assert len(read) == len(shares)
    concerned = [life for life in lives if any(isinstance(event, ServiceContact) for event in life)]
    assert set(read) == {life[0].customer_id for life in concerned}
    for life in concerned[:300]:
        back = {event.event_id: as_read(event) for event in read[life[0].customer_id]}
        assert set(back) == {event.event_id for event in life}
        for event in life:
            assert back[event.event_id] == as_read(event)
    direct = learn(gather(sorted(concerned, key=lambda life: life[0].customer_id)))
    stored = learn(gather(read[customer] for customer in sorted(read)))
    assert stored.policy == direct.policy
    assert stored.compared == direct.compared


def as_read(event: Event) -> dict[str, Any]:
    """An event's fields; money in one way of writing, the scale as the sink completes it."""
    fields = msgspec.structs.asdict(event)
    if isinstance(event, Purchase):
        fields["amount"] = float(event.amount)
        fields["lines"] = [msgspec.structs.asdict(line) for line in event.lines]
    if isinstance(event, SurveyResponse):
        del fields["scale_min"], fields["scale_max"]
    if isinstance(event, ServiceContact):
        fields["resolved"] = event.resolved or event.stage == "resolved"
    return fields
