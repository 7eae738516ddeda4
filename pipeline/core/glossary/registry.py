"""The glossary: the definitions of all modules that have any, under unique names."""

from pipeline.core import answer_moment
from pipeline.core.definition import Definition
from pipeline.core.forecast import purchasing, spending
from pipeline.core.glossary import analytics, model_metrics
from pipeline.core.loyalty import (
    attachment,
    consent,
    lifecycle,
    loyalty_state,
    promises,
    purchase_metrics,
    satisfaction,
    segments,
)
from pipeline.core.measures import effect, effort, shift, surveys
from pipeline.core.risk import assessment, holdout

SOURCES: tuple[tuple[Definition, ...], ...] = (
    answer_moment.DEFINITIONS,
    lifecycle.DEFINITIONS,
    segments.DEFINITIONS,
    purchase_metrics.DEFINITIONS,
    attachment.DEFINITIONS,
    promises.DEFINITIONS,
    satisfaction.DEFINITIONS,
    consent.DEFINITIONS,
    loyalty_state.DEFINITIONS,
    purchasing.DEFINITIONS,
    spending.DEFINITIONS,
    assessment.DEFINITIONS,
    surveys.DEFINITIONS,
    effort.DEFINITIONS,
    shift.DEFINITIONS,
    holdout.DEFINITIONS,
    effect.DEFINITIONS,
    model_metrics.DEFINITIONS,
    analytics.DEFINITIONS,
)
"""In the order in which the glossary shows them."""


def definitions() -> dict[str, Definition]:
    """Every term by its name.

    Raises
    ------
    ValueError
        Two modules define the same term.
    """
    by_name: dict[str, Definition] = {}
    for definition in (definition for source in SOURCES for definition in source):
        if definition.name in by_name:
            raise ValueError(f"{definition.name!r} is defined twice")
        by_name[definition.name] = definition
    return by_name
