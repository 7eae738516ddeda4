"""Reconciles alerts that were already sent with a state that is behind them.

Alerts are told before the state that remembers them. After a crash between the two, or when everything is folded again
from the start, the log of alerts is ahead of the state. Then:

- news about such a customer is held back until everything that had led to what was told is folded again; while
  everything is folded again from the start, news about anybody is
- the state is then compared with what was really told last, and only the difference is told

So a replay that ends where it ended before tells nobody anything, and an alert that another order of the topics would
never have raised is withdrawn.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field

from pipeline.core.contract.moments import milliseconds
from pipeline.core.fold import TICK
from pipeline.core.risk.alerts import reassess
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import AlertState, Customer

Processed = Mapping[str, int]
"""The last offset of each topic of a partition that was processed."""


@dataclass(slots=True)
class _Customer:
    alerts: list[AlertState]
    """What the desk had been told before, by the customer's state."""
    last: dict[str, ChurnAlert] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)


class AlertReconciler:
    """The customers of one partition about whom the desk was told something their state may not know of.

    ``until`` says up to which offset of each topic a replay goes; without it there is none.
    """

    def __init__(self, until: Processed | None = None) -> None:
        self._customers: dict[bytes, _Customer] = {}
        self.until = dict(until or {})

    def __bool__(self) -> bool:
        return bool(self._customers or self.until)

    @property
    def waiting(self) -> set[bytes]:
        """Customers about whom something was told that is not folded yet."""
        return set(self._customers)

    def note(self, message: ChurnAlert, applied: Processed, state: Customer | None) -> None:
        """A message in the log of alerts, later than what is known to be settled.

        ``applied`` holds the last offset of each topic that was applied to the customer when it was told.
        """
        key = message.customer_id.encode()
        known = self._customers.get(key)
        if known is None:
            known = self._customers[key] = _Customer(list(state.alerts) if state is not None else [])
        known.last[message.alert_id] = message
        for topic, offset in applied.items():
            known.applied[topic] = max(offset, known.applied.get(topic, -1))

    def holds(self, key: bytes, alerts: list[AlertState]) -> bool:
        """Whether news about a customer, whose state held ``alerts`` before it, has to wait."""
        if key in self._customers:
            return True
        if self.until:
            self._customers[key] = _Customer(alerts)
            return True
        return False

    def due(self, processed: Processed) -> list[bytes]:
        """Customers for whom everything that had led to what was told is folded again."""
        if any(processed.get(topic, -1) < offset for topic, offset in self.until.items()):
            return []
        self.until = {}
        return [
            key
            for key, known in self._customers.items()
            if all(processed.get(topic, -1) >= offset for topic, offset in known.applied.items())
        ]

    def settle(
        self, key: bytes, customer: Customer | None, policy: RiskPolicy = PRIORS
    ) -> tuple[Customer | None, tuple[ChurnAlert, ...]]:
        """Let a customer go: their state as it is told now, and what is news to the desk."""
        known = self._customers.pop(key)
        if customer is None:
            return None, ()  # what was told rests on records that are gone
        return reconciled(customer, known.alerts, known.last, policy)


def reconciled(
    customer: Customer, before: list[AlertState], last: Mapping[str, ChurnAlert], policy: RiskPolicy = PRIORS
) -> tuple[Customer, tuple[ChurnAlert, ...]]:
    """A customer after the desk was told what it does not know, given what it knew ``before`` and heard ``last``."""
    after = copy(customer)
    ticks = [milliseconds(m.occurred_at) for m in last.values() if m.caused_by_event.startswith(TICK)]
    after.looked_at = max(after.looked_at, *ticks) if ticks else after.looked_at
    heard = [_state(message) for message in last.values() if message.status != "withdrawn"]
    after.alerts = [*(state for state in before if state.alert_id not in last), *heard]
    cause = next((message.caused_by_event for message in last.values()), "")
    news = reassess(after, cause, policy)
    return after, tuple(m for m in news if m.alert_id not in last or _says(m) != _says(last[m.alert_id]))


def _state(message: ChurnAlert) -> AlertState:
    at = milliseconds(message.raised_at)
    return AlertState(message.issue_id, message.alert_id, message.status, message.severity, at, 0, message.backfill)


def _says(message: ChurnAlert) -> list[object]:
    """What a message says, but for how it came to be said."""
    hidden = ("transition", "caused_by_event")
    return [getattr(message, name) for name in message.__struct_fields__ if name not in hidden]
