"""What a commit says besides its offset."""

import pytest

from pipeline.kafka.commit_metadata import note_of, opened, read_note, sealed


@pytest.mark.parametrize(("settled", "until"), [(0, None), (12, None), (12, 0), (10**15, 99)])
def test_a_note_is_read_as_it_was_written(settled: int, until: int | None) -> None:
    assert read_note(opened(sealed(note_of(settled, until)))) == (settled, until)
    assert read_note(opened(note_of(settled, until))) == (settled, until), "as older workers wrote it"


@pytest.mark.parametrize("foreign", ["", "told:", "told:-1", "told:1 until:", "intent:7", "told:" + "9" * 40])
def test_what_is_no_note_says_that_nothing_is_settled(foreign: str) -> None:
    assert read_note(foreign) == (0, None)
