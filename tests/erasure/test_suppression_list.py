"""What stands in the list of erased customers, and what a receipt says of whom."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from pipeline.cli import cli
from pipeline.core.state.suppression import digest_of
from pipeline.erasure.erased_customers import check_id, receipt_id_of
from pipeline.erasure.export import check_free, write
from pipeline.erasure.reasons import ErasureReason
from pipeline.erasure.suppression_list import Suppression, suppression_in
from pipeline.erasure.topic_scan import _until
from pipeline.errors import Refused
from pipeline.topics import PURCHASES, STATES
from tests.conftest import ROOT

SCHEMA = json.loads((ROOT / "schemas/events/suppression.v1.json").read_text())


def test_the_schema_of_an_entry_is_that_of_an_entry() -> None:
    assert list(SCHEMA["properties"]) == list(Suppression.__struct_fields__) == SCHEMA["required"]
    assert SCHEMA["properties"]["reason"]["enum"] == [why.value for why in ErasureReason]


def test_an_entry_is_read_as_it_was_written_and_an_unreadable_one_is_no_reason_to_stop() -> None:
    said = Suppression(datetime(2026, 1, 2, tzinfo=UTC), ErasureReason.LEGAL_ORDER, receipt_id_of("c-1"))
    assert suppression_in(msgspec.json.encode(said)) == said
    assert [suppression_in(value) for value in (None, b"", b"{}", b"\xff")] == [None] * 4


def test_a_receipt_is_told_by_its_customer_and_is_not_the_lists_key() -> None:
    assert receipt_id_of("c-1") == receipt_id_of("c-1") != receipt_id_of("c-2")
    assert receipt_id_of("c-1") not in digest_of(b"c-1").hex()


@pytest.mark.parametrize("name", ["", "a" * 201, "a\nb", "\x7f"])
def test_what_can_be_nobodys_id_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(Refused, match="nobody's id") as refused:
        check_id(name)
    assert name not in str(refused.value) or not name


def test_how_long_a_topic_keeps_a_record_follows_from_its_settings() -> None:
    day = 86_400_000
    held = {"retention.ms": str(365 * day), "segment.ms": str(7 * day)}
    assert _until(PURCHASES, 0, held) == datetime(1971, 1, 8, tzinfo=UTC)
    assert _until(PURCHASES, 0, held | {"retention.ms": "-1"}) is None
    cleaned = {"max.compaction.lag.ms": str(day), "delete.retention.ms": str(day)}
    assert _until(STATES, 0, cleaned) == datetime(1970, 1, 3, tzinfo=UTC)
    assert _until(STATES, 0, cleaned | {"max.compaction.lag.ms": str(2**63 - 1)}) is None


def test_an_export_is_for_its_owner_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    out = tmp_path / "customer.json"
    check_free(out)
    write(out, {"a": 1})
    assert (out.stat().st_mode & 0o777, json.loads(out.read_bytes())) == (0o600, {"a": 1})
    with pytest.raises(Refused, match="exists"):
        check_free(out)
    for place, why in ((out, "exists"), (tmp_path / "no" / "x", "cannot be written")):
        with pytest.raises(Refused, match=why):
            write(place, {})
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Refused, match="exists"):
        check_free(tmp_path / "link")


@pytest.mark.parametrize(
    "arguments",
    [
        ["erase", "c-1"],
        ["erase", "c-1", "--reason", "because he asked"],
        ["erase", "c-1", "--reason", "test-data", "--json"],
    ],
    ids=["no reason", "free text", "nobody to ask"],
)
def test_an_erasure_that_is_not_well_asked_for_is_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, arguments).exit_code == 2
