"""What a mapping says, checked and typed: which column is which field, and how its values are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.core.contract.decode import Kind

Case = Literal["lower", "upper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a field comes from: a column, or a constant; and how its text is to be read."""

    column: str | None = None
    constant: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    """What its texts mean; ``""`` is an empty cell."""
    otherwise: Any = None
    case: Case | None = None
    """A text in small or in capital letters."""
    whole: bool = False
    """A text that is a number: 17850.0 is 17850."""
    format: str | None = None
    zone: str | None = None
    decimal: str = "."
    thousands: str | None = None
    """What may stand between thousands; where the decimal mark is a comma, a point may."""
    mark: str | None = None
    """What may stand before or after a number, such as €."""
    times: str | None = None
    """A column with a number, written like this one, that it is multiplied by."""
    factor: float | int | None = None
    """What it is multiplied by: 0.01 for cents, -1 for the other sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes two rows the same event: an id of the firm's own, or what stands in named columns (none: in all)."""

    column: str | None = None
    columns: tuple[str, ...] | None = None
    prefix: str = ""
    case: Case | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """How a text file is written."""

    delimiter: str = ","
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    """The names of the columns, where the first line does not say them."""
    escape: str | None = None
    """What stands before a quotation mark that is part of a cell; usually it is doubled instead."""
    footer: int = 0
    """How many rows at the end are none, such as a line of totals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which rows are left out: by what stands in a column, blanks around it not counted. One of these is said."""

    column: str
    equals: str | tuple[str, ...] | None = None
    differs_from: str | tuple[str, ...] | None = None
    starts_with: str | tuple[str, ...] | None = None
    empty: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Rows that lie together and say the same in a column are the lines of one purchase."""

    column: str
    amount: Literal["sum", "once"]
    """What was paid: all lines together, or what one of them, or each of them, says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """What was paid back, in the row of the purchase: an event of its own that refers to it."""

    amount: Source
    occurred_at: Source | None = None
    """When; left out, the file does not say it, and it is when the purchase was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A mapping that makes sense."""

    kind: Kind
    fields: Mapping[str, Source]
    identity: Identity
    file: FileForm
    digest: str
    """SHA-256 of the mapping file."""
    leave_out: tuple[Condition, ...] = ()
    order: Order | None = None
    refund: Refund | None = None

    @property
    def sources(self) -> dict[str, Source]:
        """Every source by the field it fills, those of the refund as ``refund.amount``."""
        if self.refund is None:
            return dict(self.fields)
        of_refund = {"refund.amount": self.refund.amount, "refund.occurred_at": self.refund.occurred_at}
        return dict(self.fields) | {name: source for name, source in of_refund.items() if source is not None}

    @property
    def columns(self) -> list[str]:
        """Every column it needs, each once."""
        sources = self.sources.values()
        named = [name for source in sources for name in (source.column, source.times)]
        wanted = [
            *named, self.identity.column, *(self.identity.columns or ()),
            *(condition.column for condition in self.leave_out), self.order.column if self.order is not None else None,
        ]  # fmt: skip
        return list(dict.fromkeys(name for name in wanted if name is not None))
