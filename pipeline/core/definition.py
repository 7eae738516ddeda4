"""Definitions of the product's terms: each has one meaning, with a version, for commands, schemas and dashboards.

A module that defines a term lists it in a tuple named ``DEFINITIONS``. When a meaning
changes, its version goes up and the old one stays in the changelog, so that a figure can be compared with last year's.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """A term: its name as it is written in columns and output, the version of its meaning, and the meaning in words."""

    name: str
    version: int
    meaning: str
    unit: str = ""
    source: str = ""
    """Where a formula or a figure was published; empty for what is our own."""
