"""The risk policy file: written by the command that learned it, read by the worker that uses it.

One JSON object: what it is, a version that follows from its numbers, every coefficient, every other number of the
policy, and what it was learned from. It is read strictly: a number that is missing, unknown or senseless is refused
with its name, never replaced by a default.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from pipeline import files
from pipeline.config import Settings, variable
from pipeline.core.contract.moments import milliseconds
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.core.risk.holdout import Experiment
from pipeline.core.risk.terms import TERMS
from pipeline.errors import Refused

KIND, FORMAT = "loyalty-risk-policy", 1
COEFFICIENTS = ("intercept", *TERMS)
SETTINGS = tuple(
    f.name
    for f in fields(RiskPolicy)
    if f.name not in ("intercept", "holdout", "experiments") and isinstance(getattr(PRIORS, f.name), float)
)
"""The numbers of a policy that are not learned; who is held out is a setting of the worker."""
AGAIN = "learn it again with `loyalty fit risk`"
LARGEST = 50.0
"""No coefficient is larger: 50 logits are certainty beyond any history."""


class PolicyFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """A policy as it is written."""

    kind: Literal["loyalty-risk-policy"]
    format: Literal[1]
    version: str
    coefficients: dict[str, float]
    settings: dict[str, float]
    learned_from: dict[str, Any]


def version_of(coefficients: Mapping[str, float], until: str) -> str:
    """A version that names the end of the history and the numbers themselves."""
    numbers = msgspec.json.encode([round(coefficients[name], 9) for name in COEFFICIENTS])
    return f"learned-{until}-{blake2b(numbers, digest_size=4).hexdigest()}"


def write_policy(path: Path, policy: RiskPolicy, learned_from: Mapping[str, Any]) -> None:
    """Write a policy and what it was learned from.

    Raises
    ------
    Refused
        The file cannot be written.
    """
    try:
        content = msgspec.json.format(msgspec.json.encode(file_of(policy, learned_from)), indent=2) + b"\n"
        files.write_whole(path, content, files.SHARED)
    except OSError as failed:
        raise Refused(f"cannot write the policy to {path}: {failed.strerror}") from None


def file_of(policy: RiskPolicy, learned_from: Mapping[str, Any]) -> PolicyFile:
    """A policy as its file holds it."""
    return PolicyFile(
        kind="loyalty-risk-policy",
        format=1,
        version=policy.version,
        coefficients=policy.named(),
        settings={name: getattr(policy, name) for name in SETTINGS},
        learned_from=dict(learned_from),
    )


def read_policy(path: Path) -> RiskPolicy:
    """The policy in a file.

    Raises
    ------
    Refused
        It cannot be read, is no policy, or makes no sense; the message says which number is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as failed:
        raise Refused(f"cannot read the risk policy {path}: {failed.strerror}") from None
    return decode_policy(content, str(path))[0]


def decode_policy(content: bytes, place: str) -> tuple[RiskPolicy, dict[str, Any]]:
    """A policy, and what it was learned from, out of the bytes of its file; ``place`` names it in messages.

    Raises
    ------
    Refused
        It is no policy, or makes no sense; the message says which number is wrong.
    """
    try:
        file = msgspec.json.decode(content, type=PolicyFile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as broken:
        raise Refused(f"{place} is no risk policy: {broken}") from None
    wrong = _wrong(file)
    if wrong:
        raise Refused(f"the risk policy {place} makes no sense: {wrong}; {AGAIN}")
    settings: Any = file.settings
    try:
        policy = RiskPolicy(version=file.version, **settings).with_coefficients(**file.coefficients)
    except ValueError as senseless:
        raise Refused(f"the risk policy {place} makes no sense: {senseless}; {AGAIN}") from None
    return policy, file.learned_from


def policy_of(settings: Settings) -> RiskPolicy:
    """The policy that the settings name, with who is held out by them; without a file the priors.

    Raises
    ------
    Refused
        The file cannot be read, or makes no sense; or an experiment does not.
    """
    policy = read_policy(Path(settings.risk_policy).expanduser()) if settings.risk_policy else PRIORS
    try:
        experiments = tuple(map(_experiment, filter(None, settings.holdout_experiments.split(","))))
        return replace(policy, holdout=settings.holdout_percent / 100, experiments=experiments)
    except ValueError as senseless:
        raise Refused(f"{variable('holdout_experiments')} makes no sense: {senseless}") from None


_EXPERIMENT = re.compile(r"(?P<name>[\w.-]{1,40})@(?P<since>[^=]+)=(?P<percent>\d{1,3})", re.ASCII)


def _experiment(text: str) -> Experiment:
    """``spring@2026-03-01=10``: its name, since when (a day means its beginning, UTC), and how many percent."""
    written = _EXPERIMENT.fullmatch(text.strip())
    if written is None:
        raise ValueError(f"{text.strip()!r} is not NAME@START=PERCENT, such as spring@2026-03-01=10")
    since = datetime.fromisoformat(written["since"])
    aware = since if since.tzinfo else since.replace(tzinfo=UTC)
    return Experiment(written["name"], milliseconds(aware), int(written["percent"]) / 100)


def _names(named: Mapping[str, float], expected: tuple[str, ...]) -> str:
    missing, unknown = [n for n in expected if n not in named], [n for n in named if n not in expected]
    if missing:
        return f"{', '.join(missing)} is missing"
    return f"{', '.join(unknown)} is unknown to this program" if unknown else ""


def _wrong(file: PolicyFile) -> str:
    """What is wrong with a policy, or nothing."""
    if not 0 < len(file.version) <= 100:
        return "its version is empty or longer than 100 characters"
    names = _names(file.coefficients, COEFFICIENTS) or _names(file.settings, SETTINGS)
    if names:
        return names
    for name, value in file.coefficients.items():
        if abs(value) > LARGEST:
            return f"{name} is {value:g}, larger than {LARGEST:g} logits"
    return ""
