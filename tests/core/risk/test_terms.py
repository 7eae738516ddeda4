"""The table of terms: every row is whole, and value, sentence, evidence, invalidation and policy follow from it."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from pipeline.core.contract.events import Event
from pipeline.core.fold import apply, look_again
from pipeline.core.risk.alerts import reassess
from pipeline.core.risk.assessment import PRIORS
from pipeline.core.risk.event_routes import BINDING
from pipeline.core.risk.terms import BASELINE_TERMS, TABLE, TERMS, Term
from pipeline.core.state.customer import Customer
from tests.conftest import ROOT
from tests.core.histories import CUSTOMER, histories

WITHOUT_EVENTS = ("contract",)
"""Terms that rest on what is known of a customer, not on single events."""
NOT_TOLD = ("contact",)
"""Terms the desk is not told: it knows that there was a contact."""


@pytest.mark.parametrize("term", TABLE, ids=TERMS)
def test_a_row_is_whole(term: Term) -> None:
    assert term.meaning
    assert term.coefficient, "without a sign there is nothing to hold on to while learning"
    text = term.sentence if isinstance(term.sentence, str) else term.sentence(1.0)
    assert text.endswith(".")
    assert (term.placement == "not told") == (term.name in NOT_TOLD)
    assert (term.evidence is None) == (term.name in WITHOUT_EVENTS)
    assert term.changed_by
    assert term.curve is None or term.curve(0.0) == 0


def test_names_are_unique_and_the_policy_has_a_prior_for_each() -> None:
    assert len(set(TERMS)) == len(TERMS)
    assert TERMS[: len(BASELINE_TERMS)] == BASELINE_TERMS
    assert PRIORS.named() == {"intercept": -2.3, **{term.name: term.coefficient for term in TABLE}}


@pytest.mark.parametrize("coefficient", [-3.0, 3.0])
@pytest.mark.parametrize("term", TERMS)
@settings(max_examples=15, deadline=None)
@given(histories)
def test_assessing_only_what_an_event_can_change_finds_what_assessing_all_finds(
    term: str, coefficient: float, events: list[Event]
) -> None:
    """Under a policy in which alerts hinge on one term: its routes must reach every issue that it can change."""
    policy = replace(PRIORS.with_coefficients(**{term: coefficient, "intercept": -1.0}), least_rise=0.01)
    for ordered in (events, sorted(events, key=lambda event: event.occurred_at)):
        customer = Customer(customer_id=CUSTOMER)
        full = Customer(customer_id=CUSTOMER)
        for number, event in enumerate(ordered):
            customer, changed, _, _ = apply(customer, event, "log", number)
            if changed is not None:
                look_again(customer, changed, event.event_id, policy)
            full, _, _, _ = apply(full, event, "log", number)
            reassess(full, event.event_id, policy)
            assert customer.alerts == full.alerts


PLANTED = """    Term(
        name="long_issue",
        meaning="days from the first contact to the last",
        coefficient=0.05,
        value=lambda issue: (issue.last_seen - issue.begun[0].opened_at) / DAY_MS,
        sentence=lambda value: f"It has been going on for {value:.0f} days.",
        evidence=own_contacts,
        changed_by=(OWN_CONTACT,),
    ),
)
\"\"\"The terms of what happened about the issue; they fade as time passes.\"\"\"
"""
QUESTIONS = """
from tests.core.test_fold import bought, contacted
from tests.core.histories import replay
from pipeline.core.risk import alert_text, changed_issues, evidence, issue_events
from pipeline.core.risk.assessment import PRIORS
from pipeline.policy import COEFFICIENTS, file_of
from pipeline.core.risk.event_routes import BINDING

events = [bought(1), *(contacted(n, day=3 + 4 * n) for n in range(4))]
[alert] = [alerts[-1] for alerts in [[a for step in replay(events)[1] for a in step.alerts]]]
[share] = [c for c in alert.contributions if c.term == "long_issue"]
assert share.value == 12 and abs(share.logit - 0.6) < 1e-9, share
assert "It has been going on for 12 days." in alert.reasons, alert.reasons
facts = issue_events.issue_events(events, "i")
assert len(evidence.term_evidence("long_issue", facts)) == 4
assert COEFFICIENTS[-1] == "long_issue" and file_of(PRIORS, {}).coefficients["long_issue"] == 0.05
assert alert_text.sentence(share)
"""


def test_a_planted_row_is_all_that_a_new_term_needs(tmp_path: Path) -> None:
    """In a copy: value, contribution, sentence, evidence and the policy's file follow from one more row."""
    for name in ("pipeline", "tests", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    table = tmp_path / "pipeline" / "core" / "risk" / "terms.py"
    source = table.read_text()
    end = PLANTED[PLANTED.index(')\n"""The') :]
    assert end in source
    table.write_text(source.replace(end, PLANTED))
    asked = subprocess.run(
        [sys.executable, "-c", QUESTIONS],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr


def test_what_no_term_names_changes_nothing() -> None:
    """Invalidation follows from the table: the route of bindings is there because of the contract's row alone."""
    assert [term.name for term in TABLE if BINDING in term.changed_by] == ["contract"]
