"""What the fitted models expect of a customer, as ``loyalty customer`` shows it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.analysis.outlook import lines, outlook
from pipeline.config import Settings
from pipeline.core.contract.moments import milliseconds
from pipeline.core.forecast.learned import encode
from pipeline.core.loyalty.loyalty_state import loyalty
from pipeline.core.state.customer import DAY_MS, Customer, with_occasion
from pipeline.core.state.profile import BindingState, Stated
from pipeline.errors import Refused
from tests.core.forecast.test_learned import LEARNED

NOW = datetime(1997, 9, 30, tzinfo=UTC)
TODAY = milliseconds(NOW) // DAY_MS


def published() -> Customer:
    """The customer of Fader, Hardie & Lee 2005: two repeat purchases, the last after 30.43 of 38.86 weeks."""
    customer = Customer(customer_id="c", purchases=3, first_purchase_at=(TODAY - 272) * DAY_MS)
    for day in (272, 150, 272 - 213):
        with_occasion(customer, TODAY - day)
    customer.last_purchase_at = (TODAY - 59) * DAY_MS
    return customer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "parameters.json"
    file.write_bytes(encode(LEARNED))
    return Settings().with_changes(purchase_model=str(file))


def test_the_published_customer_is_expected_to_come_back_as_published(settings: Settings) -> None:
    """1.226 purchases in the next 39 weeks (page 279 of the paper)."""
    customer = published()
    found = outlook(settings, customer, NOW, loyalty(customer, milliseconds(NOW)))
    assert found is not None
    assert (found.weeks, round(found.expected_purchases, 3)) == (39.0, 1.226)
    assert found.p_alive is not None
    assert 0 < found.p_buy < found.p_alive < 1
    assert "on 1.2 days on average" in "".join(lines(found))


def test_silence_alone_changes_it(settings: Settings) -> None:
    customer = published()
    later = NOW + timedelta(days=300)
    now, then = (outlook(settings, customer, at, loyalty(customer, milliseconds(at))) for at in (NOW, later))
    assert now is not None
    assert then is not None
    assert then.p_buy < now.p_buy / 2


def test_who_is_bound_by_contract_is_no_such_customer(settings: Settings) -> None:
    customer = published()
    customer.stated = Stated(bindings={"contractual": BindingState(0, "e", None, None)})
    assert outlook(settings, customer, NOW, loyalty(customer, milliseconds(NOW))) is None


def test_without_parameters_or_purchases_nothing_is_expected(settings: Settings) -> None:
    customer = published()
    assert outlook(Settings(), customer, NOW, loyalty(customer, milliseconds(NOW))) is None
    assert outlook(settings, Customer(customer_id="p"), NOW, None) is None
    assert list(lines(None)) == []


def test_a_parameter_file_that_is_not_there_is_refused() -> None:
    settings = Settings().with_changes(purchase_model="/nowhere/parameters.json")
    with pytest.raises(Refused, match="cannot read the purchase parameters"):
        outlook(settings, published(), NOW, loyalty(published(), milliseconds(NOW)))
