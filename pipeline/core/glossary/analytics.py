"""Glossary terms of analysts' questions: the views of the warehouse are their formulas.

The RFM segments stand here as a table, because a segment is nothing but a name for a place in it.
"""

from pipeline.core.definition import Definition
from pipeline.core.loyalty.purchase_metrics import RFM

SEGMENTS = (
    ("gone quiet", "gone quiet", "slipping away", "slipping away", "must not be lost"),
    ("quiet", "quiet", "slipping away", "slipping away", "must not be lost"),
    ("fading", "fading", "need attention", "steady", "steady"),
    ("newcomers", "promising", "promising", "champions", "champions"),
    ("newcomers", "promising", "promising", "champions", "champions"),
)
"""Segments by the fifth of recency (rows, 1 to 5) and the mean fifth of frequency and monetary value (columns)."""


def _table() -> str:
    return "; ".join(f"recency {fifth}: {', '.join(row)}" for fifth, row in enumerate(SEGMENTS, start=1))


DEFINITIONS = (
    Definition("contacts_transferred", 1, "Share of contacts in which the customer was passed on.", "0 to 1"),
    Definition("cohort", 1, "Customers whose first voluntary purchase lies in the same month."),
    Definition(
        "repeat_rate",
        1,
        "Share of a cohort that bought voluntarily on a further day within a stated window after the first such day, "
        "among those for whom the window is over.",
        "0 to 1",
    ),
    Definition(
        "cross_sell_rate",
        1,
        "Share of the customers who started with a category that later bought in one that was new to them. A customer "
        "starts with the categories of the first purchase that says any.",
        "0 to 1",
    ),
    Definition(
        "rfm_quintile",
        1,
        "Place among all customers in fifths, 1 to 5, 5 the best: 1 + the whole part of 5 times the share of customers "
        "that are worse. Equal customers are in the same fifth. Money is compared within a currency, and of several "
        "the best fifth counts.",
        "1 to 5",
        RFM,
    ),
    Definition(
        "rfm_segment",
        1,
        "Name of a pair of fifths: recency, and the mean of frequency and monetary value, halves rounded up. For the "
        f"means 1 to 5: {_table()}.",
        "",
        "names of our own, after a common practice that nobody in particular published",
    ),
    Definition(
        "false_alarm_rate",
        1,
        "Share of the alerts a desk is done with that it called false alarms: the customer was never at risk. Settled "
        "before anybody acted, or handled by somebody else, is no false alarm.",
        "0 to 1",
    ),
    Definition(
        "calibration",
        1,
        "The mean churn risk of a class of risks beside the share that fell silent; a risk that is right on average "
        "lies within the interval of that share.",
    ),
)
