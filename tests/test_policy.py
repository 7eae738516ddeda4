"""The policy file: what is written is what is read, and nothing senseless is read."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.core.risk.holdout import Experiment
from pipeline.core.risk.terms import TERMS
from pipeline.errors import Refused
from pipeline.policy import COEFFICIENTS, SETTINGS, policy_of, read_policy, version_of, write_policy

NUMBERS = {name: number / 7 for number, name in enumerate(COEFFICIENTS)}
POLICY = replace(PRIORS.with_coefficients(**NUMBERS), version="learned-2026-01-01-abcdef01", raise_at=0.4)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    write_policy(tmp_path / "p.json", POLICY, {"contacts": 1})
    found = read_policy(tmp_path / "p.json")
    assert found == POLICY
    assert found.coefficients == POLICY.coefficients
    assert json.loads((tmp_path / "p.json").read_text())["learned_from"] == {"contacts": 1}


def test_every_number_of_a_policy_is_in_the_file() -> None:
    fields = {"version", "intercept", "coefficients", "holdout", "experiments"} | set(SETTINGS)
    assert fields == set(RiskPolicy.__dataclass_fields__)
    assert list(PRIORS.named()) == list(COEFFICIENTS)


def test_the_settings_name_the_policy_and_the_share_that_is_held_out(tmp_path: Path) -> None:
    write_policy(tmp_path / "p.json", POLICY, {})
    assert policy_of(Settings()) == PRIORS
    named = Settings().with_changes(risk_policy=str(tmp_path / "p.json"), holdout_percent=10)
    assert policy_of(named) == replace(POLICY, holdout=0.1)


def test_the_settings_name_the_experiments() -> None:
    """A day means its beginning in UTC: an experiment begins with it."""
    named = Settings().with_changes(holdout_experiments="spring@2026-03-01=10, autumn@2026-10-01T08:00:00+02:00=20")
    assert policy_of(named).experiments == (
        Experiment("spring", 1_772_323_200_000, 0.1), Experiment("autumn", 1_790_834_400_000, 0.2)
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["spring", "spring@2026-03-01", "spring@soon=10", "@2026-03-01=10", "spring@2026-03-01=101", "a@2026-02-30=1",
     "a@2026-03-02=10,b@2026-03-01=10", "a@2026-03-01=10,a@2026-04-01=10", "a@2026-03-01=10,b@2026-03-01=10"],
)  # fmt: skip
def test_experiments_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="LOYALTY_HOLDOUT_EXPERIMENTS makes no sense"):
        policy_of(Settings().with_changes(holdout_experiments=text))


def test_a_version_follows_from_the_numbers_and_the_end_of_the_history() -> None:
    names = dict.fromkeys(COEFFICIENTS, 1.0)
    assert version_of(names, "2026-01-01") == version_of(dict(reversed(names.items())), "2026-01-01")
    assert version_of(names, "2026-01-01") != version_of(names | {"contact": 1.1}, "2026-01-01")
    assert version_of(names, "2026-01-01") != version_of(names, "2026-01-02")
    assert version_of(names, "2026-01-01").startswith("learned-2026-01-01-")


def without(part: str, name: str) -> Callable[[dict[str, Any]], None]:
    def change(file: dict[str, Any]) -> None:
        del file[part][name]

    return change


def having(part: str, name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(file: dict[str, Any]) -> None:
        file[part][name] = value

    return change


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a coefficient is missing": (without("coefficients", TERMS[0]), f"{TERMS[0]} is missing"),
    "the intercept is missing": (without("coefficients", "intercept"), "intercept is missing"),
    "a threshold is missing": (without("settings", "raise_at"), "raise_at is missing"),
    "an unknown coefficient": (having("coefficients", "moon", 1.0), "moon is unknown"),
    "an unknown setting": (having("settings", "moon", 1.0), "moon is unknown"),
    "a text for a number": (having("coefficients", TERMS[0], "much"), "no risk policy"),
    "nothing for a number": (having("coefficients", TERMS[0], None), "no risk policy"),
    "a coefficient beyond reason": (having("coefficients", TERMS[0], 51.0), "larger than 50"),
    "a coefficient far below reason": (having("coefficients", TERMS[0], -1e300), "larger than 50"),
    "raise below clear": (having("settings", "raise_at", 0.2), "thresholds must rise"),
    "a threshold of one": (having("settings", "critical_at", 1.0), "thresholds must rise"),
    "a threshold of nothing": (having("settings", "clear_at", 0.0), "thresholds must rise"),
    "another kind of file": (lambda file: file.update(kind="recipe"), "no risk policy"),
    "a later format": (lambda file: file.update(format=2), "no risk policy"),
    "an empty version": (lambda file: file.update(version=""), "version is empty"),
    "a field that is not planned": (lambda file: file.update(more=1), "no risk policy"),
}


@pytest.mark.parametrize(("change", "said"), BROKEN.values(), ids=BROKEN)
def test_a_policy_that_makes_no_sense_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    path = tmp_path / "p.json"
    write_policy(path, PRIORS, {})
    file = json.loads(path.read_text())
    change(file)
    path.write_text(json.dumps(file))
    with pytest.raises(Refused, match=said):
        read_policy(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"coefficients": {"contact": NaN}}', b"null"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "p.json").write_bytes(text)
    with pytest.raises(Refused, match="is no risk policy"):
        read_policy(tmp_path / "p.json")


def test_a_number_too_large_for_a_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    write_policy(path, PRIORS, {})
    path.write_text(path.read_text().replace('"contact": 0.3', '"contact": 1e999'))
    with pytest.raises(Refused):
        read_policy(path)


def test_a_file_that_is_not_there_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot read"):
        read_policy(tmp_path / "none.json")
    with pytest.raises(Refused, match="cannot write"):
        write_policy(tmp_path / "none" / "p.json", PRIORS, {})
