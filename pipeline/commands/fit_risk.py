"""``loyalty fit risk``: learn the coefficients of the churn risk from history, and say how far they can be trusted."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.commands import output
from pipeline.commands.stored_events import stored
from pipeline.commands.tables import Column, prose
from pipeline.config import Settings
from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import Event
from pipeline.errors import Refused
from pipeline.fitting.observations import Per, Silence, gather
from pipeline.fitting.reliability import draw
from pipeline.fitting.risk import STRENGTHS, Learned, Term, day, learn
from pipeline.fitting.scoring import BINS
from pipeline.policy import write_policy
from pipeline.simulate import population
from pipeline.simulate.send import encode
from pipeline.simulate.truth import HIDDEN
from pipeline.topics import INPUTS
from pipeline.warehouse.client import connect

SIMULATED_FROM = date(2022, 1, 1)
SIMULATED_DAYS = 1_096
SIMULATED_SEED = 1


def run(
    source: Settings | int,
    *,
    policy_file: Path,
    picture: Path,
    silence: tuple[float, float, float],
    per: Per,
    per_day: int,
    force: bool,
    as_json: bool,
) -> None:
    """Learn from the warehouse, or from so many simulated customers; report; write policy and picture.

    ``silence`` holds the fields of :class:`~pipeline.fitting.observations.Silence` in their order.

    Raises
    ------
    Refused
        The history is too small, or what was learned is no better than the days since the last purchase.
    """
    gaps, shortest, longest = silence
    long = Silence(gaps=gaps, shortest_days=shortest, longest_days=longest)
    learned = learn(gather(_customers(source)), long, per=per, per_day=per_day)
    conclude(learned, policy_file, picture, force=force, as_json=as_json, simulated=isinstance(source, int))


def conclude(
    learned: Learned, policy_file: Path, picture: Path, *, force: bool, as_json: bool, simulated: bool
) -> None:
    """Report what was learned; the picture is written in any case, the policy only when it deserves it, or by force.

    Raises
    ------
    Refused
        It does not deserve it.
    """
    draw(learned, picture)
    ships = learned.beats_recency or force
    if ships:
        write_policy(policy_file, learned.policy, summary(learned))
    if as_json:
        output.as_json(as_data(learned) | {"policy": str(policy_file) if ships else None, "picture": str(picture)})
    else:
        show(learned, simulated=simulated)
        output.say(f"The picture of this comparison is {picture}.")
    if not ships:
        raise Refused(
            "what was learned does not beat the days since the last purchase in both AUC and log loss by more than "
            "chance could make it, so no policy is written; learn from a longer history, or write it all the same with "
            "--force"
        )
    if not as_json:
        output.say(f"Policy {learned.policy.version} is written to {policy_file}. No process uses it by itself.")


def _customers(source: Settings | int) -> Iterator[Sequence[Event]]:
    if isinstance(source, int):
        return _simulated(source)
    return stored(connect(source))


def _simulated(customers: int) -> Iterator[list[Event]]:
    decoders = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind}
    now = datetime(SIMULATED_FROM.year, SIMULATED_FROM.month, SIMULATED_FROM.day, tzinfo=UTC)
    now += timedelta(days=SIMULATED_DAYS)
    with output.bar("customers") as bar:
        task = bar.add_task("simulating", total=customers)
        lives = population.lives(range(customers), SIMULATED_DAYS, SIMULATED_SEED, SIMULATED_FROM)
        for number, life in enumerate(lives, start=1):
            yield [decoders[topic](encode(event), now).event for topic, event in life]
            if number % 500 == 0 or number == customers:
                bar.update(task, completed=number)


# --- what is said about it


def show(learned: Learned, *, simulated: bool) -> None:
    """For a person who is not a statistician: what was learned from, what was learned, how good it is."""
    for line in _story(learned):
        output.say(line)
    planted = simulated and learned.per == "issue"
    output.table(*_coefficients(learned, planted=planted))
    if planted:
        output.say(
            "Planted is what makes a simulated customer leave for good. Silence also counts those who only buy "
            "rarely, so what is learned from it is paler; a longer silence comes nearer (--gaps 8 --longest 730)."
        )
    output.say(_acting(learned.acting))
    output.table(*_comparison(learned))
    output.say(_load(learned))
    output.say(_verdict(learned))


def _story(learned: Learned) -> Iterator[str]:
    counts, silence = learned.counts, learned.silence
    made = {0: "", counts["contacts"]: " All of it is synthetic: a demonstration, not evidence."}.get(
        counts["synthetic"], f" {counts['synthetic']:,} of the contacts are synthetic."
    )
    yield (
        f"Read {counts['contacts']:,} service contacts of {counts['customers']:,} customers, up to "
        f"{day(learned.ends_at)}.{made}"
    )
    yield (
        f"Silence after a contact: no voluntary purchase for {silence.gaps:g} times the customer's own usual gap "
        f"between purchases ({learned.typical_gap_days:.0f} days for who has none yet), at least "
        f"{silence.shortest_days:.0f} and at most {silence.longest_days:.0f} days. One observation per {learned.per}; "
        f"of {counts['known']:,} it is known what came."
    )
    yield (
        f"Learned from {counts['earlier']:,} whose outcome was known by {day(learned.split_at)} "
        f"({learned.silent_share['earlier']:.0%} fell silent), tested on {counts['later']:,} after that day "
        f"({learned.silent_share['later']:.0%}) that the desk did not act on. "
        f"How much the priors count was tried on the last part of what was learned from: {learned.strength:g} is best, "
        f"between {STRENGTHS[0]:g} (hardly) and {STRENGTHS[-1]:,.0f} (entirely)."
    )


def _coefficients(learned: Learned, *, planted: bool) -> tuple[list[str | Column], list[list[str]]]:
    names: list[str | Column] = ["term", "prior", "learned", "95 % interval", "in the policy", prose("note")]
    rows = [
        [t.term, f"{t.prior:+.2f}", _number(t.learned), _interval(t), f"{t.used:+.2f}", t.note] for t in learned.terms
    ]
    if planted:
        names.insert(2, "planted")
        for row in rows:
            row.insert(2, f"{getattr(HIDDEN, row[0], 0.0):+.2f}")
    return names, rows


def _interval(term: Term) -> str:
    return "" if math.isnan(term.low) else f"{term.low:+.2f} to {term.high:+.2f}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.2f}"


def _acting(acting: Term | None) -> str:
    if acting is None:
        return "The desk acted too rarely to say what acting changes."
    sense = "less" if acting.learned < 0 else "more"
    clear = acting.high < 0 or acting.low > 0
    return (
        f"Where the desk acted, the risk was {sense} by {abs(acting.learned):.2f} logits ({_interval(acting)}), "
        + ("" if clear else "which can be chance, ")
        + "everything above being equal. The policy leaves this out: it says what happens when nobody acts. "
        "Only a held-out share of alerts shows what acting really changes."
    )


_FIGURES = (
    ("auc", "ranks right (AUC, 0.5 is chance, higher is better)", ".3f"),
    ("log_loss", "log loss (lower is better)", ".3f"),
    ("brier", "squared error (Brier, lower is better)", ".3f"),
    ("ece", f"off on average (ECE, {BINS} classes, lower is better)", ".3f"),
    ("lift", "silent among the top 10 %, times the average (lift)", ".2f"),
    ("precision_at_capacity", "silent among those the desk reaches", ".1%"),
)


def _comparison(learned: Learned) -> tuple[list[str | Column], list[list[str]]]:
    ways = ("learned", "priors", "recency")
    return (
        [prose("tested on what came later"), "learned", "priors", "days since last purchase"],
        [[words, *(format(getattr(learned.compared[way], name), style) for way in ways)]
         for name, words, style in _FIGURES],
    )  # fmt: skip


def _load(learned: Learned) -> str:
    all_ = learned.per_day >= learned.busiest_day
    reached = "all of them" if all_ else f"the {learned.per_day} highest of each day"
    return (
        f"{learned.per.capitalize()}s a day in the later part: {learned.per_day_later:.1f}; the desk reaches "
        f"{reached}. At its threshold of {learned.policy.raise_at:.0%} the learned policy would raise the alarm for "
        f"{learned.alarms['learned']:.1f} a day, the priors for {learned.alarms['priors']:.1f}."
    )


def _verdict(learned: Learned) -> str:
    if learned.beats_recency:
        return "What was learned ranks and predicts better than the days since the last purchase, beyond chance."
    return (
        "What was learned is NOT better than the days since the last purchase by more than chance could make it: the "
        f"95 % intervals of its lead begin at {learned.lead.auc:+.4f} (AUC), {learned.lead.log_loss:+.4f} (log loss)."
    )


def summary(learned: Learned) -> dict[str, Any]:
    """What the policy file says about its origin."""
    return {
        "contacts": learned.counts["contacts"],
        "synthetic_contacts": learned.counts["synthetic"],
        "learned_from": learned.counts["earlier"],
        "tested_on": learned.counts["later"],
        "first": day(learned.first_at),
        "split": day(learned.split_at),
        "last": day(learned.ends_at),
        "per": learned.per,
        "silence": {
            "gaps": learned.silence.gaps,
            "shortest_days": learned.silence.shortest_days,
            "longest_days": learned.silence.longest_days,
            "typical_gap_days": learned.typical_gap_days,
        },
        "strength": learned.strength,
        "beats_recency": learned.beats_recency,
        "lead_95": learned.lead._asdict(),
        "compared": {name: found._asdict() for name, found in learned.compared.items()},
    }


def as_data(learned: Learned) -> dict[str, Any]:
    """Everything, for a program; what does not exist is null."""
    return summary(learned) | {
        "version": learned.policy.version,
        "terms": [_term(term) for term in learned.terms],
        "acting": _term(learned.acting) if learned.acting else None,
        "classes": {name: [one._asdict() for one in found] for name, found in learned.classes.items()},
        "bins": BINS,
        "per_day": learned.per_day,
        "alarms_a_day": dict(learned.alarms),
    }


def _term(term: Term) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in term._asdict().items()
    }
