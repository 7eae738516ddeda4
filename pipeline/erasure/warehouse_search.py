"""Finds the rows of a customer in the warehouse, and takes them out of every table for good.

Which tables and columns can name a customer is read from the warehouse's own schema, by the names that
:mod:`pipeline.erasure.row_filter` knows: a table that is added later needs no line here.

What the rows added to aggregates is taken out of them first. Then ``ALTER TABLE … DELETE`` writes the parts that hold
such rows again without them; :mod:`pipeline.warehouse.leftovers` sees to the old parts. The engine keeps the text of
such statements, so they name the SHA-256 of the id, never the id.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pipeline.core.contract.naming import names
from pipeline.core.state.suppression import digest_of
from pipeline.erasure.row_filter import RAW_REFERRAL, REFERRAL
from pipeline.errors import NotFound, Refused
from pipeline.warehouse import backfill, migrations
from pipeline.warehouse.client import Warehouse
from pipeline.warehouse.leftovers import OnDisk, removed

_REFERRER = "JSONExtractString(state, 'stated', 5, 3)"
_COLUMNS = """
    SELECT table, groupArray(name) AS names FROM system.columns
    WHERE database = {d:String} AND table IN
        (SELECT name FROM system.tables WHERE database = {d:String} AND engine LIKE '%MergeTree')
    GROUP BY table ORDER BY table
"""
_AT_ONCE = 500
_LETTER = {"source_topic", "source_partition", "source_offset", "key", "value"}
"""The columns of a table of records as they came, with the place they came from."""
_MAY_NAME = r"(position({at}, {c:String}) > 0 OR match({at}, '[\\\\\\x00%]|[0-9][eE][-+0-9]') OR NOT isValidUTF8({at}))"
"""What :func:`pipeline.core.contract.naming.may_name` says of the expression ``{at}``."""


class AsItCame(NamedTuple):
    """Columns that hold a record as it came, so that its rows have to be looked at one by one."""

    place: tuple[str, str, str]
    """Topic, partition and offset of the record."""
    key: str
    value: str
    headers: str
    others: str
    """A condition that leaves out rows that are taken out in another way."""


class ErasurePlace(NamedTuple):
    """Where a customer can be named, how that is counted, and what takes it out.

    ``takes_out`` holds ``{digest}``; where ``record`` is given, it is followed by which records.
    """

    name: str
    table: str
    condition: str
    takes_out: str
    record: AsItCame | None = None


def places(warehouse: Warehouse) -> list[ErasurePlace]:
    """Every place of the warehouse, by its schema."""
    rows = warehouse.query(_COLUMNS, {"d": warehouse.database}).rows
    return [place for table, names in rows for place in _of_table(str(table), set(names))]


def _of_table(table: str, columns: set[str]) -> Iterator[ErasurePlace]:
    if "customer_id" in columns:
        yield ErasurePlace(
            table, table, "customer_id = {c:String}", "DELETE WHERE SHA256(customer_id) = unhex('{digest}')"
        )
    if "referred_by" in columns:
        raw = f"raw = replaceRegexpAll(raw, {_literal(RAW_REFERRAL)}, '\\\\1\"\"'), " if "raw" in columns else ""
        yield ErasurePlace(
            f"{table}.referred_by", table, "referred_by = {c:String}",
            f"UPDATE {raw}referred_by = '' WHERE SHA256(referred_by) = unhex('{{digest}}')",
        )  # fmt: skip
    if "state" in columns:
        yield ErasurePlace(
            f"{table}.state", table, f"{_REFERRER} = {{c:String}}",
            f"UPDATE state = replaceRegexpOne(state, {_literal(REFERRAL)}, '\\\\1null') "
            f"WHERE SHA256({_REFERRER}) = unhex('{{digest}}')",
        )  # fmt: skip
    if columns >= _LETTER:
        headers = "headers" if "headers" in columns else "[]"
        record = AsItCame(("source_topic", "source_partition", "source_offset"), "key", "value", headers, "1")
        yield ErasurePlace(table, table, "", "DELETE", record)
    if {"raw", "customer_id", "_topic", "_partition", "_offset"} <= columns:
        others = "customer_id != {c:String}" + (" AND referred_by != {c:String}" if "referred_by" in columns else "")
        record = AsItCame(("_topic", "_partition", "_offset"), "''", "raw", "[]", f"raw != '' AND {others}")
        yield ErasurePlace(f"{table}.raw", table, "", "UPDATE raw = ''", record)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def count(warehouse: Warehouse, customer_id: str) -> dict[str, int]:
    """How many rows name a customer, by place; rows that newer ones replace are counted too."""
    return {place.name: _count(warehouse, place, customer_id) for place in places(warehouse)}


def _count(warehouse: Warehouse, place: ErasurePlace, customer_id: str) -> int:
    if place.record is not None:
        return sum(1 for _ in letters(warehouse, place, customer_id))
    rows = warehouse.value(
        f"SELECT count() FROM {{t:Identifier}} WHERE {place.condition}",  # noqa: S608 - conditions of this module
        {"t": place.table, "c": customer_id},
    )
    return int(rows)


class Letter(NamedTuple):
    """A record as it came that names the customer: where it came from, and its bytes."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def letters(warehouse: Warehouse, place: ErasurePlace, customer_id: str) -> Iterator[Letter]:
    """The records of a place that name the customer. ClickHouse finds those that may, what they say is read here."""
    record, name = place.record, customer_id.encode()
    if record is None:
        return
    sql, after = _candidates(record), ("", 0, 0)
    while rows := warehouse.query(sql, {"t": place.table, "c": customer_id, **_behind(after)}).rows:
        for topic, partition, offset, key, value, headers in rows:
            after = str(topic), int(partition), int(offset)
            as_bytes = [(str(k), base64.b64decode(v)) for k, v in headers]
            letter = Letter(*after, base64.b64decode(key), base64.b64decode(value), as_bytes)
            if names(name, letter.key, letter.value, letter.headers):
                yield letter


def _candidates(record: AsItCame) -> str:
    """The next records that may name the customer, in the order of their places."""
    key, value, place = record.key, record.value, ", ".join(record.place)
    may_name = f"{_MAY_NAME.replace('{at}', value)} OR {_MAY_NAME.replace('{at}', key)} OR match({key}, '[^ -~]')"
    return (
        f"SELECT {place}, base64Encode({key}), base64Encode({value}), "  # noqa: S608 - names of this module
        f"arrayMap(h -> (h.1, base64Encode(h.2)), {_typed(record.headers)}) FROM {{t:Identifier}} "
        f"WHERE ({place}) > ({{topic:String}}, {{partition:UInt16}}, {{offset:Int64}}) AND ({record.others}) "
        f"AND ({may_name} OR notEmpty({_typed(record.headers)})) ORDER BY {place} LIMIT {_AT_ONCE}"
    )


def _typed(headers: str) -> str:
    return headers if headers != "[]" else "CAST([], 'Array(Tuple(String, String))')"


def _behind(after: tuple[str, int, int]) -> Mapping[str, Any]:
    return dict(zip(("topic", "partition", "offset"), after, strict=True))


def erase(warehouse: Warehouse, customer_id: str) -> Iterator[str]:
    """Take a customer out, place by place; yields each place that held something, once it does not."""
    digest = digest_of(customer_id.encode()).hex()
    _take_out_of_sums(warehouse, customer_id, digest)
    for place in places(warehouse):
        if not _count(warehouse, place, customer_id):
            continue
        for statement in _statements(warehouse, place, customer_id, digest):
            warehouse.command(f"ALTER TABLE `{place.table}` {statement} SETTINGS mutations_sync = 2")
        yield place.name


def _take_out_of_sums(warehouse: Warehouse, customer_id: str, digest: str) -> None:
    """Take what a customer added out of every aggregate, while the rows are there to say what that was.

    The token names the rows: begun again after they were deleted there is nothing to take out, and before that the
    engine knows the token.
    """
    for view in migrations.views():
        ((rows, last),) = warehouse.query(
            "SELECT count(), max(_offset) FROM {t:Identifier} WHERE customer_id = {c:String}",
            {"t": view.source, "c": customer_id},
        ).rows
        if int(rows):
            backfill.take_out(warehouse, view, customer_id, f"erase/{digest}/{view.name}/{rows}-{last}")


def _statements(warehouse: Warehouse, place: ErasurePlace, customer_id: str, digest: str) -> Iterator[str]:
    if place.record is None:
        yield place.takes_out.replace("{digest}", digest)
        return
    records = sorted(
        {(letter.topic, letter.partition, letter.offset) for letter in letters(warehouse, place, customer_id)}
    )
    for start in range(0, len(records), _AT_ONCE):
        piece = ", ".join(f"({_literal(topic)}, {n}, {at})" for topic, n, at in records[start : start + _AT_ONCE])
        yield f"{place.takes_out} WHERE ({', '.join(place.record.place)}) IN ({piece})"


def cleaned(warehouse: Warehouse) -> OnDisk:
    """Have no old part left of any table that can name a customer; says what is left all the same."""
    return removed(warehouse, {place.table for place in places(warehouse)})


def open_alerts(warehouse: Warehouse, customer_id: str) -> list[str]:
    """The ids of alerts about a customer that wait for the desk."""
    rows = warehouse.query(
        "SELECT alert_id FROM alert_states FINAL WHERE customer_id = {c:String} AND status = 'open' ORDER BY alert_id",
        {"c": customer_id},
    ).rows
    return [str(alert_id) for (alert_id,) in rows]


def left_over(warehouse: Warehouse) -> dict[str, int]:
    """How many rows there are of all customers on the list, by table: none, unless somebody wrote behind our back."""
    return {
        place.table: int(
            warehouse.value(
                "SELECT count() FROM {t:Identifier} "
                "WHERE SHA256(customer_id) IN (SELECT unhex(customer_sha256) FROM suppressions)",
                {"t": place.table},
            )
        )
        for place in places(warehouse)
        if place.condition == "customer_id = {c:String}"
    }


def check_not_erased(warehouse: Warehouse, customer_id: str) -> None:
    """Say so when a customer was erased, as far as the warehouse has heard.

    Raises
    ------
    NotFound
        They were.
    """
    rows = warehouse.query(
        "SELECT toDate(min(suppressed_at)), any(receipt_id) FROM suppressions "
        "WHERE customer_sha256 = {h:String} GROUP BY customer_sha256",
        {"h": digest_of(customer_id.encode()).hex()},
    ).rows
    for day, receipt_id in rows:
        raise NotFound(f"this customer was erased on {day}, receipt {receipt_id}")


class Noted(NamedTuple):
    """The number of rows an erasure found in a place, and the number left."""

    place: str
    found: int
    left: int


_NOTES = {
    "receipt_id": "String",
    "suppressed_at": "DateTime64(3, 'UTC')",
    "reason": "LowCardinality(String)",
    "place": "String",
    "found": "UInt64",
    "left": "UInt64",
    "noted_at": "DateTime64(3, 'UTC')",
}


def check_ready(warehouse: Warehouse) -> None:
    """Check that receipts can be kept.

    Raises
    ------
    Refused
        The tables for them are not there yet.
    """
    tables = warehouse.value(
        "SELECT count() FROM system.tables WHERE database = {d:String} AND name IN ('erasures', 'suppressions')",
        {"d": warehouse.database},
    )
    if int(tables) != 2:
        raise Refused("the warehouse cannot keep receipts yet: it lacks the newest migrations, which a sink applies")


def note(warehouse: Warehouse, receipt: tuple[str, datetime, str], noted: Sequence[Noted]) -> None:
    """Write down what was found and what is left; ``receipt`` is its id, the moment and the reason."""
    now = datetime.now(UTC)
    rows = [(*receipt, *entry, now) for entry in noted]
    if rows:
        warehouse.insert("erasures", _NOTES, rows, f"{receipt[0]}/{now.isoformat()}")


def noted(warehouse: Warehouse, receipt_id: str) -> list[Noted]:
    """The receipt: the most that was ever found in each place, and what was left there when it was looked at last."""
    rows = warehouse.query(
        "SELECT place, max(found), argMax(left, noted_at) FROM erasures WHERE receipt_id = {r:String} "
        "GROUP BY place ORDER BY place",
        {"r": receipt_id},
    ).rows
    return [Noted(str(place), int(found), int(left)) for place, found, left in rows]
