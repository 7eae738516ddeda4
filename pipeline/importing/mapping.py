"""How the columns of a firm's file become the fields of events: a TOML file, checked before any row is read.

Rules
-----
- Nothing is guessed: every column is named, a local time names its zone, a decimal comma is said.
- What cannot be meant is refused in one line with the remedy, before anything else happens.
"""

import hashlib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import msgspec

from pipeline import resources
from pipeline.core.contract.decode import Kind
from pipeline.errors import Refused
from pipeline.importing import meaning
from pipeline.importing.plan import Condition, FileForm, Identity, Order, Plan, Refund, Source

T = TypeVar("T")
KINDS: tuple[Kind, ...] = get_args(Kind)
EXAMPLES = ("shopify_orders", "zendesk_tickets")
"""Mappings for exports of widely used systems; there is one for each kind of event as well."""


def example(name: str) -> str:
    """A commented mapping to start from.

    Raises
    ------
    Refused
        There is no such kind of event, and no such system.
    """
    names = (*KINDS, *EXAMPLES)
    if name not in names:
        raise Refused(f"no example is called {name!r}; it is one of {', '.join(names)}")
    return resources.data("mappings", f"{name}.toml").read_text(encoding="utf-8")


def read(path: Path) -> Plan:
    """The mapping in a file.

    Raises
    ------
    Refused
        It cannot be read, or cannot be meant; the message says what to write instead.
    """
    try:
        data = path.read_bytes()
        return _plan(tomllib.loads(data.decode("utf-8-sig")), hashlib.sha256(data).hexdigest())
    except OSError as failed:
        raise Refused(f"cannot read the mapping {path}: {failed.strerror}") from None
    except UnicodeDecodeError:
        raise Refused(f"the mapping {path} is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as broken:
        raise Refused(
            f"the mapping {path} is no TOML: {broken}; `loyalty import --example-mapping` shows one"
        ) from None
    except Refused as refused:
        raise Refused(f"the mapping {path}: {refused}") from None


TABLES = ("kind", "file", "event_id", "fields", "leave_out", "order", "refund")


def _plan(said: dict[str, Any], digest: str) -> Plan:
    _known(said, TABLES, "")
    kind = said.get("kind")
    if kind not in KINDS:
        raise Refused(f'kind is missing or unknown; write kind = "purchase", or another of {", ".join(KINDS)}')
    plan = Plan(
        kind=cast(Kind, kind),
        fields={name: _source(name, value) for name, value in _table(said, "fields").items()},
        identity=_made(Identity, _identified(_table(said, "event_id")), "[event_id]"),
        file=_made(FileForm, _table(said, "file"), "[file]"),
        digest=digest,
        leave_out=_conditions(said.get("leave_out", [])),
        order=_made(Order, _table(said, "order"), "[order]") if "order" in said else None,
        refund=_refund(_table(said, "refund")) if "refund" in said else None,
    )
    meaning.check(plan)
    return plan


def _table(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = said.get(name, {})
    if not isinstance(found, dict):
        raise Refused(f"{name} must be a table: [{name}]")
    return found


def _known(said: Mapping[str, Any], names: Collection[str], where: str) -> None:
    unknown = [name for name in said if name not in names]
    if unknown:
        raise Refused(f"{where} {unknown[0]!r} means nothing; it may hold {', '.join(names)}".strip())


def _made(kind: type[T], said: Mapping[str, Any], where: str) -> T:
    """A table as one of the classes above, each value of the type its field has."""
    _known(said, [f.name for f in fields(kind)], where)  # type: ignore[arg-type]
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as broken:
        raise Refused(f"{where} cannot be meant: {broken}") from None


def _identified(said: dict[str, Any]) -> dict[str, Any]:
    """``columns = "all"`` is the whole row."""
    if ("column" in said) == ("columns" in said):
        raise Refused(
            '[event_id] must say what makes a row an event of its own: column = "the column of its id", or '
            'columns = ["customer", "date", ...], or columns = "all"'
        )
    return {name: value for name, value in said.items() if (name, value) != ("columns", "all")}


def _source(name: str, value: Any) -> Source:
    if isinstance(value, str):
        return Source(column=value)
    if not isinstance(value, dict):
        raise Refused(f'{name} must name a column: {name} = "Column", or {name} = {{ constant = ... }}')
    return _made(Source, value, f"field {name}:")


def _conditions(said: Any) -> tuple[Condition, ...]:
    if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
        raise Refused('leave_out must be a list of tables: [[leave_out]] and below it column = "Status"')
    return tuple(_made(Condition, each, "[[leave_out]]") for each in said)


def _refund(said: dict[str, Any]) -> Refund:
    _known(said, ("amount", "occurred_at"), "[refund]")
    if "amount" not in said:
        raise Refused('[refund] must say what was paid back: amount = "Column"')
    return Refund(**{name: _source(f"refund.{name}", value) for name, value in said.items()})
