"""Sources of purchases to learn from: the CDNOW files, the warehouse, or a CSV file."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from pipeline.config import Settings
from pipeline.core.contract.currencies import AMOUNT_PATTERN, UNITS, to_units
from pipeline.errors import NotFound, Refused
from pipeline.fitting.bought import Bought
from pipeline.simulate import cdnow
from pipeline.warehouse.client import connect

EPOCH = date(1970, 1, 1)
FIRST_YEAR, LAST_YEAR = 1970, 2100
"""Nothing was bought in another; such dates stand for "unknown" in some exports."""
NEEDED = ("customer_id", "date", "amount")
OPTIONAL = ("currency", "obligated")
WORDS = {"": False, "0": False, "false": False, "1": True, "true": True}
MOST_ROWS = 3_000_000
"""Customer days read from the warehouse at most; they take about 3 GB of memory."""


def rows(source: str, settings: Callable[[], Settings]) -> Iterator[Bought]:
    """The purchases of ``warehouse``, ``cdnow``, ``cdnow-sample``, or a CSV file; ``settings`` are read if needed.

    Raises
    ------
    NotFound
        There is no such source.
    Refused
        The file cannot be read as purchases; the message names line and remedy.
    """
    if source in ("cdnow", "cdnow-sample"):
        return _of_cdnow(sample=source == "cdnow-sample")
    if source == "warehouse":
        return _of_warehouse(settings())
    return _of_csv(Path(source).expanduser())


def _of_cdnow(*, sample: bool) -> Iterator[Bought]:
    for row in cdnow.rows(sample=sample):
        day = date(int(row.date[:4]), int(row.date[4:6]), int(row.date[6:]))
        yield Bought(row.customer, (day - EPOCH).days, to_units(row.dollars), "USD")


def _of_warehouse(settings: Settings) -> Iterator[Bought]:
    """Each customer's days with purchases, summed up there; each event counts once."""
    answer = connect(settings).query(
        "SELECT customer_id, toInt32(toDate32(occurred_at)) AS day, currency, obligated, "
        "toString(toInt64(sum(amount) * {u:UInt32})) AS units FROM purchases WHERE refund_of = '' "
        "GROUP BY customer_id, day, currency, obligated",
        {"u": UNITS},
        read_only=True,
        limit=MOST_ROWS + 1,
    )
    if len(answer.rows) > MOST_ROWS:
        raise Refused(
            f"more than {MOST_ROWS:,} days with purchases; fit a CSV file with the purchases of a random share of the "
            "customers"
        )
    for customer, day, currency, obligated, units in answer.rows:
        yield Bought(customer, int(day), int(units), currency, obligated=bool(obligated))


def _of_csv(path: Path) -> Iterator[Bought]:
    if not path.is_file():
        raise NotFound(f"no source {str(path)!r}: it is warehouse, cdnow, cdnow-sample, or a CSV file that exists")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            _refuse_columns(path, reader.fieldnames or ())
            for row in reader:
                yield _bought(f"{path}, line {reader.line_num}", row)
    except (csv.Error, UnicodeDecodeError) as broken:
        raise Refused(f"{path} is no CSV file in UTF-8 ({broken}); save it as one") from None
    except OSError as failed:
        raise Refused(f"cannot read {path}: {failed.strerror}") from None


def _refuse_columns(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise Refused(
            f"{path} has no column {', '.join(missing)}; its first line must name {', '.join(NEEDED)}, and may name "
            f"{', '.join(OPTIONAL)}"
        )


def _bought(where: str, row: dict[str, str]) -> Bought:
    if None in row or None in row.values():
        raise Refused(f"{where}: not as many fields as the first line has names")
    customer, amount, obligated = row["customer_id"], row["amount"], row.get("obligated", "").lower()
    if not customer:
        raise Refused(f"{where}: customer_id is empty")
    if re.match(AMOUNT_PATTERN, amount) is None:
        raise Refused(f"{where}: amount {amount!r} is none; write 49.90, and -49.90 for a refund")
    if obligated not in WORDS:
        raise Refused(f"{where}: obligated {obligated!r} is neither true nor false")
    units = to_units(amount)
    currency = row.get("currency", "")
    return Bought(customer, _day(where, row["date"]), units, currency, WORDS[obligated], refund=units < 0)


def _day(where: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        utc = moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the zone of a moment in the year 1 may lead before all years
        raise Refused(f"{where}: date {text!r} is none; write 2026-11-01, or 2026-11-01T09:30:00Z") from None
    if not FIRST_YEAR <= utc.year <= LAST_YEAR:
        raise Refused(f"{where}: date {text!r} is in no year from {FIRST_YEAR} to {LAST_YEAR}; mend it or leave it out")
    return (utc.date() - EPOCH).days
