"""Which id of a topic counts, and how its records are told from those of the one before."""

import pytest

from pipeline.kafka.incarnations import SPAN, Incarnation, Incarnations, is_ours, key_of

FIRST, SECOND = Incarnation(0, "gz0lG2pGQv6daHGxBjrSYA"), Incarnation(1, "a+/_-bGQv6daHGxBjrSYA")


@pytest.mark.parametrize("one", [FIRST, SECOND, Incarnation(999_999, "A")])
def test_an_incarnation_that_was_written_is_read_again_whatever_its_id_is_made_of(one: Incarnation) -> None:
    known = Incarnations()
    assert is_ours(key_of("service-contacts", one))
    assert known.note(key_of("service-contacts", one))
    assert known.newest("service-contacts") == one


@pytest.mark.parametrize(
    "key", [None, b"", b"a" * 64, b"topic/surveys/x/id", b"topic/surveys/0/", b"topic/surveys/0/\n"]
)
def test_what_is_about_something_else_is_left_to_others(key: bytes | None) -> None:
    assert not is_ours(key)
    assert not Incarnations().note(key)


def test_of_two_that_claim_a_number_the_first_counts_and_a_higher_number_replaces_both() -> None:
    known = Incarnations()
    known.note(key_of("surveys", FIRST))
    known.note(key_of("surveys", Incarnation(0, "another")))
    assert known.newest("surveys") == FIRST
    known.note(key_of("surveys", SECOND))
    known.note(key_of("surveys", FIRST))
    assert known.newest("surveys") == SECOND
    assert known.bases() == {"surveys": SPAN}


def test_nothing_is_added_to_the_offsets_of_a_topic_that_was_never_made_again() -> None:
    known = Incarnations()
    known.note(key_of("purchases", FIRST))
    assert known.bases() == {}
