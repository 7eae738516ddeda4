"""A moment as a person writes it means the same wherever it is written."""

import pytest

from pipeline.core.contract.moments import as_written


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-03-01", "2026-03-01T23:59:59.999000+00:00"),
        ("20260301", "2026-03-01T23:59:59.999000+00:00"),
        ("9999-12-31", "9999-12-31T23:59:59.999000+00:00"),
        ("2026-03-01T00:00:00", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T00", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01 12:00+02:00", "2026-03-01T10:00:00+00:00"),
    ],
)
def test_a_day_means_its_end_and_a_moment_itself(text: str, meant: str) -> None:
    assert as_written(text).isoformat() == meant


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "0001-01-01T00:00+14:00", "2026-03-01T25:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text differs from case to case
        as_written(text)
