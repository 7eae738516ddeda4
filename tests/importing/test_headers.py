"""Headers under our own names, which anyone can write: what is not ours is passed over."""

import contextlib
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pipeline import kafka
from pipeline.importing.note import Note
from pipeline.importing.sending import row_of
from pipeline.records import Record
from pipeline.sink.rows import FOREIGN, RowPlace, by_topic
from pipeline.topics import IMPORT_HEADER
from pipeline.worker.reading import is_message

NOTE = Note(size=1, digest="d", mapping="m", cluster="k", topic="purchases", begun=datetime(2026, 6, 1, tzinfo=UTC))
HOSTILE: list[bytes | None] = [
    None, b"", b"/", b"\xff\xfe", b"x/1", b"%s", b"%s/", b"%s/-1", b"%s/1.5", b"%s/\xd9\xa1", b"%s/1/2",
    b"%s/" + b"9" * 5000,
]  # fmt: skip


class Foreign:
    """A message as the client hands it out, from somebody who knows our names."""

    def __init__(self, name: str, header: bytes | None, value: bytes | None = b"{}") -> None:
        self._headers, self._value = [(name, header)], value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self._headers

    def value(self) -> bytes | None:
        return self._value


def message(name: str, header: bytes | None, value: bytes | None = b"{}") -> Any:
    return cast(Any, Foreign(name, header, value))


@pytest.mark.parametrize("header", HOSTILE)
def test_a_header_of_an_import_that_is_none_names_no_row(header: bytes | None) -> None:
    said = header.replace(b"%s", NOTE.identity.encode()) if header is not None else None
    assert row_of(NOTE, kafka.header_of(message(IMPORT_HEADER, said), IMPORT_HEADER)) == 0


def test_our_own_header_names_its_row() -> None:
    own = message(IMPORT_HEADER, f"{NOTE.identity}/17".encode())
    assert row_of(NOTE, kafka.header_of(own, IMPORT_HEADER)) == 17
    assert kafka.header_of(own, "another") == b""


NO_MESSAGES = [None, b"", b"\xff", b'{"\xff":1}', b'{"x":' + b"[" * 100_000, b"null"]


@pytest.mark.parametrize("bytes_", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_what_is_no_message_to_the_desk_is_passed_over(bytes_: bytes | None) -> None:
    """In its header as in its value: every one of these was written by somebody else."""
    assert not is_message(message("__loyalty.applied", bytes_))
    assert not is_message(message("__loyalty.applied", b'{"purchases":1}', bytes_))


@pytest.mark.parametrize("topic", ["churn-alerts", "customer-states", "dead-letters", "suppressed"])
@pytest.mark.parametrize("value", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_what_is_no_record_of_ours_makes_no_row_and_stops_no_sink(topic: str, value: bytes | None) -> None:
    headers = [(f"__loyalty.errors.{name}", value) for name in ("topic", "partition", "offset", "reason")]
    record = Record(0, 0, b"\xff", value, cast(Any, headers))
    with contextlib.suppress(*FOREIGN):
        assert by_topic()[topic](RowPlace("t", 0, 4), record) == []
