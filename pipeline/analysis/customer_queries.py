"""Queries about one customer at a moment: their state, their alerts and the customers they referred, as known then."""

from datetime import datetime
from typing import Any

from pipeline.analysis import stored_events
from pipeline.analysis.answer_moments import in_sql
from pipeline.core.contract.moments import milliseconds
from pipeline.core.replay import in_order, retold
from pipeline.core.state.customer import Customer, decode_named
from pipeline.errors import NotFound
from pipeline.warehouse.client import Warehouse

FOREVER = "2299-12-31 00:00:00"
"""By everything that is known."""
_STATE = """
    SELECT state, deleted
    FROM
    (
        SELECT state, deleted, _offset FROM customer_state_history
        WHERE customer_id = {customer:String} AND _appended_at <= {known_at:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT state, deleted, _offset FROM customer_states FINAL
        WHERE customer_id = {customer:String} AND _appended_at <= {known_at:DateTime64(3, 'UTC')}
    )
    WHERE {customer:String} IN (SELECT customer_id FROM customer_states FINAL WHERE customer_id = {customer:String})
    ORDER BY _offset DESC
    LIMIT 1
"""
_ALERTS = """
    SELECT alert_id, issue_id, status, severity, churn_risk_0_1, churn_risk_before_0_1, raised_at, reasons,
           recommended_action, history, synthetic
    FROM
    (
        SELECT * FROM alert_messages
        WHERE customer_id = {customer:String} AND _appended_at <= {known_at:DateTime64(3, 'UTC')}
          AND occurred_at <= {at:DateTime64(3, 'UTC')}
        ORDER BY _offset DESC
        LIMIT 1 BY alert_id
    )
    WHERE status != 'withdrawn'
    ORDER BY status != 'open', churn_risk_0_1 DESC, raised_at DESC
"""
_REFERRALS = """
    SELECT uniqExact(customer_id) FROM raw_purchases
    WHERE referred_by = {customer:String} AND occurred_at <= {at:DateTime64(3, 'UTC')}
      AND _appended_at <= {known_at:DateTime64(3, 'UTC')}
"""
_BASKETS = "SELECT currency, typical_basket FROM typical_baskets WHERE currency IN {currencies:Array(String)}"


def state(warehouse: Warehouse, customer_id: str, at: datetime, known_at: datetime | None = None) -> Customer:
    """The state after everything that had happened by ``at``, as far as it was known at ``known_at``; nobody erased.

    Where something happened later, the customer's events until then are folded again.

    Raises
    ------
    NotFound
        No event of this customer was folded and stored (by then), or none had happened by ``at``.
    """
    newest = _newest_state(warehouse, customer_id, known_at)
    if newest.last_event_at <= milliseconds(at):
        return newest
    customer = None
    for _, after in retold(in_order(stored_events.of_customer(warehouse, customer_id, at, _text(known_at)))):
        customer = after
    if customer is None:
        raise NotFound(f"nothing had happened to customer {customer_id!r} by {in_sql(at)} UTC")
    return customer


def _newest_state(warehouse: Warehouse, customer_id: str, known_at: datetime | None) -> Customer:
    rows = warehouse.query(_STATE, {"customer": customer_id, "known_at": _text(known_at)}).rows
    if rows and not rows[0][1]:
        return decode_named(rows[0][0])
    if known_at is not None:
        raise NotFound(f"nothing was known of a customer {customer_id!r} at {_text(known_at)} UTC")
    raise NotFound(
        f"no customer {customer_id!r}: no event of theirs is in the warehouse (yet); "
        "`loyalty status` shows how far behind it is"
    )


def alerts(
    warehouse: Warehouse, customer_id: str, at: datetime, known_at: datetime | None = None
) -> list[dict[str, Any]]:
    """Alerts as they were last told about what had happened by ``at``, open ones first."""
    answer = warehouse.query(_ALERTS, {"customer": customer_id, "at": in_sql(at), "known_at": _text(known_at)})
    return answer.named()


def referrals(warehouse: Warehouse, customer_id: str, at: datetime, known_at: datetime | None = None) -> int:
    """How many others had named a customer by ``at``."""
    values = {"customer": customer_id, "at": in_sql(at), "known_at": _text(known_at)}
    return int(warehouse.value(_REFERRALS, values))


def typical_baskets(warehouse: Warehouse, currencies: list[str]) -> dict[str, float]:
    """What a typical purchase is worth, in the currencies in which that can be said."""
    rows = warehouse.query(_BASKETS, {"currencies": currencies}).rows
    return {str(currency): float(basket) for currency, basket in rows}


def _text(moment: datetime | None) -> str:
    return FOREVER if moment is None else in_sql(moment)
