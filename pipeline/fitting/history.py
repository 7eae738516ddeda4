"""Purchases to what the models learn from: occasions, ``x``, ``t_x``, ``T``, spend. The one place that says how.

Rules
-----
- An occasion is a UTC day with at least one purchase. Refunds are no purchases.
- Purchases under obligation are no occasions, and a customer who has one is bound by contract, so left out of the fit.
- Spend is that of repeat occasions: what was paid on the day, zero left out, in one currency.
- A customer takes part once their first occasion lies within the calibration period.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from pipeline.core.contract.currencies import UNITS
from pipeline.errors import Refused
from pipeline.fitting.bought import Bought

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WEEK = 7
EPOCH = date(1970, 1, 1)
FEWEST_CUSTOMERS = 200
FEWEST_REPEAT_BUYERS = 50
"""Of fewer, four parameters and their errors say nothing worth acting on; our own judgement, not a published figure."""
FEWEST_RETURNS = 20
"""Customers who bought, and who did not, in the hold-out: of fewer, no ranking can be compared."""


@dataclass(frozen=True, slots=True)
class Log:
    """Every occasion once, ordered by customer and day, customers numbered from 0."""

    customer: Ints
    day: Ints
    spent: Floats
    """In :attr:`currency`; 0 where nothing was paid in it."""
    customers: int
    bound: int
    """Customers left out because they bought under obligation."""
    currency: str | None
    """``None``: spend is not looked at."""
    digest: str
    """SHA-256 over the occasions: two fits with the same digest saw the same data."""

    @property
    def first_day(self) -> int:
        """The day of the oldest occasion."""
        return int(self.day.min())

    @property
    def last_day(self) -> int:
        """The day of the newest occasion."""
        return int(self.day.max())


@dataclass(frozen=True, slots=True)
class Summary:
    """What was known of each customer at the end of a day; times in weeks."""

    customer: Ints
    x: Floats
    t_x: Floats
    T: Floats
    paid: Floats
    """Repeat occasions with a value."""
    mean: Floats
    """Their mean value; 0 without any."""

    @property
    def repeat_buyers(self) -> int:
        """Customers who came back."""
        return int((self.x > 0).sum())


@dataclass(frozen=True, slots=True)
class Split:
    """History cut in time: what the model may see, and what came after."""

    log: Log
    until: int
    """The last day of the calibration period."""
    end: int
    """The last day of the hold-out."""
    seen: Summary
    later: Floats
    """Occasions of each customer in the hold-out."""

    @property
    def weeks(self) -> float:
        """Length of the hold-out."""
        return (self.end - self.until) / WEEK


def log_of(rows: Iterable[Bought], currency: str | None = None, *, spend: bool = True) -> Log:
    """Purchases in any order as a :class:`Log`.

    Raises
    ------
    Refused
        There are none, or they come in several currencies and none was chosen.
    """
    bought = [row for row in rows if not row.refund]
    bound = {row.customer for row in bought if row.obligated}
    free = [row for row in bought if row.customer not in bound]
    chosen = _currency(free, currency) if spend else None
    days: dict[tuple[str, int], int] = {}
    for row in free:
        key = (row.customer, row.day)
        days[key] = days.get(key, 0) + (row.units if row.currency == chosen else 0)
    if not days:
        raise Refused("there are no purchases to learn from; choose another source, or send some: loyalty replay cdnow")
    ordered = sorted(days.items())
    names = {name: number for number, name in enumerate(dict.fromkeys(key[0] for key, _ in ordered))}
    digest = hashlib.sha256()
    for (name, day), units in ordered:
        digest.update(f"{name}\x1f{day}\x1f{units}\x1e".encode())
    return Log(
        customer=np.array([names[name] for (name, _), _ in ordered], dtype=np.int64),
        day=np.array([day for (_, day), _ in ordered], dtype=np.int64),
        spent=np.array([units / UNITS for _, units in ordered], dtype=np.float64),
        customers=len(names),
        bound=len(bound),
        currency=chosen,
        digest=digest.hexdigest(),
    )


def _currency(rows: list[Bought], wanted: str | None) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.currency] = counts.get(row.currency, 0) + 1
    if wanted is not None:
        if rows and wanted not in counts:
            raise Refused(f"nothing was paid in {wanted}; there is {', '.join(sorted(counts))}")
        return wanted
    if len(counts) > 1:
        found = ", ".join(f"{count} in {name}" for name, count in sorted(counts.items(), key=lambda i: (-i[1], i[0])))
        raise Refused(
            f"amounts in several currencies cannot be one spend model ({found}); choose one with --currency, "
            "or leave spend out with --no-spend"
        )
    return next(iter(counts), "")


def summarise(log: Log, until: int) -> Summary:
    """Each customer who had bought by the end of the day ``until``, as of then."""
    seen = log.day <= until
    customer, day, spent = log.customer[seen], log.day[seen], log.spent[seen]
    known, start, count = np.unique(customer, return_index=True, return_counts=True)
    first, last = day[start], day[start + count - 1]
    repeat = np.ones(len(day), dtype=bool)
    repeat[start] = False
    with_value = repeat & (spent > 0)
    paid = np.bincount(customer[with_value], minlength=log.customers)[known].astype(np.float64)
    total = np.bincount(customer[with_value], spent[with_value], minlength=log.customers)[known].astype(np.float64)
    return Summary(
        customer=known.astype(np.int64),
        x=(count - 1).astype(np.float64),
        t_x=(last - first) / WEEK,
        T=(until - first) / WEEK,
        paid=paid,
        mean=np.divide(total, paid, out=np.zeros_like(total), where=paid > 0),
    )


def split(log: Log, weeks: int | None = None, until: date | None = None, horizon: float | None = None) -> Split:
    """Cut the history after ``weeks``, or after the day ``until``, or in the middle; ``horizon`` shortens the hold-out.

    Raises
    ------
    Refused
        The history is too small, too short, or leaves no hold-out; the message says what is there and what is needed.
    """
    _refuse_one_day(log)
    end = _end_of_calibration(log, weeks, until)
    rest = (log.last_day - end) / WEEK
    if rest < 1:
        raise Refused(
            f"no hold-out: the calibration period ends on {as_date(end)} and the history on {as_date(log.last_day)}; "
            "at least a week must lie between them: choose an earlier end with --calibration-weeks or -until"
        )
    if horizon is not None and not 1 <= horizon <= rest:
        raise Refused(
            f"a horizon of {horizon:g} weeks cannot be tested: the history holds {rest:.1f} weeks after "
            f"{as_date(end)}, and one is the least; choose another --horizon or an earlier end of the calibration"
        )
    seen = summarise(log, end)
    _refuse_too_small(seen, end)
    last = log.last_day if horizon is None else end + round(horizon * WEEK)
    after = (log.day > end) & (log.day <= last)
    later = np.bincount(log.customer[after], minlength=log.customers)[seen.customer].astype(np.float64)
    found = Split(log=log, until=end, end=last, seen=seen, later=later)
    _refuse_untestable(later, found.weeks)
    return found


def as_date(day: int) -> date:
    """A day since 1970 as a date."""
    return EPOCH + timedelta(days=day)


def _end_of_calibration(log: Log, weeks: int | None, until: date | None) -> int:
    if until is not None:
        end = (until - EPOCH).days
    elif weeks is not None:
        end = log.first_day + weeks * WEEK - 1
    else:
        end = log.first_day + (log.last_day - log.first_day + 1) // (2 * WEEK) * WEEK - 1
    if end < log.first_day:
        raise Refused(
            f"no history to learn from: the first purchase is on {as_date(log.first_day)}; choose a later end"
        )
    return end


def _refuse_one_day(log: Log) -> None:
    if log.first_day == log.last_day:
        raise Refused(
            f"all purchases are of one day, {as_date(log.first_day)}: nobody can have come back; "
            "a history of several weeks is needed"
        )


def _refuse_too_small(seen: Summary, end: int) -> None:
    customers, repeat = len(seen.x), seen.repeat_buyers
    when = f"by {as_date(end)}, the end of the calibration period,"
    if repeat == 0:
        raise Refused(
            f"{when} all {customers} customers had bought once: how often people come back cannot be learned; "
            f"at least {FEWEST_REPEAT_BUYERS} must have come back: choose a later end or a longer history"
        )
    if customers < FEWEST_CUSTOMERS or repeat < FEWEST_REPEAT_BUYERS:
        raise Refused(
            f"too little to learn from: {when} there were {customers} customers ({FEWEST_CUSTOMERS} are needed), "
            f"{repeat} of them with a repeat purchase ({FEWEST_REPEAT_BUYERS} are needed); "
            "choose a later end or a longer history"
        )


def _refuse_untestable(later: Floats, weeks: float) -> None:
    came, stayed_away = int((later > 0).sum()), int((later == 0).sum())
    if min(came, stayed_away) < FEWEST_RETURNS:
        raise Refused(
            f"the hold-out of {weeks:g} weeks cannot tell a good model from a bad one: {came} customers bought in it "
            f"and {stayed_away} did not; at least {FEWEST_RETURNS} of each are needed: choose another end or --horizon"
        )
