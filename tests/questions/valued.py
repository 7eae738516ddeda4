"""What the question about value must answer: the core's models on histories counted from the raw events."""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pipeline.core.forecast.purchasing import Leaving, PurchaseHistory, expected_purchases
from pipeline.core.forecast.spending import expected_spend
from pipeline.core.state.customer import DAY_MS
from tests.core.forecast.test_learned import LEARNED
from tests.questions.known import Known, ms

Row = dict[str, Any]
YEARS = {"1_year": 365, "2_years": 730, "3_years": 1095}
NO_CASE = "bound by contract: no case for these models"
NOBODY = "no voluntary purchase by then"
NO_VALUE = "no value: the customer pays in another currency than that of the fit, or in several"


def customer_value(known: Known, at: int) -> list[Row]:
    today, currency = at // DAY_MS, "USD"
    model, spend = LEARNED.purchase_model(Leaving.AFTER_REPEAT_PURCHASES), LEARNED.spend_model()
    assert spend is not None
    states, currencies = known.loyal(at), defaultdict(set)
    paid: dict[str, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for event in known.purchases:
        currencies[event["customer_id"]].add(event["currency"])
    for event in known.voluntary:
        if ms(event["occurred_at"]) // DAY_MS <= today:
            amount = Decimal(event["amount"]) if event["currency"] == currency else Decimal(0)
            paid[event["customer_id"]][ms(event["occurred_at"]) // DAY_MS] += amount
    rows = []
    for customer, pays_in in currencies.items():
        days, state = sorted(paid.get(customer, {})), states.get(customer)
        bound = state is not None and any(binding.kind == "contractual" for binding in state.bindings)
        note = NO_CASE if bound else NOBODY if not days else NO_VALUE if pays_in != {currency} else ""
        expected = dict.fromkeys(YEARS)
        worth: dict[str, float | None] = dict.fromkeys(YEARS)
        if days and not bound:
            history = PurchaseHistory(x=len(days) - 1, t_x=(days[-1] - days[0]) / 7, T=(today - days[0]) / 7)
            expected = {name: expected_purchases(model, history, length / 7) for name, length in YEARS.items()}
        if not note:
            baskets = [float(paid[customer][day]) for day in days[1:] if paid[customer][day] > 0]
            basket = expected_spend(spend, len(baskets), sum(baskets) / len(baskets) if baskets else 0.0)
            worth = {name: (expected[name] or 0.0) * basket for name in YEARS}
        rows.append({
            "customer_id": customer,
            **{f"expected_purchases_{name}": figure for name, figure in expected.items()},
            **{f"expected_value_{name}": figure for name, figure in worth.items()},
            "currency": None if note else currency, "note": note, "model_version": LEARNED.version,
            "definition_version": "expected_purchases 1, expected_value 1",
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["expected_purchases_1_year"] is None,
                                         -(row["expected_purchases_1_year"] or 0), row["customer_id"]))  # fmt: skip


VALUED: dict[str, Callable[..., list[Row]]] = {customer_value.__name__: customer_value}
