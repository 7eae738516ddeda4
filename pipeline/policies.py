"""The file with the risk's coefficients: what ``loyalty fit risk`` writes and a worker reads when it starts."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import msgspec

from pipeline.core.risk import PRIORS, RiskPolicy
from pipeline.errors import Refused

NUMBERS = frozenset(f.name for f in fields(RiskPolicy) if f.init and f.name not in ("version", "holdout"))
"""What a policy file holds; the share that is held out is a setting."""


def read_policy(path: str) -> RiskPolicy:
    """The policy in a file; the priors when ``path`` is empty.

    Raises
    ------
    Refused
        The file cannot be read, names something a policy does not have, leaves something out, or makes no sense.
    """
    if not path:
        return PRIORS
    try:
        content = msgspec.json.decode(Path(path).expanduser().read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as broken:
        raise Refused(f"the risk policy {path} cannot be read: {broken}") from None
    given = content.get("policy", content)
    if not isinstance(given, dict) or not isinstance(given.get("version"), str):
        raise Refused(f"the risk policy {path} names no version")
    numbers = {name: value for name, value in given.items() if name != "version"}
    for problem, names in (("lacks", NUMBERS - numbers.keys()), ("does not know", numbers.keys() - NUMBERS)):
        if names:
            raise Refused(f"the risk policy {path} {problem} {sorted(names)[0]}")
    wrong = sorted(n for n, value in numbers.items() if isinstance(value, bool) or not isinstance(value, int | float))
    if wrong:
        raise Refused(f"the risk policy {path}: {wrong[0]} is no number")
    try:
        return RiskPolicy(version=given["version"], **{name: float(value) for name, value in numbers.items()})
    except ValueError as senseless:
        raise Refused(f"the risk policy {path}: {senseless}") from None


def as_data(policy: RiskPolicy) -> dict[str, Any]:
    """A policy as it is written to a file."""
    return {name: value for name, value in asdict(policy).items() if name not in ("coefficients", "holdout")}
