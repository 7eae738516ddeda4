"""What the desk reads: reasons, a recommended action and a one-line history, in plain words."""

from collections.abc import Sequence

from pipeline.core.contract.moments import day
from pipeline.core.risk.messages import Contribution
from pipeline.core.state.customer import Contact

_SENTENCES = {
    "contact": "They had to contact us at all.",
    "silence": "They have not bought for longer than is usual for them.",
    "contract": "A contract still holds them: that hides the risk, it is no loyalty.",
    "unresolved": "The problem is not solved yet.",
    "recovered": "The problem was solved.",
    "reopened": "It was called solved and came back.",
    "information_repeated": "They had to explain it again.",
    "self_service_failed": "They tried to help themselves first and could not.",
    "cancellation": "They asked to cancel.",
    "detractor": "They said they would not recommend us.",
    "effort": "They said it was hard to get this solved.",
    "earlier_complaint": "They also complained about something else, not long ago.",
    "bought_again": "They bought again after the contact.",
}


LEFT_ALONE = "Nothing: this alert is held out, to measure what acting on the others does."
IN_FAVOUR = "In their favour: "


NOT_A_REASON = ("contact",)
"""Terms too plain to be told to the desk, which knows that there was a contact."""


def reasons(contributions: Sequence[Contribution], transition: str) -> list[str]:
    """Sentences for a person: what raises the risk, the weightiest first, then what speaks for the customer."""
    if transition == "withdrawn":
        return ["Taken back: with all events known now, this issue was no risk."]
    ordered = sorted(contributions, key=lambda term: -abs(term.logit))
    against = [said for term in ordered if term.logit > 0 and (said := _reason(term))]
    held = [_SENTENCES["contract"] for term in ordered if term.term == "contract"]
    favour = [s for term in ordered if term.logit <= 0 and term.term != "contract" and (s := _reason(term))]
    return [*against, *held, *(IN_FAVOUR + said[0].lower() + said[1:] for said in favour)]


def _reason(term: Contribution) -> str | None:
    return None if term.term in NOT_A_REASON else sentence(term)


def sentence(term: Contribution) -> str | None:
    """A term of the risk in plain words, ``None`` when it says nothing."""
    match term.term:
        case "repeat_contact":
            return f"They had to contact us {int(term.value) + 1} times about it within 30 days."
        case "transfer":
            return f"They were passed on {_times(int(term.value))}."
        case "channel_switch":
            return f"They had to use {int(term.value) + 1} channels."
        case "waiting" if term.value >= 0.5:
            return f"They waited {round(term.value * 10)} minutes{' or more' if term.value >= 6 else ''}."
        case "prior_purchases" if term.value > 0:
            return (
                "One earlier repeat purchase." if term.value == 1 else (f"{int(term.value)} earlier repeat purchases.")
            )
        case other:
            return _SENTENCES.get(other)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def recommendation(contributions: Sequence[Contribution], status: str) -> str:
    """What to do next: solve the problem first; an incentive is the last resort."""
    if status != "open":
        return "Nothing to do."
    terms = {term.term for term in contributions if term.value}
    if "cancellation" in terms:
        return "Call today: ask what would have to change, and solve that before talking about the contract."
    if "unresolved" in terms:
        return "Take it over and solve it in one go; tell them when. The history below is all you need to ask."
    if "detractor" in terms or "effort" in terms:
        return "Call back: say what was changed, ask whether it now works. No discount."
    return "Check that the solution holds; write one line to the customer."


def history(issue: Sequence[Contact]) -> str:
    """The contacts of an issue in one line, oldest first."""
    steps = [
        f"{day(contact.opened_at)} {contact.channel} {contact.kind} ({contact.origin}), "
        f"{'solved' if contact.resolved else 'open'}"
        for contact in issue
    ]
    return "; ".join(steps)
