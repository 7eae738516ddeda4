"""The glossary: the definitions of all modules that have any, under unique names."""

from pipeline.core import (
    asked,
    attachment,
    buying,
    consent,
    effect,
    effort,
    holdout,
    judging,
    loyalty,
    promises,
    purchasing,
    regulars,
    rhythm,
    risk,
    satisfaction,
    shift,
    spending,
    surveys,
)
from pipeline.core.glossary import Definition

SOURCES: tuple[tuple[Definition, ...], ...] = (
    rhythm.DEFINITIONS,
    regulars.DEFINITIONS,
    buying.DEFINITIONS,
    attachment.DEFINITIONS,
    promises.DEFINITIONS,
    satisfaction.DEFINITIONS,
    consent.DEFINITIONS,
    loyalty.DEFINITIONS,
    purchasing.DEFINITIONS,
    spending.DEFINITIONS,
    risk.DEFINITIONS,
    surveys.DEFINITIONS,
    effort.DEFINITIONS,
    shift.DEFINITIONS,
    holdout.DEFINITIONS,
    effect.DEFINITIONS,
    judging.DEFINITIONS,
    asked.DEFINITIONS,
)
"""In the order in which the glossary shows them."""


def definitions() -> dict[str, Definition]:
    """Every term by its name.

    Raises
    ------
    ValueError
        Two modules define the same term.
    """
    found: dict[str, Definition] = {}
    for definition in (definition for source in SOURCES for definition in source):
        if definition.name in found:
            raise ValueError(f"{definition.name!r} is defined twice")
        found[definition.name] = definition
    return found
