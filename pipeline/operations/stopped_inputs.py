"""Inputs that were stopped because too many of their records could not be used, and resuming them."""

import contextlib
from collections.abc import Mapping

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.kafka.stopped_inputs import Notice
from pipeline.topics import INPUTS


def standing(settings: Settings) -> Mapping[str, str]:
    """The inputs that stand, with the reason."""
    with contextlib.closing(Notice(settings)) as notice:
        return notice.read().why


def resume(settings: Settings, topic: str, *, as_dead_letters: bool) -> bool:
    """Let a topic go on; returns whether it stood, or was told to let everything through.

    Raises
    ------
    Refused
        It is no input.
    """
    kafka.metadata(settings)
    if topic not in {one.name for one in INPUTS}:
        raise Refused(f"{topic!r} is no input; `loyalty topics list` shows them")
    with contextlib.closing(Notice(settings)) as notice:
        if topic not in notice.read().why and not as_dead_letters:
            return False
        notice.go_on(topic, let_through=as_dead_letters)
    return True
