"""What a look at an issue begins with, rests on and comes to.

Made for every look, so they are structs: those are made in a fifth of the time a named tuple takes. They have a module
of their own because mypyc, which compiles those that use them, would drop ``frozen`` and ``gc``.
"""

from msgspec import Struct

from pipeline.core.state.customer import Contact


class ChangedIssues(Struct, frozen=True, gc=False):
    """Issues that can have changed (``None``: all), and the moment from which on, later than all that was known."""

    issues: frozenset[str] | None = None
    since: int | None = None


class RiskInputs(Struct, frozen=True):
    """What the risk because of one issue rests on, gathered once for all the moments at which it is asked."""

    contacts: list[Contact]
    """The contacts about the issue, oldest first."""
    occasions: int
    """Bitmap of the days with a voluntary purchase, from ``first_day`` on."""
    first_day: int
    detractor: list[tuple[int, float]]
    """When a recommendation score was given, and whether it was a detractor's; newest first."""
    effort: list[tuple[int, float, str]]
    """When an effort score about one of the contacts was given, the effort in 0..1, and the contact; newest first."""
    elsewhere: list[tuple[str, int]]
    """Other issues with when a complaint about them was opened, oldest first."""
    bound_from: int = 0
    bound_until: int = 0
    """From when to when a contract holds the customer, milliseconds: until its notice date, which releases them."""


class RiskAssessment(Struct, frozen=True, gc=False):
    """The churn risk of a customer because of one issue at one moment, in 0..1, before and after the contact."""

    at: int
    before: float
    after: float
    values: tuple[float, ...]
    """The plain number of each of :data:`~pipeline.core.risk.assessment.TERMS`."""
    weight: float
    """What time leaves of the terms about the issue, 0..1."""
