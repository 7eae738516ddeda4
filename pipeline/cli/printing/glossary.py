"""Prints definitions."""

from collections.abc import Sequence

from pipeline.cli.printing import output
from pipeline.core.definition import Definition


def show(terms: Sequence[Definition]) -> None:
    """The definitions for a person."""
    for definition in terms:
        unit = f"{definition.unit}, " if definition.unit else ""
        output.say(f"{definition.name} ({unit}version {definition.version})")
        output.say(f"    {definition.meaning}")
        if definition.source:
            output.say(f"    Source: {definition.source}.")
