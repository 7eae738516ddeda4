"""Histories to learn from: the papers' sample, and synthetic customers whose parameters are known."""

import random
from collections.abc import Iterator

from pipeline.analysis import purchase_sources
from pipeline.config import Settings
from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.fitting.bought import Bought
from pipeline.fitting.history import Split, log_of, split


def sample() -> Split:
    """The papers' 1/10 sample of CDNOW, cut after 39 of its 78 weeks as in the papers."""
    return split(log_of(purchase_sources.rows("cdnow-sample", Settings)), weeks=39)


def synthetic(model: PurchaseModel, customers: int, weeks: int, seed: int) -> Iterator[Bought]:
    """Customers who come in the first 12 weeks, buy and leave as the model says, at moments rounded to days."""
    chance = random.Random(seed)
    for number in range(customers):
        rate, gone = chance.gammavariate(model.r, 1 / model.alpha), chance.betavariate(model.a, model.b)
        at = chance.uniform(0, 12)
        leaves = model.leaving is Leaving.AFTER_ANY_PURCHASE and chance.random() < gone
        while at < weeks:
            yield Bought(f"c{number}", int(at * 7), round(chance.gammavariate(6, 50_000)), "EUR")
            if leaves:
                break
            at += chance.expovariate(rate) if rate > 0 else weeks
            leaves = chance.random() < gone
