"""What the desk reads: reasons, a recommended action and a one-line history, in plain words."""

from collections.abc import Sequence
from typing import Final

from pipeline.core.contract.moments import day
from pipeline.core.risk.messages import Contribution
from pipeline.core.risk.terms import BY_NAME, TABLE
from pipeline.core.risk.wording import CHECK
from pipeline.core.state.customer import Contact

LEFT_ALONE = "Nothing: this alert is held out, to measure what acting on the others does."
IN_FAVOUR = "In their favour: "
_PLACEMENTS: Final = {term.name: term.placement for term in TABLE}


def reasons(contributions: Sequence[Contribution], transition: str) -> list[str]:
    """Sentences for a person: what raises the risk, the weightiest first, then what speaks for the customer."""
    if transition == "withdrawn":
        return ["Taken back: with all events known now, this issue was no risk."]
    ordered = sorted(contributions, key=lambda term: -abs(term.logit))
    against, between, favour = list[str](), list[str](), list[str]()
    for contribution in ordered:
        placement = _PLACEMENTS.get(contribution.term, "not told")
        if placement == "not told" or not (text := sentence(contribution)):
            continue
        if placement == "between":
            between.append(text)
        elif contribution.logit > 0:
            against.append(text)
        else:
            favour.append(IN_FAVOUR + text[0].lower() + text[1:])
    return [*against, *between, *favour]


def sentence(contribution: Contribution) -> str:
    """A term of the risk in plain words; empty when there is nothing to say."""
    term = BY_NAME.get(contribution.term)
    if term is None:  # the intercept
        return ""
    text = term.sentence
    return text if isinstance(text, str) else text(contribution.value)


def recommendation(contributions: Sequence[Contribution], status: str) -> str:
    """What to do next: solve the problem first; an incentive is the last resort."""
    if status != "open":
        return "Nothing to do."
    actions = [BY_NAME[c.term].action for c in contributions if c.value and c.term in BY_NAME]
    return min((action for action in actions if action is not None), default=CHECK).advice


def history(issue: Sequence[Contact]) -> str:
    """The contacts of an issue in one line, oldest first."""
    steps = [
        f"{day(contact.opened_at)} {contact.channel} {contact.kind} ({contact.origin}), "
        f"{'solved' if contact.resolved else 'open'}"
        for contact in issue
    ]
    return "; ".join(steps)
