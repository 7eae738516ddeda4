"""What the questions about alerts must answer: from the raw events, what the desk was told, and the scoring of fits."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pipeline.core.contract.moments import milliseconds
from pipeline.core.measures.effect import Arm, effect, smallest_effect
from pipeline.core.measures.intervals import wilson
from pipeline.core.state.customer import DAY_MS
from pipeline.fitting.scoring import precision_at_capacity, reliability
from tests.questions.known import Known, ms

Row = dict[str, Any]
MONTH_MS = 30 * DAY_MS


class Case(NamedTuple):
    """A customer on a day on which they contacted service, when the horizon is over and the desk did nothing."""

    day: int
    risk: float | None
    recency: float
    silent: bool


def cases(known: Known, at: int) -> list[Case]:
    """Every such customer and day."""
    end = min(at, known.newest)
    seen: dict[tuple[str, int], int] = {}
    for stage in known.stages:
        moment = ms(stage["occurred_at"])
        if moment <= end:
            place = stage["customer_id"], moment // DAY_MS
            seen[place] = max(moment, seen.get(place, 0))
    bought, acted = defaultdict(list), defaultdict(list)
    for event in known.voluntary:
        if ms(event["occurred_at"]) <= end:
            bought[event["customer_id"]].append(ms(event["occurred_at"]))
    for event in known.outcomes:
        if event["action"] != "none" and ms(event["occurred_at"]) <= end:
            acted[event["customer_id"]].append(ms(event["occurred_at"]))
    risks = _risks(known, end)
    found = []
    for (customer, day), moment in sorted(seen.items()):
        before = [other for other in bought[customer] if other <= moment]
        if not before or any(day * DAY_MS <= other <= moment + MONTH_MS for other in acted[customer]):
            continue
        days = sorted({other // DAY_MS for other in before})
        horizon = min(365.0, max(60.0, 3 * (days[-1] - days[0] + 34) / len(days)))
        until = moment + round(horizon * DAY_MS)
        if until <= end:
            silent = not any(moment < other <= until for other in bought[customer])
            found.append(Case(day, risks.get((customer, day)), (moment - max(before)) / DAY_MS, silent))
    return found


def _risks(known: Known, end: int) -> dict[tuple[str, int], float]:
    """The highest risk of a customer's alerts that were open at the end of a day with news about them."""
    newest = {}
    for alert in known.told:
        moment = milliseconds(alert.occurred_at)
        if moment <= end:
            newest[alert.customer_id, alert.alert_id, moment // DAY_MS] = alert
    risks: dict[tuple[str, int], float] = {}
    for (customer, _, day), alert in newest.items():
        if alert.status == "open":
            risks[customer, day] = max(alert.churn_risk_0_1, risks.get((customer, day), 0.0))
    return risks


def alert_precision(known: Known, at: int, capacity: int) -> list[Row]:
    found = cases(known, at)
    silent = np.array([case.silent for case in found], dtype=np.float64)
    days = np.array([case.day for case in found])
    calls = sum(min(capacity, int(count)) for count in np.unique(days, return_counts=True)[1])
    orders = {
        "alerts, highest risk first": [case.risk or 0.0 for case in found],
        "baseline: longest since the last purchase first": [case.recency for case in found],
        "nobody first: all alike": [0.0] * len(found),
    }
    rows: list[Row] = []
    for name, risk in orders.items() if found else ():
        share = precision_at_capacity(np.array(risk), silent, days, capacity)
        part = wilson(share * calls, calls)
        rows.append({"called_first": name, "n": calls, "fell_silent": share * calls, "precision": share,
                     "low": part.low, "high": part.high, "smallest_lead": None, "calls_a_day": capacity,
                     "definition_version": ", ".join(["precision_at_capacity 1", "silent_after_contact 1",
                                                      "smallest_effect 1"])})  # fmt: skip
    for row in rows[:2]:
        row["smallest_lead"] = smallest_effect(1 - rows[2]["precision"], calls, calls)
    return rows


def calibration(known: Known, at: int) -> list[Row]:
    told = [case for case in cases(known, at) if case.risk is not None]
    risk = np.array([case.risk for case in told], dtype=np.float64)
    rows = []
    for one in reliability(risk, np.array([case.silent for case in told], dtype=np.float64)) if told else ():
        lower = int(one.risk * 10) / 10
        rows.append({"risk_from": lower, "risk_to": (round(lower * 10) + 1) / 10, "n": one.contacts,
                     "mean_risk": one.risk, "fell_silent": one.silent, "low": one.low, "high": one.high,
                     "definition_version": "calibration 1, silent_after_contact 1"})  # fmt: skip
    return rows


def holdout_uplift(known: Known, at: int, days: int) -> list[Row]:
    first: dict[str, tuple[int, str, bool]] = {}
    by_then = [alert for alert in known.alerts.values() if milliseconds(alert.raised_at) <= at]
    measured = max(by_then, key=lambda alert: (alert.raised_at, alert.alert_id)).experiment if by_then else ""
    for alert in known.alerts.values():
        if alert.experiment != measured:
            continue
        mine = milliseconds(alert.raised_at), alert.alert_id, alert.held_out
        first[alert.customer_id] = min(mine, first.get(alert.customer_id, mine))
    bought = defaultdict(list)
    for event in known.voluntary:
        bought[event["customer_id"]].append(ms(event["occurred_at"]))
    end = min(at, max(ms(event["occurred_at"]) for event in (*known.purchases, *known.refunds)))
    gone: dict[bool, list[bool]] = {False: [], True: []}
    for customer, (raised, _, held) in first.items():
        until = raised + days * DAY_MS
        if until <= end:
            gone[held].append(not any(raised < moment <= until for moment in bought[customer]))
    found = effect(Arm(len(gone[False]), sum(gone[False])), Arm(len(gone[True]), sum(gone[True])))
    ratio = found.relative_risk
    return [{
        "n": found.treated.customers + found.held_out.customers,
        "acted_for": found.treated.customers, "acted_for_left": found.treated.left,
        "held_out": found.held_out.customers, "held_out_left": found.held_out.left,
        "effect_of_acting": found.difference.value, "low": found.difference.low, "high": found.difference.high,
        "relative_risk": ratio and ratio.value, "relative_risk_low": ratio and ratio.low,
        "relative_risk_high": ratio and ratio.high, "verdict": found.verdict,
        "smallest_effect": found.smallest_effect, "experiment": measured, "days": days,
        "definition_version": "effect_of_acting 1, relative_risk 1, smallest_effect 1",
    }]  # fmt: skip


def false_alarms(known: Known, at: int) -> list[Row]:
    newest: dict[str, tuple[int, str, Row]] = {}
    for event in known.outcomes:
        moment = ms(event["occurred_at"])
        if event["result"] in ("retained", "lost", "not_needed") and moment <= at:
            mine = moment, event["event_id"], event
            newest[event["alert_id"]] = max(mine, newest.get(event["alert_id"], mine), key=lambda one: one[:2])
    stood = {alert.alert_id: alert for alert in known.told if milliseconds(alert.occurred_at) <= at}
    groups: dict[str, list[Row]] = defaultdict(list)
    for name, (_, _, event) in newest.items():
        alert = stood.get(name)
        if (
            alert is not None
            and alert.status != "withdrawn"
            and not alert.held_out
            and alert.customer_id == event["customer_id"]
        ):
            groups["all"].append(event)
            groups[alert.severity].append(event)
    rows = []
    for severity, events in groups.items():
        why = Counter(str(event.get("reason", "")) for event in events)
        unknown = sum(e["result"] == "not_needed" and e.get("reason", "") in ("", "other") for e in events)
        part = wilson(why["false_alarm"], len(events))
        rows.append({
            "severity": severity, "n": len(events), "false_alarms": why["false_alarm"],
            "false_alarm_rate": part.value, "low": part.low, "high": part.high, "solved_itself": why["solved_itself"],
            "already_handled": why["already_handled"], "not_needed_for_unknown_reasons": unknown,
            "false_alarm_rate_at_most": (why["false_alarm"] + unknown) / len(events),
            "definition_version": "false_alarm_rate 1",
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["severity"] != "all", row["severity"]))


JUDGED: dict[str, Callable[..., list[Row]]] = {
    judged.__name__: judged for judged in (alert_precision, calibration, holdout_uplift, false_alarms)
}
