"""What every question of the cookbook must answer, computed in plain Python from the list of events.

A function has the name of its question and takes what can be set about it; the rows it returns are compared with the
answer, in order, column by column.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from math import inf, isfinite
from typing import Any

from pipeline.core.measures.effort import issues
from pipeline.core.measures.effort_totals import EffortTotals, OriginEffort
from pipeline.core.measures.intervals import wilson
from pipeline.core.measures.shift import ShiftTotals
from pipeline.core.measures.surveys import nps
from pipeline.core.state.customer import DAY_MS, Customer
from tests.questions.known import Known, date_of, ms

Row = dict[str, Any]
EPOCH = date(1970, 1, 1).toordinal()


def share(hits: float, n: int, name: str, low: str = "low", high: str = "high") -> Row:
    """A share with its interval; nothing of nothing."""
    found = wilson(hits, n) if n else None
    return {name: found and found.value, low: found and found.low, high: found and found.high}


def month_of(day: int) -> str:
    """The first day of the month of a day since 1970."""
    return date.fromordinal(EPOCH + day).replace(day=1).isoformat()


# --- the first five


def sales_by_quarter(known: Known) -> list[Row]:
    groups: dict[tuple[int, int, str], list[Decimal]] = defaultdict(list)
    for event in (*known.purchases, *known.refunds):
        year, month = int(event["occurred_at"][:4]), int(event["occurred_at"][5:7])
        groups[year, (month + 2) // 3, event["currency"]].append(Decimal(event["amount"]))
    return [
        {"year": year, "quarter": quarter, "currency": currency, "purchases": sum(amount > 0 for amount in found),
         "revenue": sum(amount for amount in found if amount > 0),
         "refunded": sum((-amount for amount in found if amount < 0), Decimal(0))}
        for (year, quarter, currency), found in sorted(groups.items())
    ]  # fmt: skip


def one_time_and_returning(known: Known) -> list[Row]:
    days, paid = known.days_bought(known.newest), defaultdict[tuple[str, str], Decimal](Decimal)
    for event in known.purchases:
        paid[event["customer_id"], event["currency"]] += Decimal(event["amount"])
    groups = defaultdict(list)
    for (customer, currency), amount in paid.items():
        groups[currency, "came back" if len(days.get(customer, [])) > 1 else "one day only"].append(amount)
    rows = []
    for (currency, who), amounts in groups.items():
        everybody = [amount for (code, _), found in groups.items() if code == currency for amount in found]
        rows.append({
            "currency": currency, "customers_who": who, "customers": len(amounts),
            "percent_of_customers": round(100 * len(amounts) / len(everybody), 1), "revenue": sum(amounts),
            "percent_of_revenue": round(100 * float(sum(amounts)) / float(sum(everybody)), 1),
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["currency"], -row["customers"], row["customers_who"]))


def effort_and_recommendation(known: Known) -> list[Row]:
    scores: dict[str, Counter[int]] = defaultdict(Counter)
    for ease in known.answers:
        for said in known.answers:
            same = said["customer_id"] == ease["customer_id"] and said.get("contact_id") == ease.get("contact_id")
            if same and ease.get("contact_id") and (ease["instrument"], said["instrument"]) == ("ces2", "nps"):
                score = ease["score"]
                was = "easy (5 to 7)" if score >= 5 else "middling (4)" if score == 4 else "hard (1 to 3)"
                scores[was][said["score"]] += 1
    rows = []
    for was, given in scores.items():
        found = nps(given)
        assert found is not None
        rows.append({"it_was": was, "n": found.n, "detractors": found.detractors, "promoters": found.promoters,
                     "nps": round(found.score, 1), "low": round(found.adjusted[0], 1),
                     "high": round(found.adjusted[1], 1), "definition_version": "nps 1"})  # fmt: skip
    return sorted(rows, key=lambda row: -row["nps"])


def contacts_per_issue_by_origin(known: Known) -> list[Row]:
    groups = defaultdict(list)
    for (customer, _), stages in known.contacts().items():
        transferred = any(stage.get("transfers", 0) for stage in stages)
        groups[stages[-1]["origin"]].append((customer, stages[-1]["issue_id"], transferred))
    rows = []
    for origin, found in groups.items():
        passed_on, several = sum(moved for _, _, moved in found), len({(who, issue) for who, issue, _ in found})
        part = wilson(passed_on, len(found))
        rows.append({"origin": origin, "issues": several, "n": len(found),
                     "contacts_per_issue": round(len(found) / several, 2),
                     "percent_transferred": round(100 * part.value, 1), "low": round(100 * part.low, 1),
                     "high": round(100 * part.high, 1),
                     "definition_version": "contacts_transferred 1"})  # fmt: skip
    return sorted(rows, key=lambda row: (-row["n"], row["origin"]))


def who_is_about_to_leave(known: Known, at: int) -> list[Row]:
    paid: dict[str, Counter[str]] = defaultdict(Counter)
    for event in (event for event in known.purchases if ms(event["occurred_at"]) <= at):
        paid[event["customer_id"]][event["currency"]] += int(Decimal(event["amount"]) * 100)
    waiting = [alert for alert in known.alerts_at(at).values() if alert.status == "open"]
    waiting.sort(key=lambda alert: (-alert.churn_risk_0_1, alert.customer_id, alert.alert_id))
    return [
        {"customer_id": alert.customer_id, "risk_percent": round(100 * alert.churn_risk_0_1),
         "severity": alert.severity, "raised": alert.raised_at.date().isoformat(),
         "paid": ", ".join(f"{Decimal(cents).scaleb(-2).normalize():f} {code}"
                           for code, cents in sorted(paid[alert.customer_id].items())),
         "main_reason": alert.reasons[0]}
        for alert in waiting[:5]
    ]  # fmt: skip


# --- how loyal they are


def captive(known: Known, at: int) -> list[Row]:
    rows = []
    for customer, state in known.loyal(at).items():
        if state.standing.quadrant == "long-standing, not regular":
            rows.append({
                "customer_id": customer, "captive": state.captivity.captive,
                "attachment": state.attachment.attachment,
                "bound_by": ", ".join(sorted(binding.kind for binding in state.bindings)),
                "free_on": date_of(state.captivity.released_at), "notice_by": date_of(state.captivity.next_notice_by),
                "lifecycle": state.lifecycle, "tenure_days": state.standing.tenure_days,
                "purchase_days_in_year": state.standing.occasions_in_year,
                "definition_version": "long-standing, not regular 1, captive 1",
            })  # fmt: skip
    return sorted(rows, key=lambda row: (not row["captive"], row["attachment"] is None, row["attachment"] or 0,
                                         row["customer_id"]))  # fmt: skip


def long_standing_against_regular(known: Known, at: int) -> list[Row]:
    states = list(known.loyal(at).values())
    rows = []
    for long_standing, tenure in ((True, "long-standing"), (False, "not long-standing")):
        found = [state for state in states if state.standing.long_standing is long_standing]
        counts = Counter(state.standing.regular for state in found)
        if found:
            rows.append({
                "tenure": tenure, "regular": counts[True], "not_regular": counts[False],
                "regularity_not_known": counts[None], "n": len(found),
                "captive": sum(state.captivity.captive for state in found),
                "definition_version": "quadrant 1, long_standing 1, regular 1, captive 1",
            })  # fmt: skip
    return rows


def contract_calendar(known: Known, at: int) -> list[Row]:
    months: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    for customer, state in known.loyal(at).items():
        bound = state.captivity
        for kind, moment in (("notice", bound.next_notice_by), ("release", bound.released_at)):
            if moment is not None:
                months[month_of(moment // DAY_MS)].append((customer, kind, bound.captive))
    return [
        {"month": month,
         "notices_due": sum(kind == "notice" for _, kind, _ in found),
         "notices_due_captive": sum(kind == "notice" and held for _, kind, held in found),
         "released": sum(kind == "release" for _, kind, _ in found),
         "released_captive": sum(kind == "release" and held for _, kind, held in found),
         "captive_customers": ", ".join(sorted({customer for customer, _, held in found if held})),
         "definition_version": "captive 1, next_notice_by 1, released_at 1"}
        for month, found in sorted(months.items())
    ]  # fmt: skip


def captive_customers(known: Known, at: int) -> list[Row]:
    rows = []
    for customer, state in known.loyal(at).items():
        if state.captivity.captive:
            rows.append(((state.captivity.next_notice_by or 2**62, state.captivity.released_at or 2**62, customer), {
                "customer_id": customer, "attachment": state.attachment.attachment,
                "bound_by": ", ".join(sorted(binding.kind for binding in state.bindings)),
                "notice_by": date_of(state.captivity.next_notice_by), "free_on": date_of(state.captivity.released_at),
                "quadrant": state.standing.quadrant, "lifecycle": state.lifecycle, "definition_version": "captive 1",
            }))  # fmt: skip
    return [row for _, row in sorted(rows, key=lambda entry: entry[0])]


# --- what they say, what it costs them, what becomes of them


def nps_by_segment(known: Known, at: int, days: int) -> list[Row]:
    contacts, states = known.contacts(), known.loyal(at)
    newest: dict[tuple[str, str, str], int] = {}
    for event in known.nps(at, days):
        who, contact = event["customer_id"], event.get("contact_id")
        state = states.get(who)
        place = "prospect" if state is None else state.standing.quadrant or "not known"
        stages = contacts.get((who, contact), []) if contact else []
        if contact:
            touchpoint = f"contact by {stages[-1]['channel'] if stages else 'unknown channel'}"
        else:
            touchpoint = "purchase" if event.get("order_id") else "no occasion"
        for kind, segment in (("all", "all customers"), ("quadrant", place), ("touchpoint", touchpoint),
                              ("lifecycle", "prospect" if state is None else state.lifecycle)):  # fmt: skip
            newest[kind, segment, who] = event["score"]
    scores: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for (kind, segment, _), score in newest.items():
        scores[kind, segment][score] += 1
    rows = []
    for (kind, segment), given in scores.items():
        found = nps(given)
        assert found is not None
        rows.append({"segment_kind": kind, "segment": segment, "n": found.n, "detractors": found.detractors,
                     "passives": found.passives, "promoters": found.promoters, "nps": found.score,
                     "low": found.adjusted[0], "high": found.adjusted[1], "definition_version": "nps 1"})  # fmt: skip
    return sorted(rows, key=lambda row: (row["segment_kind"], -row["n"], row["segment"]))


def disloyal_to_loyal(known: Known, at: int, days: int) -> list[Row]:
    balance = ShiftTotals()
    for customer in known.customers:
        balance.add(customer, at + 1 - days * DAY_MS, at)
    found = balance.result()
    ratio, figures = found.ratio, ("disloyal_to_loyal", "low", "high")
    ends = (ratio.value, ratio.low, ratio.high) if ratio else (inf, inf, inf)
    finite = {name: value if isfinite(value) else None for name, value in zip(figures, ends, strict=True)}
    return [{"less_loyal": found.less, "the_same": found.same, "more_loyal": found.more,
             "undecided": sum(found.undecided.values()), **finite, "n": found.less + found.more, "published": 4.0,
             "against_published": found.against_published or "nobody changed", "synthetic_contacts": found.synthetic,
             "definition_version": "disloyal_to_loyal 1"}]  # fmt: skip


def _ledgers(known: Known, at: int, days: int) -> dict[str, EffortTotals]:
    """The effort of the issues of a period, by the channel of their first contact."""
    ledgers: dict[str, EffortTotals] = defaultdict(EffortTotals)
    for customer in known.customers:
        for issue in issues(customer, at):
            if issue.opened_at > at - days * DAY_MS:
                for channel in (_first_channel(customer, issue.issue_id), "all"):
                    ledgers[channel].add([issue])
    return ledgers


def _first_channel(customer: Customer, issue_id: str) -> str:
    return next(contact.channel for contact in customer.contacts if contact.issue_id == issue_id)


def effort_by_origin(known: Known, at: int, days: int) -> list[Row]:
    rows = [
        _effort_row(channel, found)
        for channel, ledger in _ledgers(known, at, days).items()
        for found in ledger.result()
    ]
    return sorted(
        rows, key=lambda row: (row["origin"] != "all", row["origin"], row["channel"] != "all", row["channel"])
    )


def _effort_row(channel: str, found: OriginEffort) -> Row:
    return {
        "origin": found.origin, "channel": channel, "n": found.issues, "contacts_per_issue": found.contacts_per_issue,
        "repeats_7_days_per_issue": found.repeats_7_days_per_issue,
        "repeats_30_days_per_issue": found.repeats_30_days_per_issue,
        "transfers_per_issue": found.transfers_per_issue,
        "channel_switches_per_issue": found.channel_switches_per_issue,
        "information_repetitions_per_issue": found.information_repetitions_per_issue,
        "reopenings_per_issue": found.reopenings_per_issue,
        "waiting_minutes_per_contact": found.waiting_minutes_per_contact,
        "days_to_resolution": found.days_to_resolution, "effortless": found.effortless.value,
        "low": found.effortless.low, "high": found.effortless.high, "synthetic_issues": found.synthetic_issues,
        "definition_version": "effortless 1",
    }  # fmt: skip


def first_contact_resolution(known: Known, at: int, days: int) -> list[Row]:
    rows = []
    for found in _ledgers(known, at, days)["all"].result():
        solved, claimed, n = found.first_contact_resolution, found.agents_claim, found.issues - found.provisional
        rows.append({
            "origin": found.origin, "n": n,
            "first_contact_resolution": solved and solved.value, "low": solved and solved.low,
            "high": solved and solved.high, "agents_claim": claimed and claimed.value,
            "agents_claim_low": claimed and claimed.low, "agents_claim_high": claimed and claimed.high,
            "provisional_n": found.provisional,
            **share(found.provisional_solved, found.provisional, "provisional_first_contact_resolution",
                    "provisional_low", "provisional_high"),
            "definition_version": "first_contact_resolution 1, agents_claim 1",
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["origin"] != "all", -row["n"], row["origin"]))


# --- what they buy


def cohorts(known: Known, at: int, days: int) -> list[Row]:
    groups = defaultdict(list)
    last = min(at, known.newest) // DAY_MS
    for bought in known.days_bought(at).values():
        over = bought[0] + days <= last
        groups[month_of(bought[0])].append((over, len(bought) > 1 and bought[1] <= bought[0] + days))
    return [
        {"cohort": month, "customers": len(found), "n": sum(over for over, _ in found),
         "came_back": sum(over and again for over, again in found),
         **share(sum(over and again for over, again in found), sum(over for over, _ in found), "repeat_rate"),
         "definition_version": "cohort 1, repeat_rate 1"}
        for month, found in sorted(groups.items())
    ]  # fmt: skip


def cross_sell(known: Known, at: int) -> list[Row]:
    since: dict[str, dict[str, int]] = defaultdict(dict)
    for event in known.purchases:
        for line in event.get("lines", []):
            mine, moment = since[event["customer_id"]], ms(event["occurred_at"])
            if moment <= at:
                mine[line["category"]] = min(moment, mine.get(line["category"], moment))
    started, pairs = Counter[str](), Counter[tuple[str, str]]()
    for mine in filter(None, since.values()):
        begun = min(mine.values())
        later = [category for category, moment in mine.items() if moment > begun]
        for first in (category for category, moment in mine.items() if moment == begun):
            started[first] += 1
            pairs.update((first, then) for then in [*later, *(["any other"] if later else [])])
    rows = [
        {"started_with": first, "then_bought": then, "n": started[first], "bought": bought,
         **share(bought, started[first], "cross_sell_rate"), "definition_version": "cross_sell_rate 1"}
        for (first, then), bought in pairs.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row["started_with"], row["then_bought"] != "any other", -row["bought"],
                                         row["then_bought"]))  # fmt: skip


def rfm_segments(known: Known, at: int) -> list[Row]:
    last, count, net = dict[str, int](), Counter[str](), defaultdict[tuple[str, str], Decimal](Decimal)
    first: dict[str, int] = {}
    for event in known.purchases:
        who, moment = event["customer_id"], ms(event["occurred_at"])
        last[who], first[who] = max(moment, last.get(who, 0)), min(moment, first.get(who, moment))
        count[who] += 1
    for event in (*known.purchases, *known.refunds):
        net[event["customer_id"], event["currency"]] += Decimal(event["amount"])
    those = [who for who, moment in first.items() if moment <= at]
    silent = {who: max(0, at // DAY_MS - last[who] // DAY_MS) for who in those}
    money: dict[str, int] = {}
    for code in {currency for _, currency in net}:
        paid = {who: net[who, code] for who in those if (who, code) in net}
        for who, mine in paid.items():
            money[who] = max(_fifth(sum(other < mine for other in paid.values()), len(paid)), money.get(who, 1))
    places = {
        who: (_fifth(sum(silent[other] > silent[who] for other in those), len(those)),
              _fifth(sum(count[other] < count[who] for other in those), len(those)), money[who])
        for who in those
    }  # fmt: skip
    groups = defaultdict(list)
    for who, (recency, frequency, monetary) in places.items():
        groups[_segment(recency, (frequency + monetary + 1) // 2)].append(who)
    rows = [
        {"segment": segment, "customers": len(found), "share_of_customers": len(found) / len(those),
         **{f"mean_{name}_fifth": sum(places[who][column] for who in found) / len(found)
            for column, name in enumerate(("recency", "frequency", "monetary"))},
         "mean_days_since_last_purchase": sum(silent[who] for who in found) / len(found),
         "mean_purchases": sum(count[who] for who in found) / len(found),
         "definition_version": "rfm_segment 1, rfm_quintile 1"}
        for segment, found in groups.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["customers"], row["segment"]))


def _fifth(worse: int, of: int) -> int:
    return 1 + 5 * worse // of


def _segment(recency: int, strength: int) -> str:
    """The table of the glossary, written down once more as rules."""
    if recency >= 4:
        return "champions" if strength >= 4 else "promising" if strength >= 2 else "newcomers"
    if recency == 3:
        return "steady" if strength >= 4 else "need attention" if strength == 3 else "fading"
    if strength >= 3:
        return "must not be lost" if strength == 5 else "slipping away"
    return "quiet" if recency == 2 else "gone quiet"


EXPECTED: dict[str, Callable[..., list[Row]]] = {
    expected.__name__: expected
    for expected in (
        sales_by_quarter, one_time_and_returning, effort_and_recommendation, contacts_per_issue_by_origin,
        who_is_about_to_leave, captive, long_standing_against_regular, contract_calendar, captive_customers,
        nps_by_segment, disloyal_to_loyal, effort_by_origin, first_contact_resolution, cohorts, cross_sell,
        rfm_segments,
    )
}  # fmt: skip
