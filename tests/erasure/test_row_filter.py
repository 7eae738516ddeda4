"""Rows of erased customers are not written, what others say of them is left out, by the names of columns alone."""

import pytest

from pipeline.core.state.customer import Customer, decode_named, encode_named
from pipeline.core.state.profile import BindingState, ConsentState, MembershipState, ReferralState, Stated
from pipeline.core.state.suppression import digest_of
from pipeline.erasure.row_filter import Forgetting, Row

GONE = 'the "erased" {[one]}'
COLUMNS = {
    "new_table": {"n": "UInt8", "customer_id": "String"},
    "purchases": {"customer_id": "String", "referred_by": "String", "raw": "String"},
    "states": {"customer_id": "String", "state": "String"},
    "letters": {"key": "String", "value": "String"},
    "plain": {"n": "UInt8"},
}
RAW = b'{"customer_id":"a", "referred_by" : "the \\u0022erased\\" {[one]}","note":"x"}'


@pytest.mark.parametrize(
    ("table", "row", "kept"),
    [
        ("new_table", (1, GONE), None),
        ("new_table", (1, "other"), (1, "other")),
        ("plain", (1,), (1,)),
        ("letters", (GONE.encode(), b""), None),
        ("letters", (b"other", b'{"customer_id":"the \\"erased\\" {[one]}"'), None),
        ("letters", (b"other", b"\xff"), (b"other", b"\xff")),
        ("purchases", ("a", GONE, b""), ("a", "", b"")),
        ("purchases", ("a", GONE, RAW), ("a", "", b'{"customer_id":"a", "referred_by" : "","note":"x"}')),
        ("purchases", ("a", "other", RAW), ("a", "other", b"")),
        ("purchases", (GONE, "other", b""), None),
        ("states", (GONE, b"{}"), None),
        ("states", ("a", b"{}"), ("a", b"{}")),
    ],
)
def test_a_row_is_kept_without_what_names_an_erased_customer(table: str, row: Row, kept: Row | None) -> None:
    assert Forgetting(COLUMNS, {digest_of(GONE.encode())}).kept(table, row) == kept
    assert Forgetting(COLUMNS, frozenset()).kept(table, row) is row


def test_a_state_is_kept_without_the_referrer_whatever_stands_before_it() -> None:
    stated = Stated(
        bindings={"contractual": BindingState(1, 'e,"{}[]', None, 5)},
        consent=ConsentState(2, 'c"]', "granted"),
        membership=MembershipState(3, "m", True),
        member_purchases=2,
        referred_by=ReferralState(-4, 'r\\"', GONE),
        deliveries_late=1,
    )
    customer = Customer(customer_id="a", stated=stated)
    kept = Forgetting(COLUMNS, {digest_of(GONE.encode())}).kept("states", ("a", encode_named(customer)))
    assert kept is not None
    stated.referred_by = None
    assert decode_named(str(kept[1], "utf-8") if isinstance(kept[1], bytes) else "") == customer
