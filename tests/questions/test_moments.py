"""One clock: views, questions and commands are about the same moment, and ``--at`` moves everything in an answer."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from pipeline.analysis import cookbook, customer_profile, explanation, holdout_effect
from pipeline.analysis.answer_moments import in_sql, moment_of_answer
from pipeline.cli import cli
from pipeline.config import Settings
from pipeline.core.answer_moment import AnswerMoment, answer_moment
from pipeline.core.contract.decode import EVENTS
from pipeline.core.contract.moments import instant, milliseconds
from pipeline.core.fold import Where, step
from pipeline.core.state.customer import DAY_MS, Customer
from pipeline.errors import NotFound, Unreachable
from pipeline.topics import BY_NAME
from pipeline.warehouse.client import Warehouse, connect
from pipeline.warehouse.migrations import migrate
from tests.core.test_answer_moment import AGES, NOW
from tests.questions.expected import who_is_about_to_leave
from tests.questions.known import Known, ms
from tests.questions.test_cookbook import close
from tests.questions.world import END, World
from tests.storing import emptied

pytestmark = pytest.mark.xdist_group("questions")
MIDDLE = datetime(2025, 3, 14, 15, 9, 26, tzinfo=UTC)
PLAIN = {
    "customer_loyalty": "", "customer_outlook": "", "issues": "", "effort_by_origin": ", days = 36500",
    "first_contact_resolution": ", days = 36500", "nps_by_segment": ", days = 36500",
    "long_standing_against_regular": "", "contract_calendar": "", "cohorts": ", days = 90", "cross_sell": "",
    "rfm": "", "contact_days": "", "alert_precision": ", capacity = 10", "calibration": "",
    "holdout_uplift": ", days = 90",
}  # fmt: skip
"""Views that are asked for no moment, and what their counterparts for a moment are asked for besides."""


@pytest.fixture(scope="module")
def warehouse(firm: World) -> Warehouse:
    return connect(firm.settings)


@pytest.fixture(scope="module")
def tables(firm: World) -> Settings:
    """Tables of our own in the same engine."""
    settings = firm.settings.with_changes(database="clock")
    migrate(connect(settings, create_database=True))
    return settings


def run(settings: Settings, *words: str) -> str:
    """What a command prints."""
    done = CliRunner().invoke(cli, words, env=settings.as_env())
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


# --- the rule


def test_sql_and_the_core_choose_the_same_moment(warehouse: Warehouse) -> None:
    pairs = [(NOW - age, NOW) for age, _ in AGES.values()]
    found = warehouse.query(
        "SELECT loyalty_answers_at_newest_event(pair.1, pair.2) FROM "
        "(SELECT arrayJoin({pairs:Array(Tuple(DateTime64(3, 'UTC'), DateTime64(3, 'UTC')))}) AS pair)",
        {"pairs": [(in_sql(newest), in_sql(now)) for newest, now in pairs]},
    )
    assert [bool(row[0]) for row in found.rows] == [answer_moment(*pair).basis == "newest event" for pair in pairs]
    assert not int(warehouse.value("SELECT loyalty_answers_at_newest_event(NULL, now64(3, 'UTC'))"))


@pytest.mark.parametrize("minutes", [None, -60_000, 1, 2 * 1_440 - 1, 2 * 1_440 + 1, 9_000_000])
def test_the_view_says_what_commands_say(tables: Settings, minutes: int | None) -> None:
    """Of a warehouse without an event, and of events on both sides of two days."""
    warehouse = connect(tables)
    emptied(warehouse)
    newest = None if minutes is None else datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes)
    if newest is not None:
        warehouse.insert(
            "customer_states", {"customer_id": "String", "last_event_at": "DateTime64(3, 'UTC')"},
            [["old", newest - timedelta(days=900)], ["new", newest]], str(minutes),
        )  # fmt: skip
    at, basis, said = warehouse.query("SELECT at, basis, newest_event FROM answer_moment").rows[0]
    mine = moment_of_answer(warehouse, None)
    assert (basis, said) == (mine.basis, None if newest is None else in_sql(newest))
    assert basis == ("newest event" if newest is not None and (minutes or 0) > 2 * 1_440 else "now")
    if basis == "newest event":
        assert at == in_sql(mine.at) == said
    else:
        assert abs(mine.at - datetime.fromisoformat(at).replace(tzinfo=UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("view", PLAIN)
def test_a_view_that_is_asked_for_no_moment_answers_at_the_one_of_commands(warehouse: Warehouse, view: str) -> None:
    moment = moment_of_answer(warehouse, None)
    assert moment == AnswerMoment(END, "newest event")
    plain = warehouse.query(f"SELECT * FROM {view} ORDER BY ALL")
    columns = ", ".join(plain.columns)
    asked = warehouse.query(
        f"SELECT {columns} FROM {view}_at(at = {{at:DateTime64(3, 'UTC')}}{PLAIN[view]}) ORDER BY ALL",
        {"at": in_sql(moment.at)},
    )
    assert plain.rows
    assert [*plain.rows] == [[*map(close, row)] for row in asked.rows]


def test_no_other_view_reads_the_clock(warehouse: Warehouse) -> None:
    found = warehouse.query(
        "SELECT name FROM system.tables WHERE database = {d:String} AND engine = 'View' "
        "AND match(create_table_query, 'now(64)?\\\\(|\\\\btoday\\\\(')",
        {"d": warehouse.database},
    )
    assert [row[0] for row in found.rows] == ["answer_moment"]
    questions = [question.sql for question in cookbook.shipped()]
    assert not [sql for sql in questions if re.search(r"\bnow(64)?\(|\btoday\(", sql)]


# --- one customer at a moment


DELIVERY = {"applied", "recent", "moved", "alerts", "looked_at"}


def folded(world: World, at: int) -> dict[str, Customer]:
    """Everybody as of a moment: their events until then, folded in an order in which they never arrived."""
    customers: dict[str, Customer] = {}
    until = [(topic, fields) for topic, fields in world.events if ms(str(fields["occurred_at"])) <= at]
    for offset, (topic, fields) in enumerate(Random(2).sample(until, len(until))):
        kind = BY_NAME[topic].kind
        assert kind is not None
        event = msgspec.convert(fields, EVENTS[kind], strict=False)
        before = customers.get(event.customer_id) or Customer(customer_id=event.customer_id)
        customers[event.customer_id] = step(before, event, Where(topic, offset)).customer
    return customers


def facts(customer: Customer) -> dict[str, Any]:
    return {name: getattr(customer, name) for name in customer.__struct_fields__ if name not in DELIVERY}


@pytest.mark.parametrize("at", [milliseconds(MIDDLE), 1_715_000_000_000, milliseconds(END) - 130 * DAY_MS])
def test_a_customer_at_a_moment_rests_on_what_had_happened_by_then(firm: World, known: Known, at: int) -> None:
    """Contacts, purchases, answers, alerts and loyalty: nothing of later shows in any of them."""
    customers, alerts = folded(firm, at), known.alerts_at(at)
    later = [c.customer_id for c in known.customers if c.customer_id in customers and c.last_event_at > at]
    same = [c.customer_id for c in known.customers if c.customer_id in customers and c.last_event_at <= at]
    assert len(later) > 60
    for name in (*Random(3).sample(later, 25), *same[:3]):
        profile = customer_profile.read(firm.settings, name, instant(at))
        assert facts(profile.customer) == facts(customers[name]), name
        mine = {
            alert.alert_id: (alert.status, alert.severity) for alert in alerts.values() if alert.customer_id == name
        }
        assert {alert["alert_id"]: (alert["status"], alert["severity"]) for alert in profile.alerts} == mine
        assert (profile.loyalty is None) == customers[name].is_prospect


def test_an_alert_that_is_not_raised_yet_is_no_reason_for_anything(firm: World, known: Known) -> None:
    alert = min(known.told, key=lambda alert: alert.raised_at)
    before = customer_profile.read(firm.settings, alert.customer_id, alert.raised_at - timedelta(seconds=1))
    assert before.alerts == []
    assert "The desk had been told of no alert by then." in run(
        firm.settings, "customer", alert.customer_id, "--at", str(alert.raised_at - timedelta(seconds=1))
    )


def test_before_their_first_event_nothing_is_known_of_a_customer(firm: World) -> None:
    with pytest.raises(NotFound, match="nothing had happened to customer 'bound-0' by 2024-01-02"):
        customer_profile.read(firm.settings, "bound-0", datetime(2024, 1, 2, tzinfo=UTC))


# --- commands say which moment it is


def test_a_customer_is_shown_at_the_moment_of_the_newest_event(firm: World) -> None:
    shown = run(firm.settings, "customer", "regular-1")
    assert "As of 2025-12-31 12:00 UTC, the newest event." in shown
    assert "Loyalty on 2025-12-31" in shown
    assert "Active" in shown
    said = json.loads(run(firm.settings, "customer", "regular-1", "--json"))
    assert (said["at"], said["at_basis"]) == ("2025-12-31T12:00:00Z", "newest event")
    then = json.loads(run(firm.settings, "customer", "regular-1", "--at", "2025-01-31", "--json"))
    assert (then["at"], then["at_basis"]) == ("2025-01-31T23:59:59.999000Z", "asked for")
    assert then["purchases"] < said["purchases"]
    assert "As of 2025-01-31 23:59 UTC, as asked." in run(firm.settings, "customer", "regular-1", "--at", "2025-01-31")


COMMANDS: dict[str, Callable[[Any], Any]] = {
    "ask captive": lambda said: said,
    "report surveys": lambda said: said,
    "report effort": lambda said: said,
    "report shift": lambda said: said,
    "report effect": lambda said: said,
    "alerts list --status all": lambda said: said[0],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_of_which_moment_its_answer_is(firm: World, command: str) -> None:
    words = command.split()
    for asked, at, basis, shown in (
        ([], "2025-12-31T12:00:00Z", "newest event", "As of 2025-12-31 12:00 UTC, the newest event"),
        (["--at", "2025-06-30T12:00"], "2025-06-30T12:00:00Z", "asked for", "As of 2025-06-30 12:00 UTC, as asked"),
    ):
        said = COMMANDS[command](json.loads(run(firm.settings, *words, *asked, "--json")))
        assert (said["at"], said["at_basis"]) == (at, basis)
        assert shown in run(firm.settings, *words, *asked)


def test_a_question_is_asked_for_one_moment(firm: World) -> None:
    by_option = run(firm.settings, "ask", "cohorts", "--at", "2025-06-01", "--json")
    assert by_option == run(firm.settings, "ask", "cohorts", "--set", "at=2025-06-01", "--json")
    both = CliRunner().invoke(
        cli, ["ask", "cohorts", "--at", "2025-06-01", "--set", "at=2025-06-02"], env=firm.settings.as_env()
    )
    assert both.exit_code == 2
    without = CliRunner().invoke(cli, ["ask", "sales_by_quarter", "--at", "2025-06-01"], env=firm.settings.as_env())
    assert "sales_by_quarter has no parameter 'at'" in str(without.exception)


def test_alerts_are_listed_and_shown_as_they_stood(firm: World, known: Known) -> None:
    at = milliseconds(MIDDLE)
    for status in ("open", "all"):
        told = json.loads(
            run(
                firm.settings,
                "alerts",
                "list",
                "--at",
                MIDDLE.isoformat(),
                "--status",
                status,
                "--limit",
                "9999",
                "--json",
            )
        )
        expected = {
            alert.alert_id: alert.status for alert in known.alerts_at(at).values()
            if not alert.held_out and status in ("all", alert.status)
        }  # fmt: skip
        assert {alert["alert_id"]: alert["status"] for alert in told} == expected
        assert expected
    changed = next(
        alert for name, alert in known.alerts_at(at).items() if name in known.alerts and alert != known.alerts[name]
    )
    then = json.loads(run(firm.settings, "alerts", "show", changed.alert_id, "--at", MIDDLE.isoformat(), "--json"))
    now = json.loads(run(firm.settings, "alerts", "show", changed.alert_id, "--json"))
    assert (then["status"], then["severity"]) == (changed.status, changed.severity)
    assert len(then["told"]) < len(now["told"])
    later = max(known.told, key=lambda alert: alert.raised_at)
    gone = CliRunner().invoke(cli, ["alerts", "show", later.alert_id, "--at", "2024-02-01"], env=firm.settings.as_env())
    assert "no alert of that moment has an id that begins with" in str(gone.exception)


def test_what_a_customer_spent_later_is_not_told(firm: World, known: Known) -> None:
    at = next(at for at in sorted(milliseconds(alert.occurred_at) for alert in known.told) if _spend_later(known, at))
    shown = run(firm.settings, "ask", "who_is_about_to_leave", "--at", instant(at).isoformat(), "--json")
    paid = [(row["customer_id"], row["paid"]) for row in json.loads(shown)["rows"]]
    assert paid == [(row["customer_id"], row["paid"]) for row in who_is_about_to_leave(known, at)]


def _spend_later(known: Known, at: int) -> bool:
    """Whether somebody who was about to leave bought something all the same."""
    leaving = {row["customer_id"] for row in who_is_about_to_leave(known, at)}
    return any(event["customer_id"] in leaving and ms(event["occurred_at"]) > at for event in known.purchases)


def test_the_effect_of_acting_at_a_moment_knows_nothing_of_later(firm: World, warehouse: Warehouse) -> None:
    mine = holdout_effect.measure(firm.settings, 90, MIDDLE).found
    now = holdout_effect.measure(firm.settings, 90).found
    assert 0 < mine.treated.customers < now.treated.customers
    found = warehouse.query(
        "SELECT acted_for, held_out FROM holdout_uplift_at(at = {at:DateTime64(3, 'UTC')}, days = 90)",
        {"at": in_sql(MIDDLE)},
    ).rows[0]
    assert tuple(map(int, found)) == (mine.treated.customers, mine.held_out.customers)


def test_an_explanation_is_of_the_same_moment_and_can_do_without_the_warehouse(firm: World) -> None:
    assert explanation._moment(firm.settings, None) == AnswerMoment(END, "newest event")
    nowhere = Settings(clickhouse="http://127.0.0.1:1")
    assert explanation._moment(nowhere, MIDDLE) == AnswerMoment(MIDDLE, "asked for")
    with pytest.raises(Unreachable, match="not asked with --at"):
        explanation._moment(nowhere, None)
