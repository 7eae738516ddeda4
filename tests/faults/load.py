"""Traffic in the background while a fault happens, and whether every record of it lies in the log, once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pipeline.kafka import end_offsets
from pipeline.topics import INPUTS
from tests.faults.field import Field, traffic

CUSTOMERS = 8_000
DAYS = 60


@contextmanager
def under_load(field: Field, rate: float = 400.0, seed: int = 1) -> Iterator[None]:
    """Send ``rate`` records a second from the beginning of the block to its end; each of them must lie in the log."""
    stop = threading.Event()
    with ThreadPoolExecutor(1, "load") as pool:
        sending = pool.submit(field.send, traffic(CUSTOMERS, seed, DAYS), rate, stop)
        try:
            yield
            assert not sending.done(), "the traffic ended before the fault was over"
        finally:
            stop.set()
        sent = sending.result(150)
    ends = end_offsets(field.settings, INPUTS)
    logged = sum(end - first for first, end in ends.values())
    assert logged == sent, f"{sent} records were sent and {logged} lie in the log"
