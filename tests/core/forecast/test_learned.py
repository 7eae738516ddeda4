"""The parameter file is read strictly: what makes no sense is refused by its place, never repaired."""

import json
from datetime import date
from typing import Any

import pytest

from pipeline.core.forecast.learned import (
    ForecastByRepeats,
    HoldOut,
    LearnedPurchases,
    Money,
    PurchaseFit,
    Rates,
    SpendFit,
    decode,
    encode,
)
from pipeline.core.forecast.purchasing import Leaving, PurchaseModel
from pipeline.core.forecast.spending import SpendModel
from pipeline.errors import Refused


def fit(model: Leaving, *parameters: float) -> PurchaseFit:
    r, alpha, a, b = parameters
    rates = Rates(r=r, alpha=alpha, a=a, b=b)
    return PurchaseFit(model=model, parameters=rates, standard_errors=rates, log_likelihood=-9582.43, customers=2357)


LEARNED = LearnedPurchases(
    version="purchases-1997-09-30-0a1b2c3d",
    source="cdnow-sample",
    data_sha256="0a1b2c3d" * 8,
    calibration_from=date(1997, 1, 1),
    calibration_until=date(1997, 9, 30),
    customers=2357,
    repeat_buyers=946,
    purchases=(
        fit(Leaving.AFTER_REPEAT_PURCHASES, 0.243, 4.414, 0.793, 2.426),
        fit(Leaving.AFTER_ANY_PURCHASE, 0.525, 6.183, 0.891, 1.614),
    ),
    spend=SpendFit(
        currency="USD",
        parameters=Money(p=6.25, q=3.74, gamma=15.44),
        standard_errors=None,
        log_likelihood=-4055.92,
        customers=946,
        frequency_spend_correlation=0.114,
    ),
    hold_out=HoldOut(
        weeks=39.0,
        until=date(1998, 6, 30),
        buyers=684,
        occasions=1882,
        rows=[ForecastByRepeats(repeat_occasions="0", customers=1411, actual=0.24, bg_nbd=0.23, mbg_nbd=0.19)],
        auc={"recency": 0.771, "bg_nbd expected purchases": 0.773},
        auc_difference_95=(-0.007, 0.009),
        beats_baseline=True,
    ),
    forced=False,
)


def test_what_is_written_is_read_again() -> None:
    assert decode(encode(LEARNED)) == LEARNED
    found = decode(encode(LEARNED)).purchase_model(Leaving.AFTER_ANY_PURCHASE)
    assert found == PurchaseModel(leaving=Leaving.AFTER_ANY_PURCHASE, r=0.525, alpha=6.183, a=0.891, b=1.614)
    assert decode(encode(LEARNED)).spend_model() == SpendModel(p=6.25, q=3.74, gamma=15.44)


def test_a_file_without_spend_has_no_spend_model() -> None:
    content = json.loads(encode(LEARNED)) | {"spend": None}
    assert decode(json.dumps(content).encode()).spend_model() is None


BROKEN: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "another format": (("format",), 2, "format"),
    "no version": (("version",), "", "version"),
    "a negative parameter": (("purchases", 0, "parameters", "r"), -0.2, r"parameters\.r"),
    "a parameter of zero": (("purchases", 1, "parameters", "b"), 0, r"parameters\.b"),
    "a parameter beyond all sense": (("purchases", 0, "parameters", "alpha"), 1e12, "parameter alpha"),
    "a parameter that is a text": (("purchases", 0, "parameters", "a"), "0.8", r"parameters\.a"),
    "a parameter that is nothing": (("purchases", 0, "parameters", "a"), None, r"parameters\.a"),
    "the same model twice": (("purchases", 1, "model"), "bg_nbd", "must be bg_nbd, mbg_nbd"),
    "an unknown model": (("purchases", 1, "model"), "pareto", "model"),
    "q at 1": (("spend", "parameters", "q"), 1.0, "parameter q = 1.0"),
    "a digest that is none": (("data_sha256",), "abc", "data_sha256"),
    "an AUC above 1": (("hold_out", "auc", "recency"), 1.2, "auc"),
    "periods out of order": (("calibration_until",), "1999-01-01", "out of order"),
    "a day that does not exist": (("calibration_from",), "1997-02-30", "calibration_from"),
    "an unknown field": (("tuned_by",), "hand", "tuned_by"),
}


@pytest.mark.parametrize(("place", "value", "message"), BROKEN.values(), ids=BROKEN)
def test_what_makes_no_sense_is_refused_by_its_place(place: tuple[str | int, ...], value: Any, message: str) -> None:
    content = json.loads(encode(LEARNED))
    *path, last = place
    inside = content
    for step in path:
        inside = inside[step]
    inside[last] = value
    with pytest.raises(Refused, match=message):
        decode(json.dumps(content).encode())


@pytest.mark.parametrize("field", [name for name in LearnedPurchases.__struct_fields__ if name != "format"])
def test_a_missing_field_is_refused(field: str) -> None:
    content = json.loads(encode(LEARNED))
    del content[field]
    with pytest.raises(Refused, match=field):
        decode(json.dumps(content).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", encode(LEARNED).replace(b"0.243", b"NaN")])
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(Refused, match="cannot be used"):
        decode(content)
