"""The loyalty state as sentences for a person, and as data for a program."""

from typing import Any

import msgspec

from pipeline.core.contract.currencies import to_amount
from pipeline.core.contract.moments import day, instant, iso
from pipeline.core.loyalty.attachment import InForce
from pipeline.core.loyalty.loyalty_policy import PRIORS
from pipeline.core.loyalty.loyalty_state import Loyalty

MOMENTS = ("released_at", "next_notice_by", "ends_at", "notice_by")
_BOUND = {
    "contractual": "by contract",
    "technical": "technically",
    "economic": "by the cost of changing",
    "situational": "by circumstances",
    "emotional": "by conviction (said, not shown)",
}
_CONSENT = {
    None: "nobody knows whether they want to be asked",
    "granted": "they agreed",
    "withdrawn": "they do not want to be asked",
    "existing_customer": "the exception for existing customers is claimed",
}


def as_data(state: Loyalty) -> dict[str, Any]:
    """The loyalty state for a program: one level, every name a term of the glossary."""
    flat: dict[str, Any] = {"silence_in_gaps": round(state.rhythm.silence_in_gaps, 3)}
    for name in state.__struct_fields__:
        value = getattr(state, name)
        flat |= msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else {name: value}
    flat["net_spent"] = {currency: str(to_amount(units)) for currency, units in state.net_spent.items()}
    flat["bindings"] = [_dated(msgspec.structs.asdict(binding)) for binding in state.bindings]
    return _dated(flat)


def _dated(named: dict[str, Any]) -> dict[str, Any]:
    return {
        name: iso(instant(value)) if name in MOMENTS and value is not None else value for name, value in named.items()
    }


def sentences(state: Loyalty) -> list[str]:
    """The loyalty state for a person."""
    lines = [
        _phase(state),
        _regular(state),
        *_incentives(state),
        *_others(state),
        _attachment(state),
        *_bound(state),
        *_at_risk(state),
        *_promises(state),
        surveys(state.survey_consent, state.may_survey),
    ]
    return [f"  {line}" for line in lines]


def _phase(state: Loyalty) -> str:
    rhythm = state.rhythm
    gap = f"{rhythm.own_gap_days:.0f} days"
    usual = f"their usual gap of {gap}" if rhythm.repeat_occasions else f"the usual gap of {gap}"
    silent = f"silent for {_days(rhythm.silence_days)}, {rhythm.silence_in_gaps:.1f} times {usual}"
    if state.lifecycle == "active" and rhythm.silence_in_gaps >= PRIORS.rest_at_gaps:
        return f"Active by contract; otherwise {silent}."
    return f"{state.lifecycle.capitalize()}: {silent}."


def _regular(state: Loyalty) -> str:
    segment = state.standing
    name = segment.quadrant or f"{'Long-standing' if segment.long_standing else 'Not long-standing'}, perhaps regular"
    basket = (
        f"a mean basket of {segment.basket_ratio:.1f} typical ones"
        if segment.basket_ratio is not None
        else "a basket nobody can compare, for want of purchases in its currency"
    )
    return (
        f"{name[0].upper()}{name[1:]}: first bought {_days(segment.tenure_days)} ago; "
        f"{plural(segment.occasions_in_year, 'purchase day')} within the last year, {basket}."
    )


def _incentives(state: Loyalty) -> list[str]:
    repeats, free = state.rhythm.repeat_occasions, state.incentives.full_price_repeats
    if not state.incentives.incentivised_share:
        return []
    return [
        f"{state.incentives.incentivised_share:.0%} of purchases with an incentive; "
        f"came back on {plural(repeats, 'day')}, on {free} of them without one."
    ]


def _others(state: Loyalty) -> list[str]:
    lines = []
    if state.cross_sold:
        lines.append(f"Took up {plural(state.cross_sold, 'further category', 'further categories')} later on.")
    if state.programme_member is not None:
        member = "In the programme" if state.programme_member else "Not in the programme (any more)"
        lines.append(f"{member}; {state.member_share or 0:.0%} of purchases as a member.")
    if state.referred_by is not None:
        lines.append(f"Came on the recommendation of customer {state.referred_by}.")
    if state.referrals:
        lines.append(f"Brought {plural(state.referrals, 'other customer')} by recommending us.")
    return lines


def _attachment(state: Loyalty) -> str:
    shown = state.attachment
    if shown.attachment is None:
        return "Attachment: too early to tell."
    parts = {
        "comes back unprompted": shown.unprompted_repurchase,
        "recommends us": shown.recommendation,
        "pays the full price": shown.full_price_share,
        "finds it easy": shown.ease,
    }
    known = ", ".join(f"{name} {value:.0%}" for name, value in parts.items() if value is not None)
    broken = "; less for broken promises" if state.promises.broken else ""
    low = " (low)" if shown.attachment < PRIORS.low_attachment else ""
    return f"Attachment {shown.attachment:.0%}{low}: {known}{broken}."


def _bound(state: Loyalty) -> list[str]:
    if not state.bindings:
        return ["Bound by nothing we know of."]
    lines = ["Bound " + "; ".join(map(_binding, state.bindings)) + "."]
    if state.captivity.captive:
        free = state.captivity.released_at
        until = f"will be free to go on {day(free)}" if free is not None else "no end is known"
        lines.append(f"Captive: bound, not attached; {until}. This is risk, not loyalty.")
    return lines


def _binding(binding: InForce) -> str:
    ends = f"until {day(binding.ends_at)}" if binding.ends_at is not None else "with no end known"
    notice = f" (notice by {day(binding.notice_by)})" if binding.notice_by is not None else ""
    return f"{_BOUND[binding.kind]} {ends}{notice}"


def _at_risk(state: Loyalty) -> list[str]:
    risks = state.satisfaction.satisfied_but_at_risk
    return [f"Satisfied, but at risk: {', '.join(risks)}."] if risks else []


def _promises(state: Loyalty) -> list[str]:
    kept = state.promises
    counts = {
        "kept": kept.promises_kept,
        "late": kept.promises_late,
        "missed": kept.promises_missed,
        "not due yet": kept.promises_open,
    }
    promises = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return [f"Our promises to them: {promises}."] if promises else []


def surveys(consent: str | None, may: bool) -> str:
    """Whether they may be asked, and why."""
    return f"Surveys: {'may be sent' if may else 'may not be sent'}; {_CONSENT[consent]}."


def _days(days: int) -> str:
    if days < 2 * 365:
        return plural(days, "day")
    return f"{days / 365.25:.0f} years"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """A number with its noun."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
