"""Figures of ``loyalty report``: survey answers, customer effort, and loyalty before and after contacts.

The newest state of every customer is read in pages and counted by the functions of the core; what is kept in memory are
counts. A report is as of a moment: without one, as of the answer moment (:mod:`pipeline.core.answer_moment`).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.analysis import answer_moments
from pipeline.config import Settings
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.contract.moments import instant, milliseconds, to_the_second
from pipeline.core.measures.effort import issues
from pipeline.core.measures.effort_totals import EffortTotals
from pipeline.core.measures.intervals import Change, compare
from pipeline.core.measures.shift import PUBLISHED, ShiftTotals
from pipeline.core.measures.surveys import FOLLOW_UP, Question, Rating, Said, SurveyTotals, newest
from pipeline.core.state.customer import DAY_MS, Customer, decode_named
from pipeline.warehouse.client import Warehouse, connect

PAGE = 2_000
"""States read at once."""
_PAGE = (
    "SELECT customer_id, state FROM customer_states FINAL WHERE customer_id > {after:String} AND "
    "(contact_events > 0 OR survey_answers > 0) ORDER BY customer_id LIMIT {n:UInt32}"
)


class ReportPeriod(NamedTuple):
    """Of which period a report is, in milliseconds, and how many customers there are."""

    since: int
    at: int
    days: int | None
    customers: int
    moment: AnswerMoment


def states(warehouse: Warehouse, page: int = PAGE) -> Iterator[Customer]:
    """Every customer with a contact or an answer, by id, a page at a time."""
    after = ""
    while rows := warehouse.query(_PAGE, {"after": after, "n": page}).rows:
        for _, state in rows:
            yield decode_named(state)
        after = rows[-1][0]


def _asked(warehouse: Warehouse, at: datetime | None, days: int | None) -> ReportPeriod:
    customers = answer_moments.customers_known(warehouse)
    moment = answer_moments.moment_of_answer(warehouse, at)
    until = milliseconds(moment.at)
    since = 0 if days is None else max(0, until + 1 - days * DAY_MS)
    return ReportPeriod(since, until, days, customers, moment)


def _iso(at: int) -> str:
    return to_the_second(instant(at))


def _head(asked: ReportPeriod) -> dict[str, Any]:
    since = None if asked.days is None else _iso(asked.since)
    head = {"as_of": _iso(asked.at), "since": since, "customers_known": asked.customers}
    return answer_moments.as_data(asked.moment) | head


# --- surveys


def surveys(settings: Settings, at: datetime | None, days: int | None) -> dict[str, Any]:
    """What customers said in a period, and against the period of the same length before it.

    Raises
    ------
    NotFound
        No customer is in the warehouse.
    """
    warehouse = connect(settings)
    asked = _asked(warehouse, at, days)
    now, before, answered, synthetic = SurveyTotals(), SurveyTotals(), 0, 0
    for customer in states(warehouse):
        answers = newest(customer, asked.since, asked.at + 1)
        now.add(answers)
        answered += bool(answers)
        synthetic += bool(answers) and customer.synthetic_events > 0
        if asked.days is not None:
            before.add(newest(customer, asked.since - asked.days * DAY_MS, asked.since))
    earlier = None if asked.days is None else before.result()
    data = _head(asked) | {"customers": answered, "customers_with_synthetic_events": synthetic}
    return data | _said(now.result(), earlier)


def _said(answers: Said, earlier: Said | None) -> dict[str, Any]:
    change = None
    if earlier is not None and earlier.nps is not None and answers.nps is not None:
        change = compare(earlier.nps.estimate, answers.nps.estimate)
    questions = [
        {"question": question.instrument, "low": question.low, "high": question.high, "mean": rating.mean,
         "good": rating.good, **_changes(question, rating, earlier)}
        for question, rating in answers.ratings.items()
    ]  # fmt: skip
    return {
        "nps": answers.nps,
        "nps_change": change,
        "compared_with": None if earlier is None else {"nps": earlier.nps},
        "follow_up": FOLLOW_UP,
        "ratings": questions,
    }


def _changes(question: Question, now: Rating, earlier: Said | None) -> dict[str, Change | None]:
    was = None if earlier is None else earlier.ratings.get(question)
    return {
        "mean_change": None if was is None else compare(was.mean, now.mean),
        "good_change": None if was is None or was.good is None or now.good is None else compare(was.good, now.good),
    }


# --- effort


def effort(settings: Settings, at: datetime | None, days: int | None) -> dict[str, Any]:
    """What it cost customers to get issues solved that were opened in a period, by the origin of the problem.

    Raises
    ------
    NotFound
        No customer is in the warehouse.
    """
    warehouse = connect(settings)
    asked, ledger = _asked(warehouse, at, days), EffortTotals()
    for customer in states(warehouse):
        ledger.add([issue for issue in issues(customer, asked.at) if issue.opened_at >= asked.since])
    return _head(asked) | {"origins": ledger.result()}


# --- shift


def shift(settings: Settings, at: datetime | None, days: int | None) -> dict[str, Any]:
    """How many customers are less and how many more loyal after a contact that began in a period.

    Raises
    ------
    NotFound
        No customer is in the warehouse.
    """
    warehouse = connect(settings)
    asked, balance = _asked(warehouse, at, days), ShiftTotals()
    for customer in states(warehouse):
        balance.add(customer, asked.since, asked.at)
    return _head(asked) | {"shift": balance.result(), "published": {"ratio": PUBLISHED, "source": _CEB}}


_CEB = "CEB, more than 75,000 customers (Dixon, Freeman & Toman 2010, Harvard Business Review)"
