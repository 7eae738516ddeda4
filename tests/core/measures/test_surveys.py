"""What customers say: published figures, boundaries of every class, and the gate before a survey."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.measures.intervals import compare, wilson
from pipeline.core.measures.surveys import FOLLOW_UP, Nps, Question, SurveyTotals, newest, nps, nps_class, rating
from pipeline.core.state.customer import DAY_MS, Answer, Customer

AT = 500 * DAY_MS


def answer(day: float, instrument: str, score: int, low: int = 0, high: int = 10, name: str = "") -> Answer:
    return Answer(int(day * DAY_MS), name or f"{instrument}-{day}", instrument, score, low, high)


def customer(*answers: Answer) -> Customer:
    """As the fold leaves it: answers oldest first, and the newest of each instrument."""
    ordered = sorted(answers, key=lambda a: (a.at, a.event_id))
    return Customer(customer_id="c", answers=ordered, latest={a.instrument: a for a in ordered})


# --- recommendation


def given_nps(promoters: int, passives: int, detractors: int) -> Nps:
    found = nps({10: promoters, 7: passives, 3: detractors})
    assert found is not None
    return found


def test_the_worked_example_comes_out_to_the_printed_digits() -> None:
    """The specification (section 3): 500 answers, 250/100/150. The method is that of Rocks 2016."""
    found = given_nps(250, 100, 150)
    assert (found.n, found.detractors, found.passives, found.promoters) == (500, 150, 100, 250)
    assert found.score == 20.0
    assert tuple(round(end, 2) for end in found.wald) == (12.36, 27.64)
    assert tuple(round(end, 2) for end in found.adjusted) == (12.27, 27.49)


@pytest.mark.parametrize(
    ("score", "kind"),
    [(0, "detractor"), (6, "detractor"), (7, "passive"), (8, "passive"), (9, "promoter"), (10, "promoter")],
)
def test_the_classes_end_where_they_end(score: int, kind: str) -> None:
    assert nps_class(score) == kind


@pytest.mark.parametrize("score", [-1, 11])
def test_an_answer_off_the_scale_is_refused(score: int) -> None:
    with pytest.raises(ValueError, match="0 to 10"):
        nps({9: 3, score: 1})
    with pytest.raises(ValueError, match="within 0"):
        rating(Question("csat", 0, 10), {9: 3, score: 1})


def test_no_answers_give_no_number() -> None:
    assert nps({}) is None
    assert nps({9: 0}) is None


def test_the_ends_of_the_scale_are_the_ends_of_the_interval() -> None:
    assert given_nps(2, 1, 0).wald[1] == 100
    assert given_nps(0, 1, 2).wald[0] == -100
    assert given_nps(500, 0, 0).adjusted[1] <= 100


def test_one_answer_says_next_to_nothing() -> None:
    """The adjusted interval is wide where the plain one pretends to know."""
    found = given_nps(1, 0, 0)
    assert found.wald[1] - found.wald[0] == 0
    assert found.adjusted[1] - found.adjusted[0] > 100


counts = st.integers(0, 2_000)


@given(counts, counts, counts)
def test_everything_stays_on_the_scale_and_mirrors(promoters: int, passives: int, detractors: int) -> None:
    found, mirrored = nps({9: promoters, 8: passives, 0: detractors}), nps({9: detractors, 8: passives, 0: promoters})
    if found is None or mirrored is None:
        assert promoters + passives + detractors == 0
        return
    for low, high in (found.wald, found.adjusted):
        assert -100 <= low <= high <= 100
    assert found.wald[0] <= found.score <= found.wald[1]
    assert found.adjusted == pytest.approx((-mirrored.adjusted[1], -mirrored.adjusted[0]))


def test_two_periods_can_be_no_different() -> None:
    """By hand: 20 against 30 points, standard errors 3.88 and 3.79: 10 ± 10.6; 20 against 36: 16 ± 10.5."""
    before = given_nps(250, 100, 150).estimate
    same = compare(before, given_nps(280, 90, 130).estimate)
    assert (same.difference, same.verdict) == (10.0, "no significant change")
    assert same.high - same.low == pytest.approx(21.2, abs=0.3)
    assert compare(before, given_nps(300, 80, 120).estimate).verdict == "higher"
    assert compare(given_nps(300, 80, 120).estimate, before).verdict == "lower"


def test_two_single_answers_never_make_a_change() -> None:
    assert compare(given_nps(0, 0, 1).estimate, given_nps(1, 0, 0).estimate).verdict == "no significant change"


def test_each_class_has_its_follow_up_and_none_is_an_incentive() -> None:
    assert "Call back" in FOLLOW_UP["detractor"]
    assert "which improvement is missing" in FOLLOW_UP["passive"]
    assert "Thank" in FOLLOW_UP["promoter"]
    assert "recommend" in FOLLOW_UP["promoter"]
    assert not [text for text in FOLLOW_UP.values() if "discount" in text or "voucher" in text]


# --- ease, satisfaction, intention

CES1, CES2 = Question("ces1", 1, 5), Question("ces2", 1, 7)


@pytest.mark.parametrize(
    ("question", "score", "ease", "easy"),
    [
        (CES1, 1, 1.0, 1), (CES1, 2, 0.75, 1), (CES1, 3, 0.5, 0), (CES1, 5, 0.0, 0),
        (CES2, 7, 1.0, 1), (CES2, 5, 4 / 6, 1), (CES2, 4, 0.5, 0), (CES2, 1, 0.0, 0),
    ],
)  # fmt: skip
def test_an_effort_answer_is_ease_by_its_own_direction(question: Question, score: int, ease: float, easy: int) -> None:
    """The specification (section 2): ease = (5 - s)/4 or (s - 1)/6."""
    found = rating(question, {score: 3})
    assert found is not None
    assert found.mean.value == pytest.approx(ease)
    assert found.good == wilson(3 * easy, 3)


def test_the_share_of_the_two_best_needs_a_scale_that_has_two_best() -> None:
    for low, high, known in (
        (0, 1, False),
        (1, 4, False),
        (1, 5, True),
        (0, 10, True),
        (0, 11, False),
        (0, 100, False),
    ):
        found = rating(Question("csat", low, high), {low: 1, high - 1: 1, high: 2})
        assert found is not None
        assert (found.good is not None) is known, (low, high)
        assert found.mean.high >= found.mean.value
    best = rating(Question("csat", 1, 5), {1: 1, 3: 4, 4: 2, 5: 3})
    assert best is not None
    assert best.good == wilson(5, 10)
    assert best.mean.value == pytest.approx((4 * 0.5 + 2 * 0.75 + 3) / 10)


def test_no_answers_give_no_rating_and_recommendation_is_none() -> None:
    assert rating(CES2, {}) is None
    with pytest.raises(ValueError, match="no rating"):
        rating(Question("nps", 0, 10), {5: 1})


# --- counting


def test_a_customer_counts_once_with_the_newest_answer_of_the_period() -> None:
    known = customer(answer(10, "nps", 3), answer(20, "nps", 9), answer(30, "nps", 7), answer(12, "ces2", 6, 1, 7))
    assert {(a.instrument, a.score) for a in newest(known, 0, 40 * DAY_MS)} == {("nps", 7), ("ces2", 6)}
    assert {(a.instrument, a.score) for a in newest(known, 20 * DAY_MS, 30 * DAY_MS)} == {("nps", 9)}
    assert newest(known, 13 * DAY_MS, 20 * DAY_MS) == []


def test_the_newest_answer_is_known_even_where_the_list_has_forgotten_it() -> None:
    old = answer(1, "nps", 2)
    assert newest(Customer(customer_id="c", answers=[], latest={"nps": old}), 0, AT) == [old]


def test_questions_are_counted_apart_by_instrument_and_scale() -> None:
    ballot = SurveyTotals()
    for given_answer in (
        answer(1, "ces1", 1, 1, 5),
        answer(1, "ces2", 1, 1, 7),
        answer(1, "csat", 5, 1, 5),
        answer(1, "csat", 5),
        answer(1, "repurchase_intent", 4, 1, 5),
        answer(1, "nps", 9),
    ):
        ballot.add([given_answer])
    said = ballot.result()
    means = {(q.instrument, q.high): r.mean.value for q, r in said.ratings.items()}
    assert means == {("ces1", 5): 1.0, ("ces2", 7): 0.0, ("csat", 5): 1.0, ("csat", 10): 0.5,
                     ("repurchase_intent", 5): 0.75}  # fmt: skip
    assert said.nps is not None
    assert said.nps.n == 1


def test_an_empty_ballot_says_nothing() -> None:
    assert (SurveyTotals().result().nps, SurveyTotals().result().ratings) == (None, {})
