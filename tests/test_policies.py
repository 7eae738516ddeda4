"""The file with the risk's coefficients: read strictly, or not at all."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.risk import PRIORS
from pipeline.errors import Refused
from pipeline.policies import as_data, read_policy


def written(path: Path, **changes: Any) -> str:
    content = as_data(PRIORS) | changes
    file = path / "policy.json"
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))
    return str(file)


def test_without_a_file_the_priors_hold() -> None:
    assert read_policy("") is PRIORS


def test_a_policy_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_policy(written(tmp_path, version="fit-1", transfer=0.4)) == replace(
        PRIORS, version="fit-1", transfer=0.4
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"transfer": ...}, "lacks transfer"),
        ({"colour": 1.0}, "does not know colour"),
        ({"transfer": "much"}, "transfer is no number"),
        ({"transfer": True}, "transfer is no number"),
        ({"version": ...}, "names no version"),
        ({"transfer": float("nan")}, "cannot be read"),
        ({"raise_at": 0.1}, "thresholds must rise"),
        ({"fade_days": 0}, "fade_days"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        read_policy(written(tmp_path, **changes))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_policy(str(tmp_path / "none.json"))
