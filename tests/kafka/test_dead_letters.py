"""What the headers of a dead letter say, also of one that somebody else wrote."""

from pipeline.kafka.dead_letters import errors_of
from pipeline.topics import ERROR_HEADERS


def test_headers_that_are_not_ours_or_no_text_say_nothing() -> None:
    ours, missing, garbled = (ERROR_HEADERS + name for name in ("reason", "topic", "detail"))
    headers = [("reason", b"theirs"), (ours, "für".encode()), (missing, None), (garbled, b"\xff")]
    assert errors_of(headers) == {"reason": "für"}
