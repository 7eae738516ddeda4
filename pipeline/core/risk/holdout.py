"""Who is held out: nobody acts for these customers, so that the effect of acting can be measured.

An *experiment* has a name, a start and a share. It draws for every alert that is raised from its start until the next
experiment's, from a hash of its name and the customer: each customer is in one arm, whatever alerts they have. Alerts
that were raised before the first experiment are drawn one by one from their ids, as earlier versions did, so a customer
can have some in either arm.

Rules
-----
- The arm is a function of ids, of the moment the alert was raised in event time, and of the experiments. A replay,
  another worker and the analyst who evaluates later all find the same one.
- So what was drawn keeps its arm: alerts raised before an experiment began are not its own, also where a message about
  them is sent during it. For that, experiments that are over stay in the list.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from pipeline.core.definition import Definition

DEFINITIONS = (
    Definition(
        "held_out",
        2,
        "Nobody acts for this customer, by a draw made from their id and the name of the experiment: what happens to "
        "these customers is what would have happened to the others without the desk. Alerts raised before the first "
        "experiment were drawn from their own ids.",
    ),
)


class Experiment(NamedTuple):
    """A hold-out by customer: its name, since when alerts that are raised belong to it (ms), and the share held out."""

    name: str
    since: int
    share: float


class Draw(NamedTuple):
    """What was drawn for an alert, and by which experiment (empty: from the alert's id)."""

    held_out: bool
    experiment: str


def arm_of(
    alert_id: str, customer_id: str, raised_at: int, share: float, experiments: Sequence[Experiment] = ()
) -> Draw:
    """The arm of an alert; ``share`` is that of alerts which no experiment draws for."""
    for experiment in reversed(experiments):
        if experiment.since <= raised_at:
            return Draw(held_out(customer_id, experiment.share, experiment.name), experiment.name)
    return Draw(held_out(alert_id, share), "")


def check_order(experiments: Sequence[Experiment]) -> None:
    """Check that experiments can draw.

    Raises
    ------
    ValueError
        One has no name, a name is given twice, a share is none, or they do not begin one after the other.
    """
    names = [experiment.name for experiment in experiments]
    if not all(names) or len(set(names)) < len(names):
        raise ValueError("every experiment needs a name of its own")
    for experiment in experiments:
        if not 0 <= experiment.share <= 1:
            raise ValueError(f"the share that {experiment.name} holds out must be 0 to 1")
    if any(later.since <= earlier.since for earlier, later in pairwise(experiments)):
        raise ValueError("experiments must be in the order of their starts, each at a moment of its own")


def held_out(identity: str, share: float, salt: str = "") -> bool:
    """Whether an id belongs to the ``share`` (0..1) for which nobody acts.

    Raises
    ------
    ValueError
        ``share`` is no number from 0 to 1.
    """
    if not 0 <= share <= 1:  # NaN is not, either
        raise ValueError(f"the share that is held out is a number from 0 to 1, not {share}")
    return share > 0 and fraction(identity, salt) < share


def fraction(identity: str, salt: str = "") -> float:
    """A number in [0, 1) that stands for an id: evenly distributed, always the same, independent for another salt."""
    digest = blake2b(f"{len(salt)}|{salt}|{identity}".encode(), digest_size=8, person=b"holdout").digest()
    return (int.from_bytes(digest, "big") >> 11) * 2**-53
