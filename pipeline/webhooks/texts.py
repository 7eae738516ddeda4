"""What receivers read, by language; made from the message's contributions, which have none."""

from pipeline.core.risk.messages import ChurnAlert, Contribution
from pipeline.webhooks.endpoints import Language


def sentence(contribution: Contribution, language: Language) -> str:
    """A term of the risk in plain words; empty when it says nothing."""
    raise NotImplementedError


def reasons(alert: ChurnAlert, language: Language) -> list[str]:
    """Why, the weightiest first."""
    raise NotImplementedError


def recommendation(alert: ChurnAlert, language: Language) -> str:
    """What to do next."""
    raise NotImplementedError


def title(alert: ChurnAlert, language: Language) -> str:
    """One line: what is new, about whom, and how bad."""
    raise NotImplementedError


def percent(share: float, language: Language) -> str:
    """A share of 0 to 1 as the language writes it: ``72.1%``, ``72,1 %``."""
    raise NotImplementedError
