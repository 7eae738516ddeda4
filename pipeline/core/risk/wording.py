"""Advice and sentences of the risk's terms that are more than a fixed text."""

from typing import Final, NamedTuple


class RecommendedAction(NamedTuple):
    """What the desk is advised to do; of several the most urgent counts."""

    rank: int
    """1 is the most urgent."""
    advice: str


CALL_TODAY: Final = RecommendedAction(
    1, "Call today: ask what would have to change, and solve that before talking about the contract."
)
SOLVE: Final = RecommendedAction(
    2, "Take it over and solve it in one go; tell them when. The history below is all you need to ask."
)
CALL_BACK: Final = RecommendedAction(3, "Call back: say what was changed, ask whether it now works. No discount.")
CHECK: Final = RecommendedAction(4, "Check that the solution holds; write one line to the customer.")
"""When no term of the risk calls for more."""


def repeat_purchases(value: float) -> str:
    """Nothing for a customer who bought on one day only."""
    if value <= 0:
        return ""
    return "One earlier repeat purchase." if value == 1 else f"{int(value)} earlier repeat purchases."


def transfers(value: float) -> str:
    """How often the customer was passed on."""
    count = int(value)
    return f"They were passed on {({1: 'once', 2: 'twice'}).get(count, f'{count} times')}."


def waiting(value: float) -> str:
    """Minutes, from five on."""
    return f"They waited {round(value * 10)} minutes{' or more' if value >= 6 else ''}." if value >= 0.5 else ""
