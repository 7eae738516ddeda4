"""Warnings about a file whose mapping is probably wrong; they are printed with the result and change nothing."""

import re
import unicodedata
from collections import Counter, defaultdict
from typing import Any, Final, get_args

from pipeline.core.contract.currencies import Currency
from pipeline.importing.delimited import Row
from pipeline.importing.plan import Plan
from pipeline.importing.units import has

CURRENCIES: Final = frozenset(get_args(Currency))
LOOKED_AT: Final = 1_000
"""Rows in which a column is looked at that no field comes from."""
MOST_CUSTOMERS: Final = 200_000
"""Customers whose spellings are compared; those that come later are not looked at."""
NOBODY: Final = frozenset({
    "null", "(null)", "<null>", "\\n", "none", "nil", "nan", "<na>", "nat", "n/a", "na", "#n/a", "undefined", "unknown",
    "unbekannt", "guest", "gast", "anonymous", "anonym", "-", "--", "?", ".", "-1", "false", "[object object]",
})  # fmt: skip
"""What systems write where no customer is known; all of them together would become one very loyal customer."""
_ZERO = re.compile(r"[0.]*0[0.]*|0{8}(-0{4}){3}-0{12}", re.ASCII)
_SHORTENED = re.compile(r"\d(\.\d+)?e\+\d+", re.ASCII)
_FLOATING = re.compile(r"\d+\.0", re.ASCII)


class ColumnsSeen:
    """Looks at what the mapping leaves out, and at what it names and the file has not."""

    def __init__(self, plan: Plan) -> None:
        self._wanted = set(plan.columns)
        constant = plan.fields.get("currency")
        self._constant = constant.constant if constant is not None else None
        self._mapped = set(plan.columns)
        self._seen: defaultdict[str, set[Any]] = defaultdict(set)
        self._rows = 0

    def see(self, row: Row) -> None:
        """One more row."""
        if self._wanted and not row.problem:
            self._wanted = {column for column in self._wanted if not has(row.values, column)}
        self._rows += 1
        if self._constant is not None and self._rows <= LOOKED_AT:
            for column, value in row.values.items():
                if column not in self._mapped and isinstance(value, str) and len(self._seen[column]) <= len(CURRENCIES):
                    self._seen[column].add(value.strip().upper())

    def never(self) -> list[str]:
        """ColumnsSeen that the mapping names and no row had."""
        return sorted(self._wanted)

    def warnings(self) -> list[str]:
        """Warnings about columns that look like currencies although the mapping names a constant one."""
        return [
            f"every amount is taken as {self._constant}, but the column {column} looks like currencies "
            f"({', '.join(sorted(values)[:5])}); write currency = {column!r} if it is"
            for column, values in self._seen.items()
            if values - {""} and values - {""} <= CURRENCIES and values - {""} != {self._constant}
        ]


class CustomerSpellings:
    """Looks at the ids of customers: placeholders, whole numbers written as floats, one id in several spellings."""

    def __init__(self) -> None:
        self._nobody: Counter[str] = Counter()
        self._floating = self._shortened = 0
        self._spellings: dict[int, int] = {}
        self._alike: dict[int, int] = {}
        """Ids that are written in several ways, and the first row that writes one in another way."""

    def see(self, customer_id: str, row: int) -> None:
        """The customer of one more event."""
        folded = customer_id.strip().casefold()
        if folded in NOBODY or _ZERO.fullmatch(folded):
            self._nobody[customer_id] += 1
        elif _FLOATING.fullmatch(folded):
            self._floating += 1
        elif _SHORTENED.fullmatch(folded):
            self._shortened += 1
        form, spelling = hash(_without_form(customer_id)), hash(customer_id)
        known = self._spellings.get(form)
        if known is None and len(self._spellings) < MOST_CUSTOMERS:
            self._spellings[form] = spelling
        elif known is not None and known != spelling:
            self._alike.setdefault(form, row)

    def warnings(self) -> list[str]:
        """What was noticed, in words; ids of real people are not quoted."""
        said = [
            f"{count} events are of the customer {name!r}, which looks like nobody: they would become one loyal "
            "customer; leave them out with [[leave_out]] if they are guests"
            for name, count in self._nobody.most_common(5)
        ]
        if self._floating:
            said.append(
                f"{self._floating} customer ids end in .0, as whole numbers do that were kept as floats, and 17850.0 "
                "is not the customer 17850; write customer_id = { column = ..., whole = true } if they are"
            )
        if self._shortened:
            said.append(
                f"{self._shortened} customer ids were shortened by a spreadsheet, as 1.03E+13, and several customers "
                "may have become one; export the file again and do not save it in a spreadsheet"
            )
        if self._alike:
            said.append(
                f"{len(self._alike)} customer ids are written in more than one way (capital letters, blanks, or "
                f"Unicode normalisation), first in row {min(self._alike.values())}, and are customers of their own; "
                'write case = "lower", or make them one where the file comes from'
            )
        return said


def _without_form(customer_id: str) -> str:
    """An id without what may differ between two spellings of it."""
    if customer_id.isascii():
        return "".join(customer_id.split()).casefold()
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", customer_id).casefold())
    return "".join(letter for letter in plain if not letter.isspace() and unicodedata.category(letter) != "Cf")
