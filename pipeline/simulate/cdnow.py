"""The CDNOW purchases: real, 1997-01 to 1998-06, published by Fader & Hardie; shipped with their licence."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline import resources

MASTER_ROWS = 69_659
SAMPLE_ROWS = 6_919


class CdnowPurchase(NamedTuple):
    """One purchase: its line in the file (from 1), customer, date ``YYYYMMDD``, CDs bought, dollars as written."""

    number: int
    customer: str
    date: str
    cds: int
    dollars: str


def rows(*, sample: bool = False) -> Iterator[CdnowPurchase]:
    """The purchases in the file's order; ``sample`` is the papers' 1/10 sample."""
    lines = (
        resources.data("cdnow", "CDNOW_sample.txt" if sample else "CDNOW_master.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    fields = (line.split() for line in (lines if sample else lines[1:]) if line.strip())
    for number, parts in enumerate(fields, start=1):
        customer, date, cds, dollars = (parts[0], *parts[2:]) if sample else parts
        yield CdnowPurchase(number, customer, date, int(cds), dollars)


def purchases(*, sample: bool = False) -> Iterator[dict[str, object]]:
    """The purchases as events, oldest first, with their original dates at midnight UTC.

    The identity of an event is its line in the file: 255 lines are the same as another and may be purchases of their
    own, so none is dropped.
    """
    name = "cdnow-sample" if sample else "cdnow"
    for row in sorted(rows(sample=sample), key=lambda row: (row.date, row.number)):
        yield {
            "event_id": f"{name}-{row.number}",
            "customer_id": row.customer,
            "occurred_at": f"{row.date[:4]}-{row.date[4:6]}-{row.date[6:]}T00:00:00Z",
            "source": name,
            "order_id": f"{name}-{row.number}",
            "amount": row.dollars,
            "currency": "USD",
            "channel": "web",
            "lines": [{"category": "cd", "quantity": row.cds}],
        }
