"""What tests share: the built wheel in an empty environment, a stack, and a Kafka of three brokers."""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples import register
from tests.faults.brokers import Brokers
from tests.faults.field import Field
from tests.faults.volume import Volume, grow, kept
from tests.leftovers import ended_with_us
from tests.stacks import Stack
from tests.warehouses import SHARED

ROOT = Path(__file__).parent.parent
LONG_FIRST = (
    "faults",
    "e2e",
    "local",
    "benchmarks",
    "warehouse",
    "sink",
    "questions",
    "erasure",
    "fitting",
    "analysis",
)
"""Folders whose tests take long: begun last, one of their groups would run alone while the other cores wait."""

register()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a fixture of its module runs in one process, where the fixture is made once."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        shares = any(made[-1].scope == "module" for made in item._fixtureinfo.name2fixturedefs.values())
        if shares and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """When an item has its turn."""
    folder = item.path.parent.name
    return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)


@pytest.fixture(scope="session", autouse=True)
def nothing_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a session starts ends with it, also when it is killed."""
    with ended_with_us(tmp_path_factory.getbasetemp()), SHARED:
        yield


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True, timeout=1_200,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command ``loyalty``, installed from the wheel into an empty environment outside the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    subprocess.run(
        [
            str(folder / "bin/pip"), "install", "-q", "--no-compile",
            "-c", str(ROOT / "deploy/constraints.txt"), f"{wheel}[local]",
        ],
        check=True, timeout=1_200, cwd=folder,
    )  # fmt: skip
    return folder / "bin/loyalty"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of this checkout's own command, not yet started."""
    made = Stack(Path(sys.executable).parent / "loyalty", tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """A Kafka of three brokers, replication 3, two of them must confirm. A test that ends brokers starts them again.

    They are up in seconds, and a module's own: three brokers that nobody asks still take their share of the machine.
    """
    with Brokers(tmp_path_factory.mktemp("cluster"), 3, heap="256m") as brokers:
        yield brokers


@pytest.fixture(scope="session")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """A log of some size with its alerts, states and commits: see :mod:`tests.faults.volume`."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    return kept(shared, tmp_path_factory.mktemp("volume"))


@pytest.fixture
def cluster_field(cluster: Brokers, volume: Volume, tmp_path: Path) -> Iterator[Field]:
    """Processes and traffic on the three brokers, all of which run and agree, on a log of some size."""
    cluster.mend()
    made = Field(tmp_path, cluster.bootstrap, replication=3)
    try:
        yield grow(made, volume)
    finally:
        made.end()
