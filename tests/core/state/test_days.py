"""Days as a bitmap, against a set of days."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.state.days import with_day


@settings(deadline=None)
@given(st.lists(st.integers(0, 40_000) | st.integers(20_000, 20_040), min_size=1, max_size=40))
def test_a_bitmap_holds_the_days_that_were_added_in_any_order_and_no_others(days: list[int]) -> None:
    start, bitmap = 0, b""
    for day in days:
        start, bitmap = with_day(start, bitmap, day)
    assert start == min(days)
    bits = int.from_bytes(bitmap, "little")
    assert {start + n for n in range(bits.bit_length()) if bits >> n & 1} == set(days)
    assert bitmap[-1], "the same days are always the same bytes"
