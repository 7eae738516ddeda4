"""Both languages say the same, nothing is left untranslated, and no identifier can look like something else."""

from datetime import UTC, datetime
from itertools import combinations
from typing import get_args

import pytest
from babel.dates import format_datetime
from babel.numbers import format_decimal, format_percent
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.risk import alert_text
from pipeline.core.risk.messages import ChurnAlert, Contribution, Transition
from pipeline.core.risk.terms import TERMS
from pipeline.core.state.customer import Severity, Status
from pipeline.webhooks import catalogue, texts
from pipeline.webhooks.catalogue import GERMAN, GERMAN_ADVICE, SEVERITIES, STATUSES, TRANSITIONS, Language, Words
from tests.examples import examples
from tests.webhooks.alerts import alert_with, any_alert

LOCALES: dict[Language, str] = {"en": "en_US", "de": "de_DE"}
LANGUAGES: tuple[Language, ...] = get_args(Language)
VALUES = (0.0, 0.4, 0.5, 1.0, 2.0, 3.0, 5.9, 6.0, 12.0)
ALL_PHRASES = {name: phrase for name, phrase in vars(catalogue).items() if isinstance(phrase, Words)} | {
    f"{table_name}[{key}]": phrase
    for table_name, table in (("TRANSITIONS", TRANSITIONS), ("SEVERITIES", SEVERITIES), ("STATUSES", STATUSES))
    for key, phrase in table.items()
}


def test_every_name_without_a_language_has_its_words() -> None:
    assert set(GERMAN) == set(TERMS)
    assert set(TRANSITIONS) == set(get_args(Transition))
    assert set(SEVERITIES) == set(get_args(Severity))
    assert set(STATUSES) == set(get_args(Status))
    assert Words._fields == LANGUAGES


@pytest.mark.parametrize("phrase", ALL_PHRASES.values(), ids=ALL_PHRASES)
def test_a_phrase_stands_in_both_languages_with_the_same_places(phrase: Words) -> None:
    assert all(phrase)
    assert phrase.en != phrase.de or phrase.en in ("Status",)
    places = ["transition", "customer", "risk", "severity", "after", "before"]
    assert {p for p in places if "{" + p + "}" in phrase.en} == {p for p in places if "{" + p + "}" in phrase.de}


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("value", VALUES)
def test_german_speaks_exactly_where_english_does_and_says_the_same_numbers(term: str, value: float) -> None:
    contribution = Contribution(term, value, 0.5)
    english, german = (texts.sentence(contribution, language) for language in LANGUAGES)
    assert bool(english) is bool(german)
    assert english == alert_text.sentence(contribution)
    if english:
        assert german != english
        assert german.endswith(".")
        once = english.replace("once", "").replace("twice", "2")
        assert {c for c in once if c.isdigit()} == {c for c in german.replace("zweimal", "2") if c.isdigit()}


def test_every_recommendation_the_core_can_make_is_translated() -> None:
    made = {
        alert_text.recommendation([Contribution(term, 1.0, 0.5) for term in terms], status)
        for count in range(4)
        for terms in combinations(TERMS, count)
        for status in get_args(Status)
    } | {alert_text.LEFT_ALONE}
    assert made == set(GERMAN_ADVICE)
    assert len(set(GERMAN_ADVICE.values())) == len(made)


def test_a_recommendation_of_another_version_stays_as_it_is() -> None:
    alert = alert_with()
    other = ChurnAlert(**{**{f: getattr(alert, f) for f in alert.__struct_fields__}, "recommended_action": "Sing."})
    assert [texts.recommendation(other, language) for language in LANGUAGES] == ["Sing.", "Sing."]


@settings(deadline=None, max_examples=examples(300))
@given(any_alert)
def test_reasons_in_english_are_those_of_the_worker_and_german_has_as_many(alert: ChurnAlert) -> None:
    assert texts.reasons(alert, "en") == alert.reasons
    german = texts.reasons(alert, "de")
    assert len(german) == len(alert.reasons)
    assert not set(german) & set(alert.reasons)
    favour = [reason.startswith(catalogue.FAVOUR.de) for reason in german]
    assert favour == [reason.startswith(catalogue.FAVOUR.en) for reason in alert.reasons]


@settings(deadline=None)
@given(any_alert, st.sampled_from(LANGUAGES))
def test_what_is_shown_of_any_alert_cannot_change_a_line(alert: ChurnAlert, language: Language) -> None:
    shown = [texts.title(alert, language), *(value for _, value in texts.facts(alert, language))]
    assert all(text.replace("\N{NO-BREAK SPACE}", " ").isprintable() or _of_ids(alert, text) for text in shown)
    assert not [char for text in shown for char in text if char in "\u202e\u2066\u200b\u2028\r\n\x1b\x85"]


def _of_ids(alert: ChurnAlert, text: str) -> bool:
    """Spaces of other scripts in an id are not printable to Python; they are no danger either."""
    return any(char.isspace() for char in alert.customer_id + alert.issue_id if char in text)


def test_an_id_that_would_turn_a_line_around_is_shown_inert() -> None:
    assert texts.inert("c\u202e1\x1b[31m\n2") == "c\ufffd1\ufffd[31m\ufffd2"
    assert texts.inert("Kd-Nr. 12/ä ß") == "Kd-Nr. 12/ä ß"


@pytest.mark.parametrize("language", LANGUAGES)
@given(st.floats(0, 1))
def test_percentages_are_written_as_the_language_does(language: Language, share: float) -> None:
    """Babel knows how each language does."""
    shown = texts.percent(share, language)
    digits = 1 if round(100 * share, 1) < 10 else 0
    rounded = float(f"{100 * share:.{digits}f}") / 100
    wanted = format_percent(rounded, "0.0%" if digits else "0%", LOCALES[language])
    assert shown == wanted.replace("%", "\N{NO-BREAK SPACE}%" if language == "de" else "%")


@pytest.mark.parametrize(
    ("share", "english", "german"),
    [
        (0, "0.0%", "0,0 %"),
        (0.0994, "9.9%", "9,9 %"),
        (0.09996, "10%", "10 %"),
        (0.721115, "72%", "72 %"),
        (1, "100%", "100 %"),
    ],
)
def test_a_share_has_a_decimal_below_ten_per_cent(share: float, english: str, german: str) -> None:
    shown = [texts.percent(share, language).replace("\N{NO-BREAK SPACE}", " ") for language in LANGUAGES]
    assert shown == [english, german]


@pytest.mark.parametrize("language", LANGUAGES)
@given(st.integers(0, 10**12), st.integers(0, 3))
def test_numbers_are_written_as_the_language_does(language: Language, thousandths: int, digits: int) -> None:
    value = round(thousandths / 1000, digits)
    pattern = "#,##0." + "0" * digits if digits else "#,##0"
    assert texts.number(value, language, digits) == format_decimal(value, pattern, LOCALES[language])


def test_moments_are_written_as_the_language_does() -> None:
    at = datetime(2026, 1, 5, 7, 4, tzinfo=UTC)
    assert texts.moment(at, "de") == format_datetime(at, "dd.MM.yyyy HH:mm", locale="de_DE") + " UTC"
    assert texts.moment(at, "en") == "2026-01-05 07:04 UTC"


def test_an_alert_in_both_languages() -> None:
    alert = alert_with(
        ("repeat_contact", 2, 1.4), ("unresolved", 1, 0.8), ("waiting", 3, 0.45), ("contract", 1, -1.0),
        ("prior_purchases", 3, -0.3), ("contact", 1, 0.3), transition="escalated",
    )  # fmt: skip
    assert texts.paragraphs(alert, "de") == [
        "Verschärft: Kundennummer c-1, Abwanderungsrisiko 72\N{NO-BREAK SPACE}% (kritisch)",
        "Warum:\n- Innerhalb von 30 Tagen waren dazu 3 Kontakte nötig.\n- Das Problem ist noch nicht gelöst.\n"
        "- Die Wartezeit betrug 30 Minuten.\n"
        "- Ein Vertrag bindet noch: Das verdeckt das Risiko, Loyalität ist es nicht.\n"
        "- Spricht fürs Bleiben: 3 frühere Wiederkäufe.",
        "Was zu tun ist: Übernehmen und in einem Zug lösen; sagen, bis wann. Die Vorgeschichte liegt vor, nichts noch "
        "einmal fragen.",
        "Kundennummer: c-1\nAnliegen: i-1\n"
        "Abwanderungsrisiko: 72\N{NO-BREAK SPACE}% (ohne dieses Anliegen 9,1\N{NO-BREAK SPACE}%)\n"
        "Schwere: kritisch\nStatus: offen\nSeit: 05.01.2026 00:00 UTC\nKontakte dazu: 3\n"
        "Warnung: 06b3a438ccb310e309881192ebefe272",
    ]
    assert texts.title(alert, "en") == "Escalated: customer c-1, churn risk 72% (critical)"
    assert texts.paragraphs(alert, "en")[1].startswith("Why:\n- They had to contact us 3 times about it")
