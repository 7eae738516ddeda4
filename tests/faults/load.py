"""Traffic in the background while a fault happens, and whether every record of it lies in the log, once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

from pipeline.kafka import end_offsets
from pipeline.topics import INPUTS
from tests.faults.field import Field, Sent, traffic

CUSTOMERS = 2_000
DAYS = 60
LONGEST_SECONDS = 170.0
"""After this the traffic ends by itself."""


def endless(seed: int) -> Iterator[Sent]:
    """One population's traffic after the other."""
    ends = time.monotonic() + LONGEST_SECONDS
    for population in count(seed):
        for record in traffic(CUSTOMERS, population, DAYS):
            if time.monotonic() > ends:
                return
            yield record


@contextmanager
def under_load(field: Field, rate: float = 400.0, seed: int = 1) -> Iterator[None]:
    """Send ``rate`` records a second from the beginning of the block to its end; each of them must lie in the log."""
    stop, before = threading.Event(), logged(field)
    with ThreadPoolExecutor(1, "load") as pool:
        sending = pool.submit(field.send, endless(seed), rate, stop)
        try:
            yield
            assert not sending.done(), "the traffic ended before the fault was over"
        finally:
            stop.set()
        sent = sending.result(150)
    came = logged(field) - before
    assert came == sent, f"{sent} records were sent and {came} lie in the log"


def logged(field: Field) -> int:
    """How many records lie in the inputs."""
    return sum(end - first for first, end in end_offsets(field.settings, INPUTS).values())
