"""What is counted as an occasion, how a history is cut, and what is refused."""

import random
from datetime import date

import pytest

from pipeline.core.forecast.purchasing import history_of
from pipeline.core.state.customer import Customer, with_occasion
from pipeline.errors import Refused
from pipeline.fitting.bought import Bought
from pipeline.fitting.history import Log, log_of, split, summarise
from tests.fitting.samples import sample

EUR = 10_000


def bought(customer: str, *days: int) -> list[Bought]:
    return [Bought(customer, day, 10 * EUR, "EUR") for day in days]


def enough(customers: int = 300, repeat: int = 100, *, last: int = 200) -> list[Bought]:
    """Customers of whom every other who came back in the first half comes back in the second, too."""
    rows = [row for n in range(customers) for row in bought(f"c{n}", 0, *((50,) if n < repeat else ()))]
    return rows + [row for n in range(0, customers, 2) for row in bought(f"c{n}", last)]


def test_two_purchases_on_a_day_are_one_occasion_and_the_first_one_is_no_repeat() -> None:
    log = log_of(bought("a", 0, 7, 7, 21) + bought("b", 7))
    seen = summarise(log, 28)
    assert (seen.x.tolist(), seen.t_x.tolist(), seen.T.tolist()) == ([2, 0], [3, 0], [4, 3])
    assert (seen.paid.tolist(), seen.mean.tolist()) == ([2, 0], [15, 0])  # 20 on day 7, 10 on day 21


def test_a_customer_who_comes_later_takes_no_part() -> None:
    seen = summarise(log_of(bought("a", 0) + bought("late", 9)), 8)
    assert seen.customer.tolist() == [0]


def test_what_is_free_counts_as_an_occasion_and_not_as_spend() -> None:
    log = log_of([*bought("a", 0), Bought("a", 7, 0, "EUR"), *bought("a", 14)])
    seen = summarise(log, 14)
    assert (seen.x.tolist(), seen.paid.tolist(), seen.mean.tolist()) == ([2], [1], [10])


def test_refunds_are_no_purchases_and_who_is_bound_is_left_out() -> None:
    refund = Bought("a", 9, -10 * EUR, "EUR", refund=True)
    renewal = Bought("b", 3, 10 * EUR, "EUR", obligated=True)
    log = log_of([*bought("a", 0), refund, *bought("b", 0, 7), renewal])
    assert (log.customers, log.bound, log.day.tolist()) == (1, 1, [0])


def test_the_summary_is_what_the_customers_state_says() -> None:
    """The fold keeps occasions as a bitmap of days; the fit must learn from the same x, t_x and T."""
    chance = random.Random(3)
    lives = {f"c{n}": sorted(chance.sample(range(400), chance.randint(1, 30))) for n in range(50)}
    log = log_of(row for name, days in lives.items() for row in bought(name, *days))
    seen = summarise(log, 300)
    states = []
    for name in sorted(lives):
        customer = Customer(customer_id=name)
        for day in lives[name]:
            with_occasion(customer, day)
        states.append(history_of(customer, 300, contractual=False))
    known = [state for state in states if state is not None]
    assert seen.x.tolist() == [state.x for state in known]
    assert seen.t_x.tolist() == pytest.approx([state.t_x for state in known])
    assert seen.T.tolist() == pytest.approx([state.T for state in known])


def test_the_digest_names_the_data_whatever_their_order() -> None:
    rows = bought("a", 0, 7) + bought("b", 3)
    digests = [log_of(r).digest for r in (rows, rows[::-1], rows[:-1], bought("a", 0, 8) + bought("b", 3))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_sample_is_cut_as_in_the_papers() -> None:
    """2,357 customers, 946 repeat buyers, T = 38.86 weeks for who came on the first day: Fader, Hardie & Lee 2005."""
    cut = sample()
    assert (len(cut.seen.x), cut.seen.repeat_buyers, cut.weeks) == (2_357, 946, 39.0)
    assert (cut.seen.x[0], round(cut.seen.t_x[0], 2), round(cut.seen.T[0], 2)) == (2, 30.43, 38.86)
    assert cut.until == (date(1997, 9, 30) - date(1970, 1, 1)).days
    assert split(cut.log).until == cut.until, "without a word the history is halved"


def test_a_horizon_shortens_the_hold_out() -> None:
    rows = enough(last=160) + bought("c0", 190)
    whole, short = split(log_of(rows), weeks=20), split(log_of(rows), weeks=20, horizon=4)
    assert (short.weeks, short.end - short.until) == (4.0, 28)
    assert (whole.later.sum(), short.later.sum()) == (151, 150)


REFUSED: dict[str, tuple[list[Bought], dict[str, object], str]] = {
    "no purchases": ([], {}, "no purchases"),
    "only refunds": ([Bought("a", 1, -1, "EUR", refund=True)], {}, "no purchases"),
    "all on one day": (bought("a", 5) + bought("b", 5), {}, "all purchases are of one day, 1970-01-06"),
    "everybody bought once": (
        [row for n in range(300) for row in bought(f"c{n}", n)], {}, "all 147 customers had bought once",
    ),
    "too few customers": (enough(150, 100), {"weeks": 20}, r"150 customers \(200 are needed\)"),
    "too few repeat buyers": (enough(300, 30), {"weeks": 20}, r"30 of them with a repeat purchase \(50 are needed\)"),
    "no hold-out": (enough(last=200), {"weeks": 40}, "no hold-out"),
    "a calibration end after the history": (enough(), {"until": date(1999, 1, 1)}, "no hold-out"),
    "a calibration end before the history": (enough(), {"until": date(1969, 1, 1)}, "the first purchase is on"),
    "a horizon longer than the hold-out": (enough(), {"weeks": 20, "horizon": 30.0}, "cannot be tested"),
    "a horizon of nothing": (enough(), {"weeks": 20, "horizon": 0.0}, "cannot be tested"),
    "a hold-out in which nobody bought": (enough(), {"weeks": 20, "horizon": 1.0}, "0 customers bought in it"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_learned_from_is_refused_with_what_is_missing(
    rows: list[Bought], options: dict[str, object], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        split(log_of(rows), **options)  # type: ignore[arg-type]


def mixed() -> list[Bought]:
    return [*bought("a", 0, 7), Bought("a", 9, 5 * EUR, "USD")]


def test_amounts_in_several_currencies_are_refused_with_both_ways_out() -> None:
    with pytest.raises(Refused, match=r"2 in EUR, 1 in USD.*--currency.*--no-spend"):
        log_of(mixed())
    with pytest.raises(Refused, match="nothing was paid in GBP; there is EUR, USD"):
        log_of(mixed(), "GBP")


def test_a_chosen_currency_leaves_every_occasion_and_only_its_own_amounts() -> None:
    chosen: Log = log_of(mixed(), "EUR")
    assert (chosen.day.tolist(), chosen.spent.tolist()) == ([0, 7, 9], [10, 10, 0])
    assert log_of(mixed(), spend=False).currency is None
