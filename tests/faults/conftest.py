"""What fault tests share: one broker per test session, three for those that ask, and a field on either."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.brokers import Brokers
from tests.faults.field import Field


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """A Kafka of one node; tests that end it start it again."""
    with Brokers(tmp_path_factory.mktemp("broker")) as brokers:
        yield brokers


@pytest.fixture
def field(broker: Brokers, tmp_path: Path) -> Iterator[Field]:
    """Processes and traffic on the one-node Kafka."""
    made = Field(tmp_path, broker.bootstrap)
    try:
        yield made
    finally:
        made.end()
