"""Parquet: the types of its columns decide what its values mean, and its name is a name."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.core.contract.events import Purchase
from pipeline.local.parquet import lines
from tests.importing.files import Trial

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MAPPING = """
kind = "purchase"
[event_id]
column = "no"
[fields]
customer_id = "who"
order_id = "no"
occurred_at = {when}
amount = "paid"
currency = { constant = "EUR" }
category = "kind"
incentivised = "gift"
"""
LOCAL = dt.datetime(2024, 1, 15, 10, 0)  # noqa: DTZ001 - that it has no zone is the point


def write(path: Path, **columns: Any) -> Path:
    """A file with a row that a mapping of purchases fits, and other columns as they are said."""
    row: dict[str, Any] = {
        "no": ["1"], "who": ["c"], "paid": pa.array([Decimal("12.50")], pa.decimal128(10, 2)),
        "day": pa.array([LOCAL], pa.timestamp("us", "UTC")), "kind": ["k"], "gift": [False],
    }  # fmt: skip
    parquet.write_table(pa.table(row | columns), path)
    return path


def imported(directory: Path, when: str = '"day"', **columns: Any) -> Purchase:
    """The one event of such a file."""
    content = write(directory / "made.parquet", **columns).read_bytes()
    checked, made = Trial(directory, MAPPING.replace("{when}", when), "orders.parquet", content).run()
    assert checked.good == 1, checked.rejects
    assert isinstance(made[0].event, Purchase)
    return made[0].event


TIMES = {
    "a local time in a zone": (pa.timestamp("us"), "Europe/Berlin", "09:00"),
    "a local time of nanoseconds": (pa.timestamp("ns"), "Europe/Berlin", "09:00"),
    "a local time of seconds, in UTC by the mapping": (pa.timestamp("s"), "UTC", "10:00"),
    "a moment stays the moment it is": (pa.timestamp("us", "UTC"), "Europe/Berlin", "10:00"),
    "a moment that is shown in a zone": (pa.timestamp("ms", "America/New_York"), "Europe/Berlin", "10:00"),
}


@pytest.mark.parametrize(("kind", "zone", "hour"), TIMES.values(), ids=TIMES)
def test_whether_a_time_is_local_is_decided_by_the_type_of_its_column(
    tmp_path: Path, kind: Any, zone: str, hour: str
) -> None:
    when = f'{{ column = "day", zone = "{zone}" }}'
    event = imported(tmp_path, when, day=pa.array([LOCAL], kind))
    assert event.occurred_at.isoformat() == f"2024-01-15T{hour}:00+00:00"


@pytest.mark.parametrize("nested", [False, True])
def test_a_local_time_without_a_zone_is_refused_like_a_text(tmp_path: Path, nested: bool) -> None:
    day = pa.array([LOCAL], pa.timestamp("us"))
    content = write(tmp_path / "made.parquet", day=pa.array([{"at": LOCAL}]) if nested else day).read_bytes()
    mapping = MAPPING.replace("{when}", '"day.at"' if nested else '"day"').replace("order_id", "channel", 0)
    trial = Trial(tmp_path, mapping, "orders.parquet", content)
    with pytest.raises(Exception, match="has no time zone; name it in the mapping: zone"):
        trial.run()


def test_timestamps_of_96_bits_cannot_say_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "old.parquet"
    table = pa.table({"day": pa.array([LOCAL], pa.timestamp("us", "UTC"))})
    parquet.write_table(table, path, use_deprecated_int96_timestamps=True)
    assert orjson.loads(next(lines(path)))["day"].startswith("2024-01-15T10:00:00")
    assert not orjson.loads(next(lines(path)))["day"].endswith("Z")


def test_values_of_every_type_are_those_of_the_file(tmp_path: Path) -> None:
    columns = {
        "moments": pa.array([[LOCAL]], pa.list_(pa.timestamp("ms"))),
        "a.point": pa.array([LOCAL], pa.timestamp("ms")),
        "inner": pa.array([{"at": LOCAL, "n": 1}]),
        "map": pa.array([[("k", LOCAL)]], pa.map_(pa.string(), pa.timestamp("ms"))),
        "time": pa.array([dt.time(10, 1)], pa.time64("us")),
        "date": pa.array([dt.date(2024, 2, 3)]),
        "nothing": pa.array([None], pa.null()),
        "none": pa.array([None], pa.timestamp("ms")),
        "large": pa.array([2**63 + 1], pa.uint64()),
        "half": pa.array([0.5]),
        "decimal": pa.array([Decimal("0.10")], pa.decimal128(10, 2)),
    }
    found = orjson.loads(next(lines(write(tmp_path / "made.parquet", **columns))))
    assert {name: found[name] for name in columns} == {
        "moments": ["2024-01-15T10:00:00.000"],
        "a.point": "2024-01-15T10:00:00.000",
        "inner": {"at": "2024-01-15T10:00:00.000000", "n": 1},
        "map": {"k": "2024-01-15T10:00:00.000"},
        "time": "10:01:00.000000",
        "date": "2024-02-03",
        "nothing": None,
        "none": None,
        "large": 2**63 + 1,
        "half": 0.5,
        "decimal": "0.1",
    }
    assert found["day"] == "2024-01-15T10:00:00.000000Z"


TEXTS = {
    "whole numbers": (pa.array([7], pa.int64()), "7"),
    "small numbers": (pa.array([7], pa.int8()), "7"),
    "fractions": (pa.array([1.5]), "1.5"),
    "true and false": (pa.array([True]), "true"),
    "decimals": (pa.array([Decimal("1.5")], pa.decimal128(5, 1)), "1.5"),
    "dates": (pa.array([dt.date(2024, 2, 3)]), "2024-02-03"),
    "a dictionary": (pa.array(["x"]).dictionary_encode(), "x"),
}


@pytest.mark.parametrize(("column", "text"), TEXTS.values(), ids=TEXTS)
def test_a_text_of_any_type_is_its_text(tmp_path: Path, column: Any, text: str) -> None:
    event = imported(tmp_path, kind=column, who=column)
    assert [line.category for line in event.lines] == [text]
    assert event.customer_id == text


def test_true_and_false_may_be_numbers(tmp_path: Path) -> None:
    assert imported(tmp_path, gift=pa.array([1], pa.int64())).incentivised


NAMES = ("orders{2024}", "orders?", "*", "[ab]", "{1..3}", "zip :: x", "ü 'q' \\\\ %")


@pytest.mark.parametrize("name", [f"{name}.parquet" for name in NAMES])
def test_a_name_is_a_name_and_no_pattern(tmp_path: Path, name: str) -> None:
    for neighbour in ("orders1.parquet", "orders2024.parquet", "a.parquet", "1.parquet"):
        write(tmp_path / neighbour, who=["neighbour"])
    path = write(tmp_path / name, who=["mine"])
    assert [orjson.loads(line)["who"] for line in lines(path)] == ["mine"]
