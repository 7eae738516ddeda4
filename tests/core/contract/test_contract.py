"""The contract goes both ways: what a JSON Schema calls valid the decoder takes, and what the decoder takes is valid.

Events are generated from the schemas themselves, as JSON text, so that numbers and strings come in all their spellings.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
from babel.core import get_global
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import resources
from pipeline.core.contract.currencies import Currency, to_units
from pipeline.core.contract.decode import EVENTS, Decoder, Kind
from pipeline.core.contract.events import Event, Purchase, ServiceContact, SurveyResponse
from pipeline.errors import BadEvent
from tests.examples import examples

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMAS = Path(str(resources.schemas())) / "events"
SCHEMA: dict[Kind, dict[str, Any]] = {kind: json.loads((SCHEMAS / f"{kind}.v1.json").read_text()) for kind in EVENTS}
VALIDATOR = {kind: jsonschema_rs.Draft202012Validator(said, validate_formats=True) for kind, said in SCHEMA.items()}
DECODER = {kind: Decoder(kind) for kind in EVENTS}
UNSAYABLE = re.compile(
    r"more than a day after|before 1970|more than a year away|over 100 years away|is the customer themselves"
    r"|is after \$|is not below|\$\.score is outside|nested deeper"
)
"""What JSON Schema cannot say, as the decoder says it; the descriptions in the schemas say the same."""
Token = st.SearchStrategy[str]


def texts(said: dict[str, Any]) -> Token:
    most = said.get("maxLength", 5)
    lengths = st.sampled_from([0, 1, 2, most, most + 1])
    letters = st.sampled_from(
        ["a", "Z", "0", " ", "é", "😀", "e\u0301", "\x80", "\u2028", "\ufeff", "\x7f", "\t", "\n", "\0", "\\", '"']
    )
    return st.tuples(st.builds(lambda n, c: (c * n)[: max(n, 0)], lengths, letters), st.booleans()).map(
        lambda drawn: json.dumps(drawn[0], ensure_ascii=drawn[1])
    )


def moments() -> Token:
    """Times that can be, and times that differ from them in one place."""
    day = st.sampled_from(
        ["2016-12-31", "2024-02-29", "2023-02-29", "2000-02-29", "2100-02-29", "2016-04-31", "1970-01-01", "1969-12-31",
         "0000-01-01", "1900-01-01", "9999-12-31", "2016-13-01", "2016-1-1", "2016-00-10", "20160101",
         "\uff12016-01-01"]
    )  # fmt: skip
    blank = st.sampled_from(["T", "T", "t", " ", "  ", "_", ""])
    clock = st.sampled_from(
        ["23:59:59", "23:59:60", "15:59:60", "24:00:00", "00:00:61", "09:30", "09:60:00", "9:30:00", "093000"]
    )
    part = st.sampled_from(["", "", ".5", ".000001", ".1234567891", ".", ",5", ".5x"])
    offset = st.sampled_from(
        [
            "Z",
            "z",
            "+00:00",
            "-08:00",
            "+05:30",
            "+0530",
            "-0000",
            "+05",
            "+24:00",
            "+05:60",
            "",
            " Z",
            "Z ",
            "\u221205:00",
        ]
    )
    return st.tuples(day, blank, clock, part, offset).map(lambda parts: json.dumps("".join(parts)))


NUMBERS = st.sampled_from(
    ["0", "-0", "0.0", "1", "1.0", "5", "5.0", "5e0", "50e-1", "5.5", "10", "1e1", "100.0", "1E2", "101", "1e6",
     "1000001.0", "-1", "-1.0", "1e22", "1e308", "1e-400", "9007199254740993",
     "18446744073709551616", "5.0000000000000000001"]
)  # fmt: skip
AMOUNTS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,5}0{0,9})?", fullmatch=True),
    st.sampled_from(["49.900000", "-0.00000", "49.", ".5", "+1", "01", "1e2", "1,5", " 1", "1\n", "٣", "", "0.00001"]),
).map(json.dumps) | st.one_of(
    NUMBERS,
    st.sampled_from(["49.900000", "0.0001", "0.00001", "99999999999.9999", "1e11", "-49.9", "0.30000000000000004"]),
    st.integers(-(10**15), 10**15).map(lambda units: repr(units / 10_000)),
)
OTHER = st.sampled_from(["null", "true", "false", "0", "1", '""', '"true"', "[]", "{}", "[[]]"])


def tokens(name: str, said: dict[str, Any]) -> Token:
    """JSON text for a field: mostly what its schema asks for, and its neighbours."""
    kinds = said.get("type", "string")
    asked: Token = texts(said)
    if name == "amount":
        asked = AMOUNTS
    elif "enum" in said:
        asked = st.sampled_from([*said["enum"], str(said["enum"][0]).upper(), "XXX"]).map(json.dumps)
    elif "$ref" in said:
        asked = moments()
    elif "array" in kinds:
        items = st.lists(objects(said["items"]), max_size=3)
        asked = items.map(lambda parts: f"[{','.join(parts)}]")
    elif "integer" in kinds or "number" in kinds:
        asked = NUMBERS
    elif "boolean" in kinds:
        asked = st.sampled_from(["true", "false", '"true"', "1", "null"])
    return st.one_of(asked, asked, asked, OTHER) if name != "amount" else asked


def objects(said: dict[str, Any]) -> Token:
    needed = {name: tokens(name, said["properties"][name]) for name in said["required"]}
    others = {name: tokens(name, part) for name, part in said["properties"].items() if name not in said["required"]}
    others["colour"] = OTHER
    return st.fixed_dictionaries(needed, optional=others).map(written)


def written(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields.items()) + "}"


EXAMPLES: dict[Kind, str] = {
    "purchase": "full", "service_contact": "resolved", "survey_response": "csat", "alert_outcome": "retained",
}  # fmt: skip
GOOD: dict[Kind, dict[str, Any]] = {
    kind: json.loads((SCHEMAS.parent / f"examples/{kind}/valid/{name}.json").read_text())
    for kind, name in EXAMPLES.items()
}


def decoded(kind: Kind, text: str) -> Event | str:
    """The event, or why there is none."""
    try:
        return DECODER[kind](text.encode(), NOW).event
    except BadEvent as bad:
        return bad.detail


def compare(kind: Kind, text: str) -> None:
    verdict, valid = decoded(kind, text), VALIDATOR[kind].is_valid(json.loads(text))
    if isinstance(verdict, str) and UNSAYABLE.search(verdict):
        return
    assert (not isinstance(verdict, str)) == valid, (text, verdict)


@pytest.mark.parametrize("kind", EVENTS)
@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_schema_and_decoder_agree_on_one_field_of_a_good_event(kind: Kind, data: st.DataObject) -> None:
    """Most generated events are wrong in many places; in these everything but a field or two is right."""
    fields = {name: json.dumps(value) for name, value in GOOD[kind].items()}
    properties = SCHEMA[kind]["properties"]
    for name in data.draw(st.lists(st.sampled_from(sorted(properties)), min_size=1, max_size=2, unique=True)):
        fields[name] = data.draw(tokens(name, properties[name]), label=name)
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=1)):
        del fields[name]
    compare(kind, written(fields))


@pytest.mark.parametrize("kind", EVENTS)
@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_schema_and_decoder_agree_on_any_event(kind: Kind, data: st.DataObject) -> None:
    compare(kind, data.draw(objects(SCHEMA[kind])))


def purchase(**changes: Any) -> Purchase:
    event = decoded("purchase", json.dumps(GOOD["purchase"] | changes))
    assert isinstance(event, Purchase), event
    return event


def test_a_whole_number_may_be_written_as_a_number_with_a_point() -> None:
    assert purchase(lines=[{"category": "books", "quantity": 2.0}]).lines[0].quantity == 2
    answer = decoded("survey_response", json.dumps(GOOD["survey_response"] | {"score": 4.0, "scale_max": 5.0}))
    assert isinstance(answer, SurveyResponse)
    assert (repr(answer.score), repr(answer.scale_max)) == ("4", "5")
    contact = decoded("service_contact", json.dumps(GOOD["service_contact"] | {"transfers": 1.0}))
    assert isinstance(contact, ServiceContact)
    assert repr(contact.transfers) == "1"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("1990-12-31T15:59:60.250-08:00", "1991-01-01T00:00:00.250000+00:00"),
        ("2016-12-31 23:59:59Z", "2016-12-31T23:59:59+00:00"),
        ("2016-12-31t23:59:59z", "2016-12-31T23:59:59+00:00"),
        ("2016-12-31T23:59:59+0530", "2016-12-31T18:29:59+00:00"),
    ],
)
def test_a_moment_in_every_spelling_is_the_same_moment(text: str, meant: str) -> None:
    event = purchase(occurred_at=text, survey_consent_at=None, promised_delivery_at=None)
    assert event.occurred_at.astimezone(UTC).isoformat() == meant


def test_other_spellings_do_not_hide_unknown_fields_and_change_no_text() -> None:
    """A text that looks like a moment stays the text it is."""
    odd = GOOD["purchase"] | {"lines": [{"category": "2016-12-31T23:59:60Z", "quantity": 2.0}]}
    read = DECODER["purchase"](json.dumps(odd).encode(), NOW)
    assert isinstance(read.event, Purchase)
    assert (read.event.lines[0].category, read.unplanned) == ("2016-12-31T23:59:60Z", False)
    assert DECODER["purchase"](json.dumps(odd | {"colour": "red"}).encode(), NOW).unplanned


@pytest.mark.parametrize(
    ("amount", "units"),
    [("49.900000", 499_000), (49.900000, 499_000), ("0.00010", 1), ("1" + ".0" + "0" * 300, 10_000)],
)
def test_zeros_after_an_exact_amount_change_nothing(amount: str | float, units: int) -> None:
    assert to_units(purchase(amount=amount).amount) == units


def test_currencies_are_those_of_a_list_that_is_kept() -> None:
    """When this fails after an update of Babel, a currency came or went: add it, and its code in the schema."""
    territories = {place: rows for place, rows in get_global("territory_currencies").items() if place != "ZZ"}
    tender = {
        code for rows in territories.values() for code, _, end, is_tender in rows
        if is_tender and (end is None or end >= (1999, 1, 1))
    }  # fmt: skip
    ours = set(get_args(Currency))
    assert ours - {"CLF", "UYW", "VED"} == tender - {"MCF"}  # two units of account, one CLDR is late with; no ISO code
    assert {"XCG", "LTL", "DEM", "HRK", "BGN", "ANG"} <= ours
    assert SCHEMA["purchase"]["properties"]["currency"]["enum"] == sorted(ours)
