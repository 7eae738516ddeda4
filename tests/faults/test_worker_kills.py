"""The worker, killed at every step and at random: states, alerts and dead letters equal a reference fold."""

import pytest

from tests.faults.field import Field, traffic
from tests.faults.oracle import check_kafka

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("faults")]


def test_without_any_fault_the_oracle_agrees(field: Field) -> None:
    field.send(traffic(300))
    field.worker().wait_ready()
    field.wait_done()
    expected = check_kafka(field.settings)
    assert len(expected.customers) == 300
    assert expected.alerts
    assert expected.letters
