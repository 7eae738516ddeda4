"""Time passes on a real broker: open alerts end without an event of their customer, exactly also when killed."""

from collections.abc import Iterator

import msgspec
import pytest

from pipeline.core.risk.messages import ChurnAlert
from pipeline.simulate.population import simulated
from pipeline.topics import ALERTS
from tests.faults.field import Field, Sent
from tests.faults.oracle import check_kafka, read_log, stored_states
from tests.stacks import eventually

pytestmark = pytest.mark.xdist_group("faults-worker")
FIRST_DAYS, LAST_DAYS = 60, 200
SOON = {"LOYALTY_TICK_SECONDS": "1"}


def lives(days: range) -> Iterator[Sent]:
    """A population in the first days; then others, who show that time has passed."""
    for topic, event in simulated(300, days.stop, seed=days.stop):
        if int(str(event["occurred_at"])[:4]) > 2024:
            yield topic, str(event["customer_id"]).encode(), msgspec.json.encode(event)


def ticks(field: Field) -> list[ChurnAlert]:
    """What was told because time had passed."""
    messages = [msgspec.json.decode(r.value or b"", type=ChurnAlert) for r in read_log(field.settings, ALERTS)]
    return [message for message in messages if message.caused_by_event.startswith("tick:")]


def open_alerts(field: Field) -> int:
    """Open alerts of the first population."""
    states = [s for key, s in stored_states(field.settings).items() if key.startswith(b"sim-60-")]
    return sum(alert.status == "open" for state in states for alert in state.alerts)


@pytest.mark.extended
@pytest.mark.parametrize("crash", ["effects-confirmed:3", pytest.param("states-confirmed:3", marks=pytest.mark.soak)])
def test_an_open_alert_ends_when_time_has_passed(grown: Field, crash: str) -> None:
    grown.send(lives(range(FIRST_DAYS)))
    worker = grown.worker(**SOON).wait_ready()
    grown.wait_done()
    before = open_alerts(grown)
    assert before
    worker.kill()
    worker.start(CRASH_AT=crash)
    grown.send(lives(range(LAST_DAYS)))
    worker.wait_dead(30)
    worker.start(CRASH_AT="")
    worker.wait_ready()
    grown.wait_done()
    eventually(lambda: worker.metric("loyalty_ticks_total") > 0, 20, "open alerts were looked at again")
    eventually(lambda: not open_alerts(grown), 20, "all of them have faded")
    told = ticks(grown)
    assert len({message.alert_id for message in told if message.status == "resolved"}) >= before
    worker.stop()
    check_kafka(grown.settings)
