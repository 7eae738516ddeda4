"""A header whose name is not UTF-8 costs the worker nothing, wherever it lies."""

import pytest

from pipeline.core.contract.partitioner import partition_of
from pipeline.topics import ALERTS
from tests.faults.field import Field
from tests.faults.oracle import check_kafka
from tests.faults.test_sink_headers import send_misnamed
from tests.faults.test_sink_refusals import purchase

pytestmark = pytest.mark.xdist_group("faults-worker")


@pytest.mark.extended
def test_a_header_whose_name_is_not_utf_8_costs_the_worker_nothing(field: Field) -> None:
    field.send(purchase(n) for n in range(14))
    topic, key, value = purchase(100)
    partition = partition_of(key, field.settings.partitions)
    send_misnamed(field, topic, partition, value)
    send_misnamed(field, topic, partition, b"{")
    send_misnamed(field, ALERTS.name, partition, b"{}")
    field.send(purchase(n) for n in range(14, 28))
    worker = field.worker().wait_ready()
    field.wait_done(seconds=20)
    assert worker.alive
    expected = check_kafka(field.settings)
    assert (len(expected.valid[topic]), len(expected.letters)) == (29, 1)
