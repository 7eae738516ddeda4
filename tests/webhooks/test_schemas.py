"""The topics of the notifier hold what their schemas say."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from pipeline import resources
from pipeline.webhooks.outbox import Attempt
from pipeline.webhooks.pending import PendingRecord

SCHEMAS = Path(str(resources.schemas()))
STRUCTS: dict[str, type[msgspec.Struct]] = {"webhook_attempt": Attempt, "webhook_pending": PendingRecord}


def example(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SCHEMAS / f"examples/{name}/valid/full.json").read_text())
    return content


def is_valid(name: str, content: object) -> bool:
    schema = json.loads((SCHEMAS / f"events/{name}.v1.json").read_text())
    return bool(jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(content))


@pytest.mark.parametrize("name", STRUCTS)
def test_the_example_is_valid_and_comes_back_from_its_struct_as_it_was(name: str) -> None:
    content = example(name)
    assert is_valid(name, content)
    again = json.loads(msgspec.json.encode(msgspec.json.decode(json.dumps(content), type=STRUCTS[name])))
    assert is_valid(name, again)
    assert again.keys() >= content.keys()


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in STRUCTS for field in ("endpoint", "message_id", "sequence")]
)
def test_schema_and_struct_refuse_the_same(name: str, field: str) -> None:
    wrong = example(name) | {field: []}
    assert not is_valid(name, wrong)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(wrong), type=STRUCTS[name])
