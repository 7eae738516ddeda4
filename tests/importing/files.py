"""Files and mappings for tests of the import."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipeline.importing import mapping
from pipeline.importing.checking import Checked, check
from pipeline.importing.events import Made, Maker
from pipeline.importing.identity import Repeats
from pipeline.importing.plan import Plan
from pipeline.importing.rows import File
from pipeline.importing.sending import events
from pipeline.local.parquet import lines

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SHOP = """
kind = "purchase"
[file]
delimiter = ";"
[event_id]
column = "no"
prefix = "shop-"
[fields]
customer_id = "who"
order_id = "no"
occurred_at = { column = "day", format = "%d.%m.%Y %H:%M", zone = "Europe/Berlin" }
amount = { column = "paid", decimal = "," }
currency = { constant = "EUR" }
channel = { column = "via", values = { Telefon = "phone" }, otherwise = "other" }
"""
HEADING = "no;who;day;paid;via\n"
ROW = "1;c-1;05.03.2020 09:30;1.234,50;Telefon\n"


class Trial:
    """A file and a mapping, read as an import reads them."""

    def __init__(self, directory: Path, mapping_: str, name: str, content: bytes) -> None:
        self.path, self.mapping = directory / name, directory / "mapping.toml"
        self.path.write_bytes(content)
        self.mapping.write_text(mapping_)
        self.rejects = directory / f"{name}.rejects.jsonl"

    def run(self, *, backfill: bool = True) -> tuple[Checked, list[Made]]:
        """Both passes; what the second makes is what would be sent."""
        plan = mapping.read(self.mapping)
        file, repeats = File(self.path, plan.file, plan.columns, lines), Repeats(self.path.stat().st_size)
        maker = Maker(plan, NOW, backfill=backfill)
        checked = check(file, plan, maker, repeats, self.rejects, lambda _: None)
        return checked, [made for _, made in self._events(file, plan, maker, repeats)]

    def numbers(self) -> list[int]:
        """The numbers of its events, by which an import goes on."""
        plan = mapping.read(self.mapping)
        file, maker = File(self.path, plan.file, plan.columns, lines), Maker(plan, NOW, backfill=True)
        return [number for number, _ in self._events(file, plan, maker, Repeats(self.path.stat().st_size))]

    def _events(self, file: File, plan: Plan, maker: Maker, repeats: Repeats) -> Iterator[tuple[int, Made]]:
        return events(file, plan, maker, repeats)


def shop(directory: Path, rows: str, mapping_: str = SHOP, heading: str = HEADING) -> Trial:
    """A CSV file as a shop exports it."""
    return Trial(directory, mapping_, "orders.csv", (heading + rows).encode())
