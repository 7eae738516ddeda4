"""Finds the definition of a term by its name."""

from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from pipeline.core.definition import Definition
from pipeline.core.glossary.registry import definitions
from pipeline.errors import NotFound


def look_up(term: str | None) -> list[Definition]:
    """The definition of a term, written with spaces, hyphens or underscores; without a term, all definitions.

    Raises
    ------
    NotFound
        There is no such term; the message names the nearest.
    """
    known = {_plain(name): definition for name, definition in definitions().items()}
    if term is None:
        return list(known.values())
    if _plain(term) in known:
        return [known[_plain(term)]]
    near = [known[name].name for name in get_close_matches(_plain(term), known, n=3)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`loyalty glossary` lists all terms"
    raise NotFound(f"no term {term!r}; {hint}")


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").replace(",", "").strip()


def as_data(terms: Sequence[Definition]) -> list[dict[str, Any]]:
    """The definitions for a program."""
    return [asdict(definition) for definition in terms]
