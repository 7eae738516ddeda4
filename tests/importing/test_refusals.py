"""What cannot be meant is refused in one line with the remedy, and nothing is left behind."""

from pathlib import Path

import pytest

from pipeline import resources
from pipeline.errors import Refused
from pipeline.importing import mapping
from pipeline.importing.mapping import EXAMPLES, KINDS
from tests.importing.files import HEADING, ROW, SHOP, Trial, shop

MAPPINGS = {
    "no TOML": ("kind = ", "is no TOML"),
    "an unknown kind": (SHOP.replace('"purchase"', '"order"'), "kind is missing or unknown"),
    "a field that is none": (SHOP.replace("amount", "amout"), "no field 'amout'"),
    "a required field left out": (SHOP.replace('customer_id = "who"\n', ""), "needs customer_id"),
    "no identity": (SHOP.replace('column = "no"\n', "", 1), "[event_id] must say"),
    "a zone that is none": (SHOP.replace("Europe/Berlin", "Europe/Bärlin"), "no time zone"),
    "a local time without a zone": (SHOP.replace(', zone = "Europe/Berlin"', ""), "name it: zone"),
    "a table that means nothing": (SHOP + "[feilds]\n", "'feilds' means nothing"),
    "an option that means nothing": (SHOP.replace("decimal", "komma"), "'komma' means nothing"),
    "a column and a constant": (SHOP.replace('{ constant = "EUR" }', '{ constant = "EUR", column = "x" }'), "only one"),
    "a wrong type": (SHOP.replace('delimiter = ";"', "delimiter = 1"), "[file] cannot be meant"),
    "our own field": (SHOP + 'backfill = "x"\n', "no field 'backfill'"),
}


@pytest.mark.parametrize(("written", "said"), MAPPINGS.values(), ids=MAPPINGS)
def test_a_mapping_that_cannot_be_meant(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(written)
    with pytest.raises(Refused) as refused:
        mapping.read(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [*KINDS, *EXAMPLES])
def test_every_example_mapping_can_be_meant(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(mapping.example(name))
    kind = mapping.read(path).kind
    assert kind == name or name in EXAMPLES
    shipped = {entry.name for entry in resources.data("mappings").iterdir()}
    assert shipped == {f"{name}.toml" for name in (*KINDS, *EXAMPLES)}


FILES = {
    "nothing at all": (b"", "is empty"),
    "a heading only": (HEADING.encode(), "no rows"),
    "columns missing": (b"no;who;day;via\n1;c;05.03.2020 09:30;x\n", "has no column paid; it has no, who, day, via"),
    "another delimiter": ((HEADING + ROW).replace(";", "|").encode(), "what separates them"),
    "cut off in a row": ((HEADING + ROW + "2;c-1;05.0").encode(), "is cut off"),
    "cut off in a quoted cell": ((HEADING + ROW + '2;c-1;"05.03').encode(), "is cut off"),
    "not UTF-8": ((HEADING + ROW.replace("c-1", "Bär") * 3).encode("latin-1"), 'encoding = "windows-1252"'),
    "not UTF-8 at its end": ((HEADING + ROW * 9000).encode() + b"2;\xe4;05.03.2020 09:30;1,00;x\n", "windows-1252"),
    "two columns of one name": (b"no;who;day;paid;no\n", "two columns called 'no'"),
    "nothing that fits": ((HEADING + ROW.replace("1.234,50", "x") * 2).encode(), "not one of 2 rows fits"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "is not written in utf-8"),
}


@pytest.mark.parametrize(("content", "said"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes, said: str) -> None:
    trial = Trial(tmp_path, SHOP, "orders.csv", content)
    with pytest.raises(Refused) as refused:
        trial.run()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mapping.toml", "orders.csv"]


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    content = (HEADING + ROW.replace("c-1", "Bär")).encode("latin-1")
    named = SHOP.replace("[file]\n", '[file]\nencoding = "windows-1252"\n')
    assert Trial(tmp_path, named, "orders.csv", content).run()[1][0].event.customer_id == "Bär"


JSON_LINES = {
    "cut off": (b'{"no": "1"}\n{"no": "2"', "is cut off"),
    "not UTF-8": (b'{"no": "\xe4"}\n', "windows-1252"),
    "columns that no row has": (b'{"no": "1"}\n', "no row of the file has day, paid, via, who"),
}


@pytest.mark.parametrize(("content", "said"), JSON_LINES.values(), ids=JSON_LINES)
def test_json_lines_that_cannot_be_used(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(Refused) as refused:
        Trial(tmp_path, SHOP, "orders.jsonl", content).run()
    assert said in str(refused.value)


def test_a_file_is_called_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"name it after what it is"):
        Trial(tmp_path, SHOP, "orders.xlsx", b"PK").run()


def test_a_file_without_names_of_columns_is_given_them(tmp_path: Path) -> None:
    named = SHOP.replace("[file]\n", '[file]\ncolumns = ["no", "who", "day", "paid", "via"]\n')
    assert shop(tmp_path, ROW, named, "").run()[0].good == 1
