"""Traffic in the background for so many seconds, and whether every record of it lies in the log, once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pipeline.kafka import end_offsets
from pipeline.topics import INPUTS
from tests.faults.field import Field, traffic


class Load:
    """Records being sent."""

    def __init__(self, field: Field, customers: int, seconds: float, seed: int) -> None:
        self._field = field
        events = list(traffic(customers, seed))
        self.records = len(events)
        self._pool = ThreadPoolExecutor(1, "load")
        self._sending = self._pool.submit(field.send, iter(events), self.records / seconds)

    @property
    def under_way(self) -> bool:
        """Whether records are still to be sent: a fault after that would prove little."""
        return not self._sending.done()

    def join(self, seconds: float = 120) -> None:
        """Wait until everything was sent; every record must lie in the log, none twice."""
        assert self._sending.result(seconds) == self.records
        self._pool.shutdown()
        ends = end_offsets(self._field.settings, INPUTS)
        assert sum(end - first for first, end in ends.values()) == self.records, "the log itself lost records"


@contextmanager
def under_load(field: Field, customers: int = 1_000, seconds: float = 8.0, seed: int = 1) -> Iterator[Load]:
    """Run the block while records are sent, and wait until all of them lie in the log."""
    load = Load(field, customers, seconds, seed)
    yield load
    load.join()
