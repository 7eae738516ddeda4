"""What fault tests share: one broker per test session, three for those that ask, and a field on either."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.brokers import Brokers
from tests.faults.field import Field
from tests.faults.volume import Volume, grow
from tests.faults.warehouses import Embedded


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


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A warehouse for the session; every field has a database of its own in it. Tests that end it start it again."""
    made = Embedded(tmp_path_factory.mktemp("warehouse")).start()
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture
def filled(broker: Brokers, embedded: Embedded, tmp_path: Path) -> Iterator[Field]:
    """Processes and traffic on the one-node Kafka, with a database."""
    made = Field(tmp_path, broker.bootstrap, clickhouse=embedded.url)
    try:
        yield made
    finally:
        made.end()
        embedded.forget(made.settings.database)


@pytest.fixture
def grown(field: Field, volume: Volume) -> Field:
    """A field whose log has some size, for whoever kills, freezes or rebalances."""
    return grow(field, volume)


@pytest.fixture
def grown_filled(filled: Field, volume: Volume) -> Field:
    """The same with a database."""
    return grow(filled, volume)
