"""What the parts of a run share: a broker, a directory, the events in its log, and engines started on them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.compiled import build
from pipeline.errors import Refused
from tests.benchmarks.environments import python_with_quix
from tests.benchmarks.job import Job
from tests.benchmarks.measure import Commits, Rate, end, rate, resident, watch
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.traffic import mix
from tests.conftest import ROOT
from tests.faults.brokers import Brokers
from tests.faults.field import Field, Sent

BROKER_HEAP = "1g"
PATIENCE = 300.0
"""Seconds an engine that should come to the end of the log is given from its first commit."""


class Ground:
    """A Kafka, and everything a part needs on it."""

    def __init__(self, directory: Path, bootstrap: str, sizes: Sizes) -> None:
        self.directory, self.bootstrap, self.sizes = directory, bootstrap, sizes
        self._jobs = 0

    @cached_property
    def events(self) -> list[Sent]:
        """The mix of this run."""
        return mix(self.sizes.customers, self.sizes.days, self.sizes.events)

    @cached_property
    def field(self) -> Field:
        """A field with the whole mix in its input topics."""
        field = self.new_field()
        field.send(iter(self.events))
        return field

    @cached_property
    def worker_rate(self) -> Rate:
        """This worker over the whole mix; measured once."""
        return self.measure_worker(self.field, len(self.events))

    @cached_property
    def compiled_place(self) -> Path | None:
        """A copy of the package with the core compiled; ``None`` where it cannot be compiled."""
        place = self.directory / "compiled"
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        for name in ("pipeline", "schemas"):
            shutil.copytree(ROOT / name, place / name, ignore=ignored)
        try:
            build(place / "pipeline")
        except Refused as refused:
            print(f"  (not compiled: {refused})", file=sys.stderr)
            return None
        return place

    @cached_property
    def compiled(self) -> tuple[Field, Rate] | None:
        """The worker with the core compiled, on a field of its own; ``None`` where it cannot be compiled."""
        place = self.compiled_place
        if place is None:
            return None
        field = self.new_field()
        field.send(iter(self.events))
        return field, self.measure_worker(field, len(self.events), from_path("worker"), PYTHONPATH=str(place))

    def new_field(self) -> Field:
        """An empty field."""
        return Field(Path(tempfile.mkdtemp(dir=self.directory)), self.bootstrap)

    @contextmanager
    def job(self, module: str, client: str = "librdkafka", decode: bool = True) -> Iterator[tuple[Job, Path]]:
        """The job of another engine on the whole mix, with its topic for alerts, and where it logs."""
        self._jobs += 1
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        settings = self.field.settings
        job = Job(
            kafka=self.bootstrap, prefix=settings.topic_prefix, name=f"{module}-{self._jobs}",
            partitions=settings.partitions, directory=str(directory), client=client, decode=decode,
        )  # fmt: skip
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(job.alerts, settings.partitions, 1)])[job.alerts].result(30)
        yield job, directory / "engine.log"

    def measure_worker(self, field: Field, events: int, program: Sequence[str] = (), **more: str) -> Rate:
        """A worker over the ``events`` records that are in the topics of a field."""
        worker = field.worker(program=program, **more)
        return self._measured(
            worker.process, Commits(field.settings, field.settings.group("worker")), events, worker.log
        )

    def measure(
        self, module: str, client: str = "librdkafka", decode: bool = True, limit: float = PATIENCE
    ) -> tuple[Rate, Job]:
        """Another engine over the whole mix, or what it does of it in ``limit`` seconds."""
        with self.job(module, client, decode) as (job, log):
            process = start(module, job, log)
            return self._measured(process, Commits(self.field.settings, job.group), len(self.events), log, limit), job

    def _measured(
        self, process: subprocess.Popen[bytes], commits: Commits, events: int, log: Path, limit: float = PATIENCE
    ) -> Rate:
        try:
            samples = watch(process, commits.done, events, limit)
            return rate(samples, resident(process.pid))
        except AssertionError:
            print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            commits.close()
            end(process)


def from_path(command: str) -> list[str]:
    """A command of the package that is found on the path, not of the one that lies in the current directory."""
    return ["-P", "-m", "pipeline", command]


def start(module: str, job: Job, log: Path) -> subprocess.Popen[bytes]:
    """Start an engine of this package as a process of its own."""
    python = python_with_quix() if module == "quix" else Path(sys.executable)
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(python), "-m", f"tests.benchmarks.{module}", job.as_argument()],
            cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip


@contextmanager
def ground(sizes: Sizes) -> Iterator[Ground]:
    """A ground for one run; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        with Brokers(directory / "kafka", heap=BROKER_HEAP) as brokers:
            yield Ground(directory, brokers.bootstrap, sizes)
