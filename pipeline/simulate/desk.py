"""What the desk of the simulation was told: the product's own fold of what a customer had sent.

Nobody can say what came of an alert that was never raised, or was kept from the desk.
"""

from collections.abc import Sequence

import msgspec

from pipeline.core.contract.decode import EVENTS
from pipeline.core.fold import Where, step
from pipeline.core.risk.assessment import RiskPolicy
from pipeline.core.risk.holdout import arm_of, held_out
from pipeline.core.state.customer import AlertState, Customer
from pipeline.simulate.service import Sent
from pipeline.simulate.truth import Hidden
from pipeline.topics import BY_NAME


def raised(sent: Sequence[Sent], alert_id: str, until: str, policy: RiskPolicy) -> AlertState | None:
    """The alert as the product has raised it from what one customer sent by ``until``; ``None``: it has not."""
    known = sorted(
        (event for event in sent if str(event[1]["occurred_at"]) <= until),
        key=lambda event: (str(event[1]["occurred_at"]), str(event[1]["event_id"])),
    )
    if not known:
        return None
    customer = Customer(customer_id=str(known[0][1]["customer_id"]))
    for offset, (topic, fields) in enumerate(known):
        kind = BY_NAME[topic].kind
        if kind is not None:
            event = msgspec.convert(fields, EVENTS[kind], strict=False)
            customer = step(customer, event, Where(topic, offset), policy).customer
    return next((alert for alert in customer.alerts if alert.alert_id == alert_id), None)


def holds_out(alert: AlertState, customer: str, hidden: Hidden, policy: RiskPolicy) -> bool:
    """Whether nobody calls about an alert: by the product's draw; where there is none, by the simulation's."""
    if policy.holdout or policy.experiments:
        return arm_of(alert.alert_id, customer, alert.raised_at, policy.holdout, policy.experiments).held_out
    return held_out(customer, hidden.held_out, hidden.salt)
