"""How the columns of a firm's file become the fields of events: a TOML file, checked before any row is read.

Rules
-----
- Nothing is guessed: every column is named, a local time names its zone, a decimal comma is said.
- What cannot be meant is refused in one line with the remedy, before anything else happens.
"""

import hashlib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from pipeline import resources
from pipeline.core.decode import EVENTS, Kind
from pipeline.errors import Refused

T = TypeVar("T")
KINDS: tuple[Kind, ...] = get_args(Kind)
OURS = ("event_id", "backfill")
"""Fields that a mapping does not fill: one has a table of its own, the other is what an import means."""
LINE = ("category", "quantity")
"""Columns that together are the one line of a purchase."""
EPOCHS = {"unix": 1, "unix_ms": 1_000}
"""Formats of a moment that is a number: how many of it are a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a field comes from: a column, or a constant; and how its text is to be read."""

    column: str | None = None
    constant: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    otherwise: Any = None
    format: str | None = None
    zone: str | None = None
    decimal: str = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes two rows the same event: an id of the firm's own, or what stands in named columns (none: in all)."""

    column: str | None = None
    columns: tuple[str, ...] | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """How a text file is written."""

    delimiter: str = ","
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    """The names of the columns, where the first line does not say them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A mapping that makes sense."""

    kind: Kind
    fields: Mapping[str, Source]
    identity: Identity
    file: FileForm
    digest: str
    """SHA-256 of the mapping file."""

    @property
    def columns(self) -> list[str]:
        """Every column it needs, each once."""
        named = [source.column for source in self.fields.values()]
        wanted = [*named, self.identity.column, *(self.identity.columns or ())]
        return list(dict.fromkeys(name for name in wanted if name is not None))


def example(kind: str) -> str:
    """A commented mapping to start from.

    Raises
    ------
    Refused
        There is no such kind of event.
    """
    if kind not in KINDS:
        raise Refused(f"no kind of event is called {kind!r}; it is one of {', '.join(KINDS)}")
    return resources.data("mappings", f"{kind}.toml").read_text()


def read(path: Path) -> Plan:
    """The mapping in a file.

    Raises
    ------
    Refused
        It cannot be read, or cannot be meant; the message says what to write instead.
    """
    try:
        data = path.read_bytes()
        return _plan(tomllib.loads(data.decode()), hashlib.sha256(data).hexdigest())
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


def _plan(said: dict[str, Any], digest: str) -> Plan:
    _known(said, ("kind", "file", "event_id", "fields"), "")
    kind = said.get("kind")
    if kind not in KINDS:
        raise Refused(f'kind is missing or unknown; write kind = "purchase", or another of {", ".join(KINDS)}')
    form = _made(FileForm, _table(said, "file"), "[file]")
    identity = _made(Identity, _identified(_table(said, "event_id")), "[event_id]")
    sources = {name: _source(name, value) for name, value in _table(said, "fields").items()}
    plan = Plan(kind=cast(Kind, kind), fields=sources, identity=identity, file=form, digest=digest)
    _check_fields(plan)
    for name, source in sources.items():
        _check_source(name, source)
    if len(form.delimiter) != 1:
        raise Refused('[file] delimiter must be one character, such as delimiter = ";"')
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


def _check_fields(plan: Plan) -> None:
    declared = {f.name: f for f in msgspec.structs.fields(EVENTS[plan.kind])}
    allowed = [name for name in declared if name not in OURS]
    allowed += LINE if plan.kind == "purchase" else ()
    for name in plan.fields:
        if name not in allowed:
            raise Refused(f"{plan.kind} has no field {name!r} to fill; it has {', '.join(allowed)}")
    missing = [n for n, f in declared.items() if f.required and n not in plan.fields and n not in OURS]
    if missing:
        raise Refused(f"{plan.kind} needs {', '.join(missing)}; name the column of each under [fields]")
    if "quantity" in plan.fields and "category" not in plan.fields:
        raise Refused("quantity needs category: what was bought so often")


def _check_source(name: str, source: Source) -> None:
    if (source.column is None) == (source.constant is None):
        raise Refused(f"field {name} needs a column or a constant, and only one of them")
    if source.decimal not in (".", ","):
        raise Refused(f'field {name}: decimal is "." or ","')
    if source.zone is not None:
        try:
            ZoneInfo(source.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Refused(
                f"field {name}: no time zone {source.zone!r} is known here; write one as Europe/Berlin"
            ) from None
    is_local = source.format is not None and "%z" not in source.format and source.format not in EPOCHS
    if is_local and source.zone is None:
        raise Refused(f'field {name}: {source.format} says no time zone; name it: zone = "Europe/Berlin", or "UTC"')
