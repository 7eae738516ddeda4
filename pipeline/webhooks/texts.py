"""What receivers read, by language; made from the message's contributions, which have none."""

import unicodedata
from datetime import UTC, datetime
from typing import Final

from pipeline.core.risk import alert_text
from pipeline.core.risk.messages import ChurnAlert, Contribution
from pipeline.core.risk.terms import BY_NAME
from pipeline.webhooks import catalogue as words
from pipeline.webhooks.catalogue import Language

_ACTIVE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are not seen but change what is: control, direction, line ends, unassigned."""
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


def inert(text: str) -> str:
    """An identifier for a person's eyes: what cannot be seen is replaced, so that nothing looks like something else."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _ACTIVE else char for char in text)


def number(value: float, language: Language, digits: int = 0) -> str:
    """A number with so many decimals, as the language writes it: ``1,234.5``, ``1.234,5``."""
    text = f"{value:,.{digits}f}"
    return text if language == "en" else text.translate(str.maketrans(",.", ".,"))


def percent(share: float, language: Language) -> str:
    """A share of 0 to 1 as the language writes it, with a decimal below ten: ``72%``, ``9.1%``; ``72 %``, ``9,1 %``."""
    text = number(100 * share, language, 1 if round(100 * share, 1) < 10 else 0)
    return f"{text}%" if language == "en" else f"{text}{_NO_BREAK}%"


def moment(at: datetime, language: Language) -> str:
    """A moment in UTC, to the minute."""
    return f"{at.astimezone(UTC):{'%Y-%m-%d %H:%M' if language == 'en' else '%d.%m.%Y %H:%M'}} UTC"


def sentence(contribution: Contribution, language: Language) -> str:
    """A term of the risk in plain words; empty when it says nothing."""
    english = alert_text.sentence(contribution)
    german = words.GERMAN.get(contribution.term, "")
    if language == "en" or not (english and german):
        return english
    return german if isinstance(german, str) else german(contribution.value)


def reasons(alert: ChurnAlert, language: Language) -> list[str]:
    """Why: what raises the risk, the weightiest first, then what speaks for the customer; as the worker orders them."""
    if alert.transition == "withdrawn":
        return [words.WITHDRAWN.of(language)]
    told: dict[str, list[str]] = {"against": [], "between": [], "in favour": []}
    for term in sorted(alert.contributions, key=lambda term: -abs(term.logit)):
        if text := sentence(term, language):
            told.get(_place(term), []).append(text)
    return [*told["against"], *told["between"], *(_in_favour(text, language) for text in told["in favour"])]


def _place(contribution: Contribution) -> str:
    """Where a sentence stands; ``not told`` for what the desk knows anyway."""
    placement = BY_NAME[contribution.term].placement
    if placement != "by sign":
        return placement
    return "against" if contribution.logit > 0 else "in favour"


def _in_favour(text: str, language: Language) -> str:
    prefix = words.FAVOUR.of(language)
    return prefix + (text[0].lower() + text[1:] if language == "en" else text)


def recommendation(alert: ChurnAlert, language: Language) -> str:
    """What to do next."""
    advice = alert.recommended_action
    return advice if language == "en" else words.GERMAN_ADVICE.get(advice, advice)


def title(alert: ChurnAlert, language: Language) -> str:
    """One line: what is new, about whom, and how bad."""
    return words.TITLE.of(language).format(
        transition=words.TRANSITIONS[alert.transition].of(language),
        customer=inert(alert.customer_id),
        risk=percent(alert.churn_risk_0_1, language),
        severity=words.SEVERITIES[alert.severity].of(language),
    )


def facts(alert: ChurnAlert, language: Language) -> list[tuple[str, str]]:
    """The facts of an alert, each with its name."""
    risk = words.RISK_AND_BEFORE.of(language).format(
        after=percent(alert.churn_risk_0_1, language), before=percent(alert.churn_risk_before_0_1, language)
    )
    named = (
        (words.CUSTOMER, inert(alert.customer_id)),
        (words.ISSUE, inert(alert.issue_id)),
        (words.RISK, risk),
        (words.SEVERITY, words.SEVERITIES[alert.severity].of(language)),
        (words.STATUS, words.STATUSES[alert.status].of(language)),
        (words.SINCE, moment(alert.raised_at, language)),
        (words.CONTACTS, number(len(alert.contact_ids), language)),
        (words.ALERT, alert.alert_id),
    )
    return [(name.of(language), value) for name, value in named]


def paragraphs(alert: ChurnAlert, language: Language) -> list[str]:
    """The message as plain text for a ticket, paragraph by paragraph."""
    why = "\n".join(f"- {reason}" for reason in reasons(alert, language))
    known = "\n".join(f"{name}: {value}" for name, value in facts(alert, language))
    return [
        title(alert, language),
        f"{words.WHY.of(language)}:\n{why}",
        f"{words.WHAT_TO_DO.of(language)}: {recommendation(alert, language)}",
        known,
    ]
