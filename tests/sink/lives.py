"""Lives of many customers with everything that bears on loyalty, and states at the edges of its definitions."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

from msgspec import json
from msgspec.structs import replace

from pipeline.core.contract.decode import Decoder
from pipeline.core.contract.events import BindingKind
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import Where, step
from pipeline.core.state.customer import DAY_MS, Answer, Contact, Customer, with_occasion
from pipeline.core.state.profile import BindingState, ConsentState, MembershipState, Promises, ReferralState, Stated
from pipeline.simulate.population import in_time_order, lives, told
from pipeline.topics import INPUTS
from tests.core.histories import START

FIRST = milliseconds(START)
"""When the first of them bought."""
KINDS: tuple[BindingKind, ...] = ("contractual", "technical", "economic", "situational", "emotional")
CURRENCIES = ("EUR", "USD", "GBP", "JPY")
INSTRUMENTS = (("nps", 0, 10), ("ces1", 1, 5), ("ces2", 1, 7), ("csat", 1, 5), ("repurchase_intent", 0, 100))


def day(number: float) -> int:
    """The moment so many days after the first purchase."""
    return FIRST + int(number * DAY_MS)


def wild(number: int) -> Customer:
    """A state of random facts: few enough moments that they coincide, and often exactly on a limit."""
    random = Random(f"wild/{number}")
    made = Customer(customer_id=f"w-{number}", events=random.randrange(9), last_event_at=day(0))
    if random.random() < 0.92:
        _buy(random, made)
    for instrument, low, high in random.sample(INSTRUMENTS, random.randrange(6)):
        score, at = random.randint(low, high), day(random.choice((0, 1, 30, 220, 365, 400, random.random() * 500)))
        made.latest[instrument] = Answer(at, f"a-{random.randrange(4)}", instrument, score, low, high)
    made.contacts = [_contact(random, n) for n in range(random.choice((0, 0, 1, 3)))]
    if random.random() < 0.7:
        made.stated = _stated(random, made)
    return made


def _buy(random: Random, made: Customer) -> None:
    start = random.choice((0, 0, 1, 35, 36, random.randrange(400)))
    made.first_purchase_at = day(start + random.choice((0, 0, 0.5, 0.999)))
    made.last_purchase_at = made.first_purchase_at + random.randrange(500) * DAY_MS
    made.purchases = random.choice((0, 1, 2, 3, 8, 40))
    made.incentivised = random.randint(0, made.purchases)
    made.obligated = random.randint(0, made.purchases)
    gap = random.choice((1, 2, 7, 17, 34, 68, 73, 91))
    for n in range(random.choice((0, 1, 1, 2, 5, 6, 7, 12, 60))):
        with_occasion(made, FIRST // DAY_MS + start + random.choice((n * gap, n * gap, random.randrange(450))))
    for currency in random.sample(CURRENCIES, random.choice((0, 1, 1, 1, 2, 3))):
        made.spent[currency] = random.choice((129_900 * made.purchases, random.randrange(10**9), 0))
    for currency in random.sample(CURRENCIES, random.choice((0, 0, 0, 1, 2))):
        made.refunded[currency] = random.randrange(10**9)
    for category in random.sample("abcdef", random.randrange(4)):
        made.categories[category] = random.choice((made.first_purchase_at, day(365), day(random.randrange(500))))


def _contact(random: Random, number: int) -> Contact:
    moments = (None, day(0), day(30), day(365), day(365) - 1, day(random.randrange(400)))
    promises = Promises(*random.choices(moments, k=4)) if random.random() < 0.8 else None
    at = day(random.choice((0, 29, 30, 365, 380)))
    return Contact(
        at, f"k-{number}", f"i-{number // 2}", at, "e", "phone", "complaint", "billing", random.random() < 0.5,
        60.0, 1, False, False, 1, False, promises,
    )  # fmt: skip


def _stated(random: Random, made: Customer) -> Stated:
    ends = (None, day(200), day(365), day(365) + 1, day(900))
    said = Stated()
    for kind in random.sample(KINDS, random.randrange(4)):
        notice = random.choice(ends) if kind == "contractual" else None
        said.bindings[kind] = BindingState(day(random.choice((0, 30, 365))), "e", random.choice(ends), notice)
    if random.random() < 0.6:
        status: Any = random.choice(("granted", "withdrawn", "existing_customer"))
        said.consent = ConsentState(day(random.choice((0, 365, 400))), "e", status)
    if random.random() < 0.5:
        said.membership = MembershipState(day(0), "e", random.random() < 0.5)
        said.member_purchases = random.randint(0, made.purchases)
    if random.random() < 0.3:
        said.referred_by = ReferralState(day(0), "e", f"w-{random.randrange(50)}")
    said.deliveries_on_time, said.deliveries_late = random.randrange(3), random.randrange(3)
    bits = int.from_bytes(made.occasions, "little")
    incentives = bits & random.choice((0, bits, random.getrandbits(bits.bit_length() + 1)))
    if incentives:
        shift = (incentives & -incentives).bit_length() - 1
        said.incentives_from = made.occasions_from + shift
        said.incentives = (incentives >> shift).to_bytes((incentives.bit_length() + 7) // 8, "little")
    return said


def edge(name: str, **facts: Any) -> Customer:
    """A state at an edge of a definition."""
    made = Customer(customer_id=name, last_event_at=FIRST, events=1, first_purchase_at=FIRST, last_purchase_at=FIRST)
    for number in facts.pop("bought", (0,)):
        with_occasion(made, FIRST // DAY_MS + number)
    return replace(made, **({"purchases": 1, "spent": {"USD": 129_900}} | facts))


def edges() -> Iterator[Customer]:
    """States at the edges: a basket ratio of exactly 0.5, five occasions, ends and answers exactly at a moment."""
    yield edge("e-once")
    yield edge("e-half", bought=range(330, 336), purchases=6, spent={"USD": 6 * 129_900})
    yield edge("e-less", bought=range(330, 336), purchases=6, spent={"USD": 6 * 129_900 - 1})
    yield edge("e-five", bought=range(330, 335), purchases=5, spent={"USD": 10**9})
    yield edge("e-abroad", bought=range(330, 340), purchases=10, spent={"JPY": 10**9})
    yield edge("e-obligated", bought=(), purchases=3, obligated=3)
    yield edge("e-refunded", purchases=0, refunds=2, spent={}, refunded={"USD": 5})
    yield edge("e-nothing-left", first_purchase_at=None, last_purchase_at=None, bought=(), purchases=0, spent={})
    for name, ends in {"now": 365, "later": 365.1, "unknown": None}.items():
        said = BindingState(day(0), "e", None if ends is None else day(ends), day(365))
        yield edge(f"e-bound-{name}", stated=Stated(bindings={"contractual": said}))
    for name, at in {"before": 364.9, "now": 365, "after": 365.1}.items():
        yield edge(f"e-said-{name}", latest={"nps": Answer(day(at), "a", "nps", 2, 0, 10)})
        yield edge(f"e-satisfied-{name}", latest={"csat": Answer(day(at - 180), "a", "csat", 4, 1, 5)})
    tied = {"ces1": Answer(day(9), "b", "ces1", 5, 1, 5), "ces2": Answer(day(9), "a", "ces2", 7, 1, 7)}
    yield edge("e-tied", latest=tied)


def simulated(count: int) -> Iterator[Customer]:
    """Customers of the simulated population, folded from their events."""
    decoders = {topic.name: Decoder(topic.kind) for topic in INPUTS if topic.kind is not None}
    for life in lives(range(count), 700, 7, START.date()):
        events, _ = told(life)
        customer, offsets = Customer(customer_id=str(events[0][1]["customer_id"])), Counter[str]()
        for topic, sent in in_time_order(events):
            event = decoders[topic](json.encode(sent), START + timedelta(days=5000)).event
            customer = step(customer, event, Where(topic, offsets[topic])).customer
            offsets[topic] += 1
        yield customer
