"""``loyalty warehouse score``: every churn risk with what it is made of, as the real fold sees it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from math import isclose, log
from typing import Any

import pytest

from pipeline.analysis import score_history as scoring
from pipeline.analysis import stored_events
from pipeline.analysis.score_history import Scored, score
from pipeline.core.contract.events import Event, Purchase, ServiceContact
from pipeline.core.replay import in_order, scores
from pipeline.core.risk.assessment import PRIORS
from pipeline.core.risk.terms import TERMS
from pipeline.errors import Unreachable
from pipeline.warehouse.client import Warehouse
from tests.analysis.alerting import told
from tests.fitting.histories import bought, contacted, simulated
from tests.storing import migrated, store, store_alerts

LIVES = {life[0].customer_id: life for life in simulated(180, 720, seed=11) if life}
LIVES["c"] = [contacted(0), bought(5), contacted(9)]
"""Contacted us before they bought."""
CONCERNED = {name for name, life in LIVES.items() if any(isinstance(event, ServiceContact) for event in life)}
BOLD = replace(PRIORS, version="bold", intercept=-1.0)


TOLD = [said for name in sorted(LIVES) for said in told(LIVES[name])]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with migrated(tmp_path_factory.mktemp("scores")) as (_, made):
        store(made, [event for life in LIVES.values() for event in life])
        store(made, [event for life in LIVES.values() for event in life][:500], first=1_000_000)  # produced twice
        store_alerts(made, [said.alert for said in TOLD])
        yield made


@pytest.fixture(scope="module")
def first(warehouse: Warehouse) -> Scored:
    return score(warehouse, PRIORS, at_once=20)


def contacts(warehouse: Warehouse, version: str = PRIORS.version) -> dict[tuple[str, str], dict[str, Any]]:
    answer = warehouse.query("SELECT * FROM scored_contacts WHERE policy_version = {v:String}", {"v": version})
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    assert len(rows) == len({(row["customer_id"], row["event_id"]) for row in rows})
    return {(row["customer_id"], row["event_id"]): row for row in rows}


def test_every_contact_of_a_customer_has_the_score_of_the_core(warehouse: Warehouse, first: Scored) -> None:
    found = contacts(warehouse)
    right = {(name, s.event_id): s for name in CONCERNED for s in scores(LIVES[name])}
    assert found.keys() == right.keys()
    assert first == Scored(PRIORS.version, len(CONCERNED), len(right))
    for key, row in found.items():
        assert row["churn_risk_0_1"] == right[key].now.after
        assert row["churn_risk_before_0_1"] == right[key].now.before
        assert row["evidence"] == right[key].evidence
        assert row["synthetic"] is right[key].synthetic


def test_who_has_not_bought_yet_has_no_score(warehouse: Warehouse, first: Scored) -> None:
    found = contacts(warehouse)
    early = [
        (name, event.event_id)
        for name in CONCERNED
        for event in LIVES[name]
        if isinstance(event, ServiceContact)
        and not any(isinstance(e, Purchase) and e.occurred_at <= event.occurred_at for e in LIVES[name])
    ]
    assert early
    assert not set(early) & found.keys()


def test_contributions_add_up_to_the_logit_of_the_score(warehouse: Warehouse, first: Scored) -> None:
    """The views say the same: one row per contribution, the intercept among them."""
    rows = warehouse.query(
        "SELECT customer_id, event_id, any(churn_risk_0_1), sum(logit), groupArray(term), "
        "max(abs(logit)) FROM scores GROUP BY customer_id, event_id"
    ).rows
    assert len(rows) == first.scores > 150
    for _, _, risk, total, terms, _ in rows:
        assert isclose(total, log(risk / (1 - risk)), abs_tol=1e-9)
        assert terms[0] == "intercept"
        assert set(terms[1:]) <= set(TERMS)


def test_where_an_alert_was_raised_it_says_what_the_alert_said(warehouse: Warehouse, first: Scored) -> None:
    found, compared = contacts(warehouse), 0
    rows = warehouse.query(
        "SELECT customer_id, caused_by_event, toString(occurred_at), churn_risk_0_1, churn_risk_before_0_1, issue_id, "
        "terms, logits, evidence FROM alert_messages"
    ).rows
    alone = {(said.alert.customer_id, said.event.event_id) for said in TOLD if said.alone}
    for customer_id, event_id, occurred_at, risk, before, issue_id, terms, logits, evidence in rows:
        row = found.get((customer_id, event_id))
        if row is None or row["issue_id"] != issue_id or (customer_id, event_id) not in alone:
            continue  # a purchase, an answer, or another issue made it news; or more happened at that moment
        assert row["at"] == occurred_at
        assert (round(row["churn_risk_0_1"], 6), round(row["churn_risk_before_0_1"], 6)) == (risk, before)
        assert (row["terms"], [round(logit, 6) for logit in row["logits"]]) == (terms, logits)
        assert row["evidence"] == evidence
        compared += 1
    assert compared > 25


def test_below_the_threshold_there_are_scores_that_no_alert_holds(warehouse: Warehouse, first: Scored) -> None:
    assert any(row["churn_risk_0_1"] < PRIORS.raise_at for row in contacts(warehouse).values())


def test_scoring_again_finds_nothing_to_do_and_changes_nothing(warehouse: Warehouse, first: Scored) -> None:
    before = contacts(warehouse)
    assert score(warehouse, PRIORS, at_once=70) == Scored(PRIORS.version, 0, 0)
    assert contacts(warehouse) == before


def test_another_policy_has_scores_of_its_own(warehouse: Warehouse, first: Scored) -> None:
    before = contacts(warehouse)
    assert score(warehouse, BOLD)[1:] == first[1:]
    assert contacts(warehouse) == before
    assert all(
        row["churn_risk_0_1"] > before[key]["churn_risk_0_1"] for key, row in contacts(warehouse, "bold").items()
    )


def test_what_was_interrupted_goes_on_where_it_ended(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine goes away between scores and the mark that they are whole: none of them shows, none is there twice."""
    careful = replace(PRIORS, version="careful", intercept=-3.0)
    insert, calls = warehouse.insert, list[str]()

    def failing(table: str, *rest: Any) -> None:
        calls.append(table)
        if len(calls) == 4:
            raise Unreachable("away")
        insert(table, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(warehouse, "insert", failing)
        with pytest.raises(Unreachable):
            score(warehouse, careful, at_once=10)
    assert calls == ["score_history", "scored_customers"] * 2
    partly = {name for name, _ in contacts(warehouse, "careful")}
    assert 0 < len(partly) <= 10
    done = score(warehouse, careful, at_once=10)
    assert (
        done.customers
        == len(CONCERNED)
        - int(warehouse.value("SELECT count() FROM scored_customers FINAL WHERE policy_version = 'careful'"))
        + done.customers
    )
    assert contacts(warehouse, "careful").keys() == contacts(warehouse).keys()


def test_news_about_a_customer_scores_only_this_customer_again(warehouse: Warehouse, first: Scored) -> None:
    """A contact that was reported late changes the scores of those after it."""
    name = min(CONCERNED)
    contact = next(event for event in in_order(LIVES[name]) if isinstance(event, ServiceContact))
    late = ServiceContact(
        event_id="late", customer_id=name, occurred_at=contact.occurred_at - timedelta(minutes=5), contact_id="late",
        issue_id=contact.issue_id, opened_at=contact.occurred_at - timedelta(minutes=9), stage="updated",
        channel="email", kind="complaint",
    )  # fmt: skip
    store(warehouse, [late], first=2_000_000)
    assert score(warehouse, PRIORS).customers == 1
    found = {key: row for key, row in contacts(warehouse).items() if key[0] == name}
    right = {(name, s.event_id): s.now.after for s in scores([*LIVES[name], late])}
    assert {key: row["churn_risk_0_1"] for key, row in found.items()} == right


def test_memory_is_bounded_by_ranges_of_customers(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    largest, between = [0], stored_events.between

    def watched(warehouse: Warehouse, first: str, last: str) -> dict[str, list[Event]]:
        found = between(warehouse, first, last)
        largest[0] = max(largest[0], len(found))
        return found

    monkeypatch.setattr(scoring, "between", watched)
    score(warehouse, replace(PRIORS, version="bounded"), at_once=20)
    assert largest[0] == 20
