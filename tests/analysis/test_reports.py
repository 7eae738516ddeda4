"""``loyalty report`` on a real engine: what it counts, in pages, and what it says of nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from pipeline.analysis import alerts, holdout_effect, reports
from pipeline.config import Settings
from pipeline.core.measures.effect import Arm
from pipeline.core.measures.shift import Ratio
from pipeline.core.state.customer import DAY_MS, Answer, Contact, Customer, encode_state, with_occasion
from pipeline.errors import NotFound
from pipeline.records import Record
from pipeline.sink.rows import RowPlace, state
from pipeline.warehouse.client import Warehouse, connect
from tests.storing import emptied, migrated

pytestmark = pytest.mark.xdist_group("warehouse")

DAY = 20_000
"""2024-10-04, when everybody calls who does; the newest event is 200 days later."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Warehouse]]:
    """A database with every table."""
    with migrated(tmp_path_factory.mktemp("reports")) as made:
        yield made


def person(number: int) -> Customer:
    """Every third customer buys less after the contact, every fourth recommends us, every second calls again."""
    name = f"c-{number:04d}"
    made = Customer(
        customer_id=name, first_purchase_at=(DAY - 400) * DAY_MS, last_event_at=(DAY + number % 201) * DAY_MS, events=9,
        synthetic_events=int(number % 5 == 0), contact_events=1, survey_answers=1,
    )  # fmt: skip
    after = () if number % 3 == 0 else (DAY + 10, DAY + 20, DAY + 30, DAY + 40)
    for day in (DAY - 400, DAY - 60, DAY - 50, DAY - 5, *after):
        with_occasion(made, day)
    made.contacts = [call(number, 0)] if number % 2 else [call(number, 0), call(number, 3)]
    said = Answer(DAY * DAY_MS, f"{name}-a", "nps", 9 if number % 4 == 0 else 3, 0, 10)
    made.answers, made.latest = [said], {"nps": said}
    return made


def call(number: int, days: int) -> Contact:
    at = (DAY + days) * DAY_MS + 1
    return Contact(
        at, f"k-{number}-{days}", f"i-{number}", at, "e", "phone", "complaint", "billing" if number % 6 else "delivery",
        True, 60.0, 1, False, False, 1, number % 5 == 0,
    )  # fmt: skip


def bystander(number: int) -> Customer:
    """Has bought, and never said or asked anything."""
    return Customer(customer_id=f"b-{number:04d}", first_purchase_at=0, last_event_at=(DAY + 200) * DAY_MS, events=1)


COLUMNS = (
    "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = 'customer_states' ORDER BY position"
)


def store(warehouse: Warehouse, customers: list[Customer], version: int = 1, *, erased: bool = False) -> None:
    """The newest states of customers, as the sink writes them."""
    columns = {str(name): str(kind) for name, kind in warehouse.query(COLUMNS, {"d": warehouse.database}).rows}
    rows = []
    for number, customer in enumerate(customers):
        value = None if erased else encode_state(customer)
        record = Record(version * 100_000 + number, 0, customer.customer_id.encode(), value, [])
        rows += [row for _, row in state(RowPlace("customer-states", 0, 1), record)]
    warehouse.insert("customer_states", columns, rows, f"{version}-{erased}")


@pytest.fixture
def settings(place: tuple[Settings, Warehouse]) -> Settings:
    """An empty warehouse."""
    settings, warehouse = place
    emptied(warehouse)
    return settings


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """A warehouse with 120 customers who called, and 40 who never said anything."""
    store(connect(settings), [*map(person, range(120)), *map(bystander, range(40))])
    return settings


REPORTS: dict[str, Callable[[Settings, datetime | None, int | None], dict[str, object]]] = {
    "surveys": reports.surveys,
    "effort": reports.effort,
    "shift": reports.shift,
}


def loyalty(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments], capture_output=True, text=True, check=False, timeout=240,
        env={"PATH": os.environ["PATH"], "COLUMNS": "200"} | settings.as_env(),
    )  # fmt: skip


@pytest.mark.parametrize("report", REPORTS)
def test_an_empty_warehouse_is_one_clear_line(settings: Settings, report: str) -> None:
    with pytest.raises(NotFound, match="no customer in the warehouse"):
        REPORTS[report](settings, None, None)
    done = loyalty(settings, "report", report)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("report", "said"),
    [("surveys", "Nobody answered a survey."), ("effort", "Nobody contacted service."),
     ("shift", "No customer contacted service after a first purchase.")],
)  # fmt: skip
def test_customers_who_never_said_anything_make_no_figures(settings: Settings, report: str, said: str) -> None:
    store(connect(settings), [bystander(1)])
    done = loyalty(settings, "report", report)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [said]


def test_what_customers_said_is_counted(filled: Settings) -> None:
    found = json.loads(loyalty(filled, "report", "surveys", "--json").stdout)
    assert (found["as_of"], found["customers_known"], found["customers"]) == ("2025-04-22T00:00:00Z", 160, 120)
    assert found["customers_with_synthetic_events"] == 24
    assert (found["nps"]["n"], found["nps"]["promoters"], found["nps"]["score"]) == (120, 30, -50.0)
    shown = loyalty(filled, "report", "surveys").stdout
    assert "Recommendation (NPS): -50.0 points (" in shown
    assert "n 120" in shown
    assert "90 detractors (75%). Call back" in shown


def test_periods_are_compared_and_can_be_no_different(filled: Settings) -> None:
    at = datetime.fromtimestamp((DAY + 10) * 86_400, UTC)
    found = reports.surveys(filled, at, 30)
    assert (found["nps"].n, found["nps_change"]) == (120, None)
    later = [person(number) for number in range(200, 320)]
    for customer in later:
        customer.answers = [Answer((DAY + 30) * DAY_MS, "x", "nps", 9 if customer.customer_id < "c-0235" else 3, 0, 10)]
        customer.latest = {"nps": customer.answers[0]}
    store(connect(filled), later, version=2)
    at = datetime.fromtimestamp((DAY + 35) * 86_400, UTC)
    assert reports.surveys(filled, at, 30)["nps_change"].verdict == "no significant change"
    shown = loyalty(filled, "report", "surveys", "--at", at.date().isoformat(), "--days", "30").stdout
    assert "no significant change" in shown


def test_effort_is_by_origin_with_the_agents_word_beside_what_customers_did(filled: Settings) -> None:
    found = json.loads(loyalty(filled, "report", "effort", "--json").stdout)
    everything, *origins = found["origins"]
    assert [(o["origin"], o["issues"]) for o in (everything, *origins)] == [
        ("all", 120), ("billing", 100), ("delivery", 20),
    ]  # fmt: skip
    assert everything["first_contact_resolution"]["value"] == 0.5
    assert everything["agents_claim"]["value"] == 1.0
    assert (everything["contacts"], everything["synthetic_issues"]) == (180, 24)
    shown = loyalty(filled, "report", "effort").stdout
    assert "50% (41% to 59%, n 120)" in shown
    assert "100%" in shown
    early = reports.effort(filled, datetime.fromtimestamp(DAY * 86_400 + 86_400, UTC), None)["origins"][0]
    assert (early.first_contact_resolution, early.provisional) == (None, 120)


@pytest.mark.parametrize(("days", "customers", "called"), [(35, 0, 60), (36, 120, 120)])
def test_a_report_of_some_days_holds_only_what_began_in_them(
    filled: Settings, days: int, customers: int, called: int
) -> None:
    """Everybody answered and called at the beginning of the day that is 36 days ago; 60 called again 3 days later."""
    at = datetime.fromtimestamp((DAY + 36) * 86_400 - 0.001, UTC)
    said, cost, became = (report(filled, at, days) for report in REPORTS.values())
    assert said["customers"] == customers
    origins = cost["origins"]
    assert isinstance(origins, list)
    assert [entry.issues for entry in origins][:1] == ([customers] if customers else [])
    balance = became["shift"]
    assert isinstance(balance, Ratio)
    assert balance.customers == called


def test_the_ratio_stands_beside_the_published_one(filled: Settings) -> None:
    found = json.loads(loyalty(filled, "report", "shift", "--json").stdout)["shift"]
    assert (found["customers"], found["less"], found["more"], found["synthetic"]) == (120, 40, 80, 24)
    assert found["ratio"]["value"] == pytest.approx(0.5)
    assert found["version"] == "shift-1"
    shown = loyalty(filled, "report", "shift").stdout
    assert "Disloyal : loyal  0.5 : 1 (0.3 to 0.7, n 120), below 4 : 1" in shown
    open_ = reports.shift(filled, datetime.fromtimestamp((DAY + 30) * 86_400, UTC), None)["shift"]
    assert open_.undecided["window open"] == 120


@pytest.mark.parametrize("page", [1, 7, 60, 120, 121])
def test_pages_of_any_size_hold_everybody_once(filled: Settings, page: int) -> None:
    read = [customer.customer_id for customer in reports.states(connect(filled), page)]
    assert read == [f"c-{number:04d}" for number in range(120)]


def test_the_newest_state_counts_and_the_erased_do_not(filled: Settings) -> None:
    warehouse = connect(filled)
    newer = person(1)
    newer.answers, newer.latest, newer.survey_answers, newer.contacts, newer.contact_events = [], {}, 0, [], 0
    store(warehouse, [newer], version=2)
    store(warehouse, [person(2)], version=3, erased=True)
    names = {customer.customer_id for customer in reports.states(warehouse)}
    assert names == {f"c-{number:04d}" for number in range(120)} - {"c-0001", "c-0002"}


def test_what_acting_changed_is_counted_from_first_alerts_that_are_old_enough(settings: Settings) -> None:
    """Held out: 40 of whom 20 left. Acted for: 40 of whom 8 left. Young alerts and later alerts do not count."""
    warehouse = connect(settings)
    warehouse.command(
        "INSERT INTO alert_states (alert_id, customer_id, held_out, status, raised_at, occurred_at) "
        "SELECT toString(number), toString(number), number < 40, 'open', "
        "toDateTime64('2026-01-10', 3, 'UTC') AS at, at FROM numbers(80)"
    )
    warehouse.command(
        "INSERT INTO alert_states (alert_id, customer_id, held_out, status, raised_at, occurred_at) "
        "SELECT concat('later-', toString(number)), toString(number), number >= 40, 'open', "
        "toDateTime64('2026-02-10', 3, 'UTC') AS at, at FROM numbers(80)"
    )
    warehouse.command(
        "INSERT INTO alert_states (alert_id, customer_id, held_out, status, raised_at, occurred_at) "
        "VALUES ('y', 'young', true, 'open', '2026-06-30 00:00:00', '2026-06-30 00:00:00')"
    )
    for customers, day, obligated in (
        ("number < 20 OR number >= 48", "2026-02-01", False),  # came back
        ("number < 80", "2026-01-05", False),  # before the alert
        ("number < 80", "2026-02-02", True),  # a renewal is no evidence
        ("number < 80", "2026-07-01", False),  # too late
    ):
        warehouse.command(
            "INSERT INTO raw_purchases (event_id, customer_id, occurred_at, obligated, _offset) "
            f"SELECT concat('{day}-', toString(number)), toString(number), toDateTime64('{day}', 3, 'UTC'), "
            f"{obligated}, number FROM numbers(80) WHERE {customers}"
        )
    found = holdout_effect.measure(settings, 90)
    assert (found.found.treated, found.found.held_out) == (Arm(40, 8), Arm(40, 20))
    assert found.found.verdict == "acting helped"


def test_without_anybody_held_out_there_is_nothing_to_compare(settings: Settings) -> None:
    with pytest.raises(NotFound, match="try fewer"):
        holdout_effect.measure(settings, 90)


def test_the_desk_does_not_see_what_is_held_out(settings: Settings) -> None:
    connect(settings).command(
        "INSERT INTO alert_states (alert_id, customer_id, held_out, status, raised_at, occurred_at) "
        "SELECT toString(number), 'c', number = 1, 'open', toDateTime64('2026-01-10', 3, 'UTC') AS at, at "
        "FROM numbers(3)"
    )
    seen = {held_out: alerts.listed(settings, "open", None, 10, held_out=held_out).alerts for held_out in (False, True)}
    assert {held_out: {a["alert_id"] for a in found} for held_out, found in seen.items()} == {
        False: {"0", "2"}, True: {"1"},
    }  # fmt: skip
