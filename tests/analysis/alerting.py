"""What the worker tells the desk about one customer, event by event."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.core.contract.events import Event
from pipeline.core.fold import Where, step
from pipeline.core.replay import in_order
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer


class Told(NamedTuple):
    """What a customer's events made the worker tell, each event by itself and in time."""

    alert: ChurnAlert
    event: Event
    alone: bool
    """No other event of the customer is of the same moment."""


def told(life: list[Event]) -> Iterator[Told]:
    customer, ordered = Customer(customer_id=life[0].customer_id), in_order(life)
    for number, event in enumerate(ordered):
        done = step(customer, event, Where("log", number))
        customer = done.customer
        alone = sum(other.occurred_at == event.occurred_at for other in ordered) == 1
        yield from (Told(alert, event, alone) for alert in done.alerts)
