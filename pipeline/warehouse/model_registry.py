"""The registry of model versions: for every version that a row names, the warehouse holds its parameters.

Rules
-----
- A version is recorded once. The same name with other numbers is refused: what mentions it would be ambiguous.
- The newest of a kind is current. The priors are on record by themselves, from 1970 on, so that any other supersedes
  them.
- The identity of a version is its kind, its name and the hash of its numbers: recording it twice leaves one row.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import structlog

from pipeline.config import Settings
from pipeline.core.forecast import learned
from pipeline.core.loyalty import loyalty_policy
from pipeline.core.risk.assessment import PRIORS, RiskPolicy
from pipeline.errors import LoyaltyError, NotFound, Refused
from pipeline.policy import KIND, decode_policy, file_of
from pipeline.warehouse.client import Warehouse

Kind = Literal["purchase_model", "risk_policy", "norms"]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_FILE = 1_000_000
MOMENT = "DateTime64(3, 'UTC')"
_COLUMNS = {
    "kind": "LowCardinality(String)",
    "version": "String",
    "content_hash": "FixedString(64)",
    "parameters": "String",
    "origin": "String",
    "recorded_at": MOMENT,
    "current_from": MOMENT,
}
_ordered = msgspec.json.Encoder(order="sorted")


class Parameters(NamedTuple):
    """One version: its numbers and where they came from, each as JSON with sorted keys."""

    kind: Kind
    version: str
    numbers: str
    origin: str

    @property
    def content_hash(self) -> str:
        """SHA-256 of the numbers."""
        return hashlib.sha256(self.numbers.encode()).hexdigest()


def of_purchases(fit: learned.LearnedPurchases) -> Parameters:
    """What ``loyalty fit purchases`` learned."""
    file = msgspec.to_builtins(fit)
    numbers = {fit["model"]: fit["parameters"] for fit in file.pop("purchases")}
    spend = file.pop("spend")
    if spend is not None:
        numbers["gamma_gamma"] = spend["parameters"] | {"currency": spend["currency"]}
    return _parameters("purchase_model", fit.version, numbers, file)


def of_policy(policy: RiskPolicy, learned_from: Mapping[str, Any]) -> Parameters:
    """A risk policy; the share of alerts that is held out is a setting, and no part of it."""
    file = file_of(policy, learned_from)
    return _parameters(
        "risk_policy", policy.version, {"coefficients": file.coefficients, "settings": file.settings}, file.learned_from
    )


def priors() -> list[Parameters]:
    """What is used until something else is recorded."""
    learned_from = {"priors": "assumed; signs and order follow the literature"}
    figures = asdict(loyalty_policy.PRIORS)
    return [of_policy(PRIORS, learned_from), _parameters("norms", figures.pop("version"), figures, learned_from)]


def _parameters(kind: Kind, version: str, numbers: Any, origin: Any) -> Parameters:
    return Parameters(kind, version, _ordered.encode(numbers).decode(), _ordered.encode(origin).decode())


def read_file(path: Path) -> Parameters:
    """A parameter file, checked by the reader that the product itself uses for its kind.

    Raises
    ------
    Refused
        It cannot be read, is no such file, or makes no sense; the message says what to do.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as failed:
        raise Refused(f"cannot read {path}: {failed.strerror}") from None
    try:
        head = msgspec.json.decode(content, type=dict[str, Any]) if len(content) <= LARGEST_FILE else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        head = {}
    if head.get("kind") == KIND:
        return of_policy(*decode_policy(content, str(path)))
    if "purchases" in head:
        return of_purchases(learned.decode(content))
    raise Refused(
        f"{path} holds no parameters; they are written by: loyalty fit purchases --out FOLDER (parameters.json), "
        "loyalty fit risk --policy FILE"
    )


def record(warehouse: Warehouse, parameters: Parameters, now: datetime, *, supersede: bool = True) -> bool:
    """Put a version on record and make it current; without ``supersede`` one that is known stays as it is.

    Returns whether it was unknown.

    Raises
    ------
    Refused
        The version is on record with other numbers.
    """
    known = warehouse.query(
        "SELECT toString(content_hash), toString(recorded_at) FROM parameter_versions FINAL "
        "WHERE kind = {kind:String} AND version = {version:String}",
        {"kind": parameters.kind, "version": parameters.version},
    ).rows
    if known and known[0][0] != parameters.content_hash:
        raise Refused(
            f"{parameters.kind} {parameters.version} is on record with other numbers: "
            "what mentions it would be ambiguous; "
            "give the file's version another name"
        )
    if known and not supersede:
        return False
    first = datetime.fromisoformat(known[0][1]).replace(tzinfo=UTC) if known else now
    _insert(warehouse, parameters, first, now)
    return not known


def record_priors(warehouse: Warehouse, now: datetime) -> None:
    """Put the priors of this program on record, current from 1970 on."""
    rows = warehouse.query("SELECT kind, version, toString(content_hash) FROM parameter_versions FINAL").rows
    known = {tuple(row) for row in rows}
    for parameters in priors():
        if (parameters.kind, parameters.version, parameters.content_hash) not in known:
            _insert(warehouse, parameters, now, LONG_AGO)


def _insert(warehouse: Warehouse, parameters: Parameters, recorded_at: datetime, current_from: datetime) -> None:
    row = (
        parameters.kind,
        parameters.version,
        parameters.content_hash,
        parameters.numbers,
        parameters.origin,
        recorded_at,
        current_from,
    )
    token = f"parameters|{parameters.kind}|{parameters.version}|{parameters.content_hash}|{current_from.isoformat()}"
    warehouse.insert("parameter_versions", _COLUMNS, [row], token)


def record_configured(warehouse: Warehouse, settings: Settings, now: datetime) -> None:
    """Put on record what the settings name, when this is new.

    It never stops a sink: a file that cannot be used is the worker's to refuse, and rows can be written without it.
    """
    try:
        record_priors(warehouse, now)
        for name in filter(None, (settings.risk_policy, settings.purchase_model)):
            record(warehouse, read_file(Path(name).expanduser()), now, supersede=False)
    except LoyaltyError as failed:
        structlog.get_logger().warning("parameters are not on record", error=str(failed))


def policy(warehouse: Warehouse, version: str | None) -> RiskPolicy:
    """The risk policy on record under a version; without one the current.

    Raises
    ------
    NotFound
        There is none.
    """
    rows = warehouse.query(
        "SELECT version, parameters FROM parameters WHERE kind = 'risk_policy' AND "
        "if({version:String} = '', current, version = {version:String})",
        {"version": version or ""},
    ).rows
    if not rows:
        raise NotFound(
            f"no risk policy {version!r} is on record; `loyalty warehouse parameters` lists those that are, "
            "and records a file"
        )
    name, numbers = rows[0]
    file = msgspec.json.decode(numbers, type=dict[str, Any]) | {
        "kind": KIND, "format": 1, "version": name, "learned_from": {},
    }  # fmt: skip
    return decode_policy(msgspec.json.encode(file), f"on record as {name}")[0]


UNRECORDED = """
    SELECT rule_version, count() AS alerts FROM alert_states FINAL
    WHERE rule_version NOT IN (SELECT version FROM parameter_versions WHERE kind = 'risk_policy')
    GROUP BY rule_version ORDER BY rule_version
"""
"""Versions that alerts mention and nobody put on record."""
