"""The effect of acting on alerts, measured against the customers that were held out.

A customer counts once, with their first alert of an experiment and its arm. They left when they bought nothing
voluntarily in the days after it. Customers for whom that many days are not over at the moment of the answer are not
counted.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.analysis import answer_moments
from pipeline.config import Settings
from pipeline.core.answer_moment import AnswerMoment
from pipeline.core.measures.effect import Arm, Effect, effect
from pipeline.errors import NotFound
from pipeline.warehouse.client import connect

_ARMS = """
SELECT arm, count() AS customers, countIf(bought = 0) AS gone
FROM (
    SELECT a.arm AS arm, a.customer_id AS customer_id, a.first_at AS first_at,
        countIf(p.occurred_at > a.first_at AND p.occurred_at <= a.first_at + toIntervalDay({days:UInt32})) AS bought
    FROM (
        SELECT customer_id, argMin(held_out, (raised_at, alert_id)) AS arm, min(raised_at) AS first_at
        FROM alerts WHERE NOT backfill AND experiment = {experiment:String} GROUP BY customer_id
    ) AS a
    LEFT JOIN (SELECT customer_id, occurred_at FROM purchases WHERE NOT obligated AND refund_of = '') AS p
        ON p.customer_id = a.customer_id
    GROUP BY arm, customer_id, first_at
)
WHERE first_at + toIntervalDay({days:UInt32})
    <= least({at:DateTime64(3, 'UTC')}, (SELECT max(occurred_at) FROM purchases))
GROUP BY arm
"""


_NEWEST = """
SELECT argMax(experiment, (raised_at, alert_id)) FROM alerts
WHERE NOT backfill AND raised_at <= {at:DateTime64(3, 'UTC')}
"""


class HoldoutEffect(NamedTuple):
    """The effect of acting, within how many days a customer had to come back, and by which experiment's draw.

    Without the name of an experiment the arms were drawn from the ids of alerts.
    """

    moment: AnswerMoment
    days: int
    found: Effect
    experiment: str = ""

    def as_data(self) -> dict[str, Any]:
        """For a program."""
        found = {"days": self.days, "experiment": self.experiment, **asdict(self.found), "verdict": self.found.verdict}
        return answer_moments.as_data(self.moment) | found


def measure(settings: Settings, days: int, at: datetime | None = None, experiment: str | None = None) -> HoldoutEffect:
    """Compare the customers the desk was to act for with those that an experiment held out.

    Without its name it is the experiment of the newest alert.

    Raises
    ------
    NotFound
        No alert is old enough.
    Refused
        One of the arms is empty.
    """
    warehouse = connect(settings)
    moment = answer_moments.moment_of_answer(warehouse, at)
    asked = {"days": days, "at": answer_moments.in_sql(moment.at)}
    name = str(warehouse.value(_NEWEST, asked)) if experiment is None else experiment
    rows = warehouse.query(_ARMS, asked | {"experiment": name}).rows
    arms = {bool(held): Arm(int(n), int(gone)) for held, n, gone in rows}
    if not arms:
        of = f" of experiment {name}" if name else ""
        raise NotFound(f"no alert{of} was {days} days older than the newest purchase by then; try fewer: --days")
    return HoldoutEffect(moment, days, effect(arms.get(False, Arm(0, 0)), arms.get(True, Arm(0, 0))), name)
