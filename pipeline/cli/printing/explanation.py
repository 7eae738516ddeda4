"""Prints why a customer's churn risk is what it is."""

from collections.abc import Iterator

from pipeline.analysis.explanation import IssueRisk, RiskExplanation, RiskFactor
from pipeline.cli.printing import output
from pipeline.cli.printing.moments import as_of

SHOWN_EVENTS = 4
"""How many event ids a line names; --json names all."""


SHOWN_POINTS = 0.5
"""A factor that changes less is left out; --json has all."""


LEAST_WEIGHT = 0.02
"""Below this share of its weight an issue is told to be over."""


def show(explained: RiskExplanation) -> None:
    """The explanation for a person who knows no statistics."""
    for line in _lines(explained):
        output.say(line)


def _lines(explained: RiskExplanation) -> Iterator[str]:
    yield f"Customer {output.clean(explained.customer_id)}"
    yield f"{as_of(explained.moment)}."
    yield f"Read from the log: {explained.events} event{'s' if explained.events != 1 else ''} by then."
    if not explained.log_is_whole:
        yield "The log no longer holds its oldest records: what happened before is missing here."
    if explained.prospect:
        yield "A prospect: no purchase yet, so there is no loyalty to lose and no risk to explain."
    elif not explained.issues:
        yield "They never had to contact service: there is nothing that would have made them leave."
    for issue in explained.issues:
        yield ""
        yield from _about(issue, explained)
    if explained.issues:
        yield ""
        yield "The points say how much the risk would change if that one thing were not so; they do not add up to the"
        yield f"risk, because each counts for more when others are there. Coefficients: {explained.model_version}."


def _about(issue: IssueRisk, explained: RiskExplanation) -> Iterator[str]:
    yield f"Issue {output.clean(issue.issue_id)}: {output.clean(issue.history)}"
    yield (
        f"  Of 100 customers like this about {_of_100(issue.churn_risk_0_1)} would leave; without this issue "
        f"{_of_100(issue.churn_risk_before_0_1)} would."
    )
    if issue.weight < LEAST_WEIGHT:
        yield f"  The last contact was {issue.days_ago} days ago: nothing of it counts any more."
        return
    yield f"  {_softened(issue)}"
    yield f"  An alert is raised from {explained.raise_at:.0%} on; {_STANDING[issue.status]}"
    for title, shown in (
        ("What makes it more:", [f for f in issue.factors if f.sentence and _points(f, issue) > SHOWN_POINTS]),
        ("What makes it less:", [f for f in issue.factors if f.sentence and _points(f, issue) < -SHOWN_POINTS]),
    ):
        if shown:
            yield f"  {title}"
            ordered = sorted(shown, key=lambda f: -abs(f.logit))
            yield from (_line(factor, _points(factor, issue)) for factor in ordered)


def _softened(issue: IssueRisk) -> str:
    ago = f"{issue.days_ago} day{'s' if issue.days_ago != 1 else ''} ago" if issue.days_ago else "today"
    return f"The last contact was {ago}: what happened counts for {issue.weight:.0%} of its full weight."


def _points(factor: RiskFactor, issue: IssueRisk) -> float:
    return (issue.churn_risk_0_1 - factor.risk_without) * 100


_STANDING = {
    None: "none was.",
    "open": "it is open.",
    "resolved": "it was raised and is over.",
    "closed": "it was raised, and the desk closed it.",
    "withdrawn": "it was taken back.",
}


def _of_100(risk: float) -> str:
    return f"{risk * 100:.0f}" if risk >= 0.01 else "fewer than 1"


def _line(factor: RiskFactor, points: float) -> str:
    ids = [output.clean(name) for name in factor.event_ids[:SHOWN_EVENTS]]
    more = f" and {len(factor.event_ids) - len(ids)} more" if len(factor.event_ids) > len(ids) else ""
    rests = f"  ({', '.join(ids)}{more})" if ids else ""
    return f"    {points:+5.0f} points  {factor.sentence}{rests}"
