"""The glossary: every word the product shows has one meaning."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, get_args

import msgspec
import pytest
from typer.testing import CliRunner

from pipeline.analysis import customer_profile
from pipeline.analysis.customer_profile import CustomerProfile
from pipeline.cli import cli
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract import events
from pipeline.core.contract.events import BindingKind, Consent
from pipeline.core.definition import Definition
from pipeline.core.glossary import registry
from pipeline.core.loyalty.attachment import InForce
from pipeline.core.loyalty.lifecycle import Lifecycle
from pipeline.core.loyalty.loyalty_state import loyalty
from pipeline.core.loyalty.segments import Quadrant
from pipeline.core.state import profile
from pipeline.core.state.customer import AlertState, Answer, Contact, Customer, Outcome
from tests.conftest import ROOT
from tests.core.histories import START, replay
from tests.core.loyalty.test_lifecycle import day
from tests.core.loyalty.test_loyalty_state import bound
from tests.core.test_fold import bought, contacted

KNOWN = registry.definitions()
EVENTS = (events.Purchase, events.ServiceContact, events.SurveyResponse, events.AlertOutcome, events.Binding)
SAID = {name for event in EVENTS for name in event.__struct_fields__}
"""Fields of events; their JSON Schemas describe them."""
DELIVERY = {"version", "applied", "recent", "moved", "events", "synthetic_events", "last_event_at", "looked_at"}
"""About the record, not about the customer."""
SUMS = {
    "first_purchase_at", "last_purchase_at", "refunds", "incentivised", "obligated", "spent", "refunded", "channels",
    "categories", "contact_events", "survey_answers", "occasions", "occasions_from",
}  # fmt: skip
"""Sums and bounds of event fields, described with their columns in schemas/clickhouse."""
LISTS = {"contacts", "answers", "latest", "latest_answers", "alerts", "outcomes", "stated"}
"""Groups of fields."""
PARTS = {
    "at", "last_at", "last_event", "low", "high", "member", "status", "severity", "raised_at", "content", "membership",
    "consent", "member_purchases", "deliveries_on_time", "deliveries_late", "incentives", "incentives_from", "promises",
    "callback_by", "answer_by", "loyalty_at", "loyalty", "outlook",
}  # fmt: skip
"""Parts of the encoded state, described in their structs."""
PLAIN = SAID | DELIVERY | SUMS | LISTS | PARTS


def names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in ("spent", "refunded", "net_spent", "channels", "latest_answers"):
                yield from names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner)


def test_names_are_unique_and_two_meanings_for_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(KNOWN) == sum(map(len, registry.SOURCES))
    monkeypatch.setattr(registry, "SOURCES", (*registry.SOURCES, (Definition("captive", 2, "Something else."),)))
    with pytest.raises(ValueError, match="'captive' is defined twice"):
        registry.definitions()


def test_every_module_with_definitions_is_listed() -> None:
    modules = {path.stem for path in (ROOT / "pipeline/core").rglob("*.py") if "\nDEFINITIONS" in path.read_text()}
    listed = set(re.findall(r"(\w+)\.DEFINITIONS", (ROOT / "pipeline/core/glossary/registry.py").read_text()))
    assert modules == listed


@pytest.mark.parametrize("definition", KNOWN.values(), ids=KNOWN)
def test_a_definition_is_a_sentence_with_a_version(definition: Definition) -> None:
    assert definition.version >= 1
    assert definition.meaning.endswith(".")
    assert definition.name.lower() != definition.meaning.lower().rstrip(".")


def test_every_name_of_a_customers_loyalty_is_a_term() -> None:
    customer = replay([bought(1, bindings=[bound("contractual", 90)]), contacted(1, day=2)])[0]
    shown = customer_profile.as_data(
        CustomerProfile(customer, [], AnswerMoment(START, "asked for"), loyalty(customer, day(3)))
    )
    assert shown["loyalty"]["bindings"]
    assert set(names(shown["loyalty"])) <= KNOWN.keys()
    assert set(names(shown)) <= KNOWN.keys() | PLAIN


def test_every_value_of_a_closed_set_is_a_term() -> None:
    values = {value for kind in (Lifecycle, Quadrant, BindingKind, Consent) for value in get_args(kind)}
    assert values <= KNOWN.keys()


def test_every_name_in_the_state_is_a_term_or_a_plain_field() -> None:
    kept = (
        Customer, Contact, Answer, Outcome, AlertState, profile.Stated, profile.BindingState, profile.ConsentState,
        profile.MembershipState, profile.ReferralState, profile.Promises, InForce,
    )  # fmt: skip
    schema = json.loads((ROOT / "schemas/events/customer_state.v2.json").read_text())
    assert schema["$defs"].keys() == {kind.__name__ for kind in kept if kind is not InForce}
    used = {name for kind in kept for name in kind.__struct_fields__}
    assert used - KNOWN.keys() <= PLAIN, used - KNOWN.keys() - PLAIN


def test_nothing_is_excused_that_is_not_there() -> None:
    made = {name for kind in msgspec.json.schema(Customer)["$defs"] for name in _fields(kind)}
    assert DELIVERY | SUMS | (PARTS - {"loyalty", "loyalty_at", "outlook"}) <= made


def _fields(name: str) -> tuple[str, ...]:
    known = {kind.__name__: kind for kind in (Customer, Contact, Answer, Outcome, AlertState)}
    kind = known.get(name) or getattr(profile, name)
    fields: tuple[str, ...] = kind.__struct_fields__
    return fields


# --- the command


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["glossary", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_shows_all_terms_or_one() -> None:
    assert [line["name"] for line in json.loads(run("--json"))] == list(KNOWN)
    assert json.loads(run("captive", "--json")) == [asdict(KNOWN["captive"])]


@pytest.mark.parametrize(
    "written", ["long-standing, not regular", "Long standing not regular", "LONG_STANDING NOT REGULAR"]
)
def test_a_term_is_found_as_people_write_it(written: str) -> None:
    assert KNOWN["long-standing, not regular"].meaning in run(written)


def test_an_unknown_term_names_the_nearest() -> None:
    done = CliRunner().invoke(cli, ["glossary", "captve"])
    assert "did you mean captive" in str(done.exception)
