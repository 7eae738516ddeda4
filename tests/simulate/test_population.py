"""The generator: the same seed is the same bytes, and service behaves as the published figures say."""

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pipeline.core.contract.decode import Decoder
from pipeline.simulate import cdnow, population
from pipeline.simulate.send import encode
from pipeline.topics import BY_NAME

PEOPLE = population.simulated(1_500, 365, seed=11)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def of(topic: str) -> list[dict[str, Any]]:
    return [event for name, event in PEOPLE if name == topic]


def test_the_same_seed_is_the_same_bytes() -> None:
    again = population.simulated(1_500, 365, seed=11)
    assert [(topic, encode(event)) for topic, event in again] == [(topic, encode(event)) for topic, event in PEOPLE]


def test_another_seed_is_another_population() -> None:
    assert population.simulated(50, 100, seed=1) != population.simulated(50, 100, seed=2)


def test_every_simulated_event_is_valid_labelled_in_order_and_has_an_id_of_its_own() -> None:
    decoders = {topic.name: Decoder(topic.kind) for topic in BY_NAME.values() if topic.kind}
    for topic, event in PEOPLE:
        decoded = decoders[topic](encode(event), NOW)
        assert not decoded.unplanned
        assert decoded.event.synthetic
    assert len({event["event_id"] for _, event in PEOPLE}) == len(PEOPLE)
    times = [str(event["occurred_at"]) for _, event in PEOPLE]
    assert times == sorted(times)
    assert times[0] >= date(2025, 1, 1).isoformat()
    assert times[-1] <= "2026-01-01T00:00:00Z"


def test_people_call_by_day_and_on_weekdays() -> None:
    opened = [datetime.fromisoformat(str(e["occurred_at"])) for e in of("service-contacts") if e["stage"] == "opened"]
    night = sum(moment.hour < 6 for moment in opened)
    weekend = sum(moment.weekday() >= 5 for moment in opened)
    assert night / len(opened) < 0.1
    assert weekend / len(opened) < 0.25


def test_hard_service_means_repeat_contacts_low_ease_detractors_and_silence() -> None:
    contacts: dict[str, set[str]] = defaultdict(set)
    for event in of("service-contacts"):
        contacts[str(event["issue_id"])].add(str(event["contact_id"]))
    repeated = {issue for issue, ids in contacts.items() if len(ids) > 1}
    scores: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for event in of("surveys"):
        issue = str(event["contact_id"]).rsplit("-k", 1)[0]
        scores[issue in repeated, str(event["instrument"])].append(int(event["score"]))

    def mean(values: list[int]) -> float:
        return sum(values) / len(values)

    assert mean(scores[True, "ces2"]) < mean(scores[False, "ces2"]) - 1
    assert mean(scores[True, "nps"]) < mean(scores[False, "nps"]) - 1
    purchases: dict[str, list[str]] = defaultdict(list)
    for event in of("purchases"):
        purchases[str(event["customer_id"])].append(str(event["event_id"]))
    came_back = {False: [0, 0], True: [0, 0]}
    for issue in contacts:
        purchase = issue.removesuffix("-i")
        bought = purchases[purchase.rsplit("-p", 1)[0]]
        came_back[issue in repeated][bought[-1] != purchase] += 1
    shares = {hard: again / (gone + again) for hard, (gone, again) in came_back.items()}
    assert shares[True] < shares[False] - 0.15


def test_the_demo_sends_the_same_service_every_time() -> None:
    assert population.cdnow_service(1) == population.cdnow_service(1)


@pytest.mark.parametrize("sample", [False, True])
def test_real_purchases_keep_their_dates_and_are_not_labelled_synthetic(sample: bool) -> None:
    first = next(iter(cdnow.purchases(sample=sample)))
    assert str(first["occurred_at"]).startswith("1997-01-01")
    assert "synthetic" not in first
