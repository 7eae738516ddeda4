"""Workers that stop and start: nothing that was sent meanwhile is left out."""

import pytest

from tests.faults.field import Field, traffic
from tests.faults.oracle import check_kafka

pytestmark = [pytest.mark.timeout(200), pytest.mark.xdist_group("faults-worker")]


def test_topics_that_had_no_commit_yet_are_read_from_the_beginning_after_a_recovery(field: Field) -> None:
    """Purchases while the worker runs; every other kind only while it is down."""
    everything = list(traffic(200, broken=0))
    worker = field.worker("worker-0").wait_ready()
    field.send(record for record in everything if record[0] == "purchases")
    field.wait_done()
    assert worker.stop() == 0
    field.send(record for record in everything if record[0] != "purchases")
    worker.start().wait_ready()
    field.send(record for record in traffic(200, seed=2) if record[0] != "purchases")
    field.wait_done()
    check_kafka(field.settings)
