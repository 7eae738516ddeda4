"""What is known of the firm without its warehouse: the raw events, each once, and customers folded from them."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from random import Random
from statistics import median
from typing import Any

import msgspec

from pipeline.core.contract.decode import EVENTS
from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import Where, step
from pipeline.core.loyalty.loyalty_policy import PRIORS, Norms
from pipeline.core.loyalty.loyalty_state import Loyalty, loyalty
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import DAY_MS, Customer
from pipeline.topics import BY_NAME
from tests.questions.world import World

Fields = dict[str, Any]
FEWEST = 30
"""Purchases of a currency from which a typical one is measured."""


def ms(text: str) -> int:
    """A moment of an event in milliseconds."""
    return milliseconds(datetime.fromisoformat(text).astimezone(UTC))


def date_of(at: int | None) -> str | None:
    """The UTC day of a moment."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


class Known:
    """The firm by its raw events; nothing here comes out of the warehouse."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loyal: dict[int, dict[str, Loyalty]] = {}
        self.purchases = [e for e in world.of("purchases") if "refund_of" not in e]
        self.refunds = [e for e in world.of("purchases") if "refund_of" in e]
        self.voluntary = [e for e in self.purchases if not e.get("obligated")]
        self.stages = world.of("service-contacts")
        self.answers = world.of("surveys")
        self.outcomes = world.of("alert-outcomes")
        self.told: list[ChurnAlert] = world.alerts

    @cached_property
    def newest(self) -> int:
        """When the newest event happened."""
        return max(ms(str(event["occurred_at"])) for _, event in self._world.events)

    @cached_property
    def alerts(self) -> dict[str, ChurnAlert]:
        """Every alert as it was last told, without those taken back."""
        return self.alerts_at(self.newest)

    def alerts_at(self, at: int) -> dict[str, ChurnAlert]:
        """Every alert as it was last told about what had happened by a moment, without those taken back."""
        last = {alert.alert_id: alert for alert in self.told if milliseconds(alert.occurred_at) <= at}
        return {name: alert for name, alert in last.items() if alert.status != "withdrawn"}

    @cached_property
    def customers(self) -> list[Customer]:
        """Everybody, folded from their events in an order in which they never arrived."""
        found: dict[str, Customer] = {}
        for offset, (topic, fields) in enumerate(Random(1).sample(self._world.events, len(self._world.events))):
            kind = BY_NAME[topic].kind
            assert kind is not None
            event = msgspec.convert(fields, EVENTS[kind], strict=False)
            before = found.get(event.customer_id) or Customer(customer_id=event.customer_id)
            found[event.customer_id] = step(before, event, Where(topic, offset)).customer
        return [found[name] for name in sorted(found)]

    @cached_property
    def norms(self) -> Norms:
        """The norms with the typical baskets of this firm: medians, which the engine knows to 0.1 %.

        Nobody of the firm is so near the border of a small basket that this could matter.
        """
        amounts = defaultdict(list)
        for event in self.purchases:
            amounts[event["currency"]].append(float(event["amount"]))
        typical = {currency: median(seen) for currency, seen in amounts.items() if len(seen) >= FEWEST}
        return replace(PRIORS, typical_baskets={**PRIORS.typical_baskets, **typical})

    def loyal(self, at: int) -> dict[str, Loyalty]:
        """The loyalty state of everybody who has one."""
        if at not in self._loyal:
            states = {customer.customer_id: loyalty(customer, at, self.norms) for customer in self.customers}
            baskets = [state.standing.basket_ratio or 0 for state in states.values() if state is not None]
            assert all(abs(ratio / self.norms.large_basket_ratio - 1) > 0.004 for ratio in baskets), sorted(baskets)
            self._loyal[at] = {name: state for name, state in states.items() if state is not None}
        return self._loyal[at]

    def days_bought(self, until: int) -> dict[str, list[int]]:
        """The days with a voluntary purchase of each customer, ascending; the day of ``until`` is a whole one."""
        days = defaultdict(set)
        for event in self.voluntary:
            if ms(event["occurred_at"]) // DAY_MS <= until // DAY_MS:
                days[event["customer_id"]].add(ms(event["occurred_at"]) // DAY_MS)
        return {customer: sorted(found) for customer, found in days.items()}

    def contacts(self) -> dict[tuple[str, str], list[Fields]]:
        """The stages of each contact, oldest first."""
        found = defaultdict(list)
        for event in self.stages:
            found[event["customer_id"], event["contact_id"]].append(event)
        return {
            name: sorted(stages, key=lambda e: (ms(e["occurred_at"]), e["event_id"])) for name, stages in found.items()
        }

    def nps(self, at: int, days: int) -> Iterator[Fields]:
        """The answers about recommendation of a period, oldest first."""
        asked = [e for e in self.answers if e["instrument"] == "nps"]
        for event in sorted(asked, key=lambda e: (ms(e["occurred_at"]), e["event_id"])):
            if at - days * DAY_MS < ms(event["occurred_at"]) <= at:
                yield event
