"""Which alerts are held out: nobody acts on them, so that the effect of acting can be measured.

The arm of an alert is a function of its id and of nothing else, so a replay, another worker and the analyst who
evaluates later all find the same one. Another ``salt`` draws the arms anew.
"""

from hashlib import blake2b

from pipeline.core.definition import Definition

DEFINITIONS = (
    Definition(
        "held_out",
        1,
        "Nobody acts on this alert, by a draw made from its id: what happens to these customers is what would have "
        "happened to the others without the desk.",
    ),
)


def held_out(alert_id: str, share: float, salt: str = "") -> bool:
    """Whether an alert belongs to the ``share`` (0..1) that nobody acts on.

    Raises
    ------
    ValueError
        ``share`` is no number from 0 to 1.
    """
    if not 0 <= share <= 1:  # NaN is not, either
        raise ValueError(f"the share of alerts that are held out is a number from 0 to 1, not {share}")
    return share > 0 and fraction(alert_id, salt) < share


def fraction(alert_id: str, salt: str = "") -> float:
    """A number in [0, 1) that stands for an alert: evenly distributed over alerts, always the same for one."""
    digest = blake2b(f"{len(salt)}|{salt}|{alert_id}".encode(), digest_size=8, person=b"holdout").digest()
    return (int.from_bytes(digest, "big") >> 11) * 2**-53
