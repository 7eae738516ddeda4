"""What a worker's commit says besides its offset, in the commit's metadata."""

import re

_NOTE = re.compile(r"told:(\d{1,18})(?: until:(\d{1,18}))?")


def note_of(settled: int, until: int | None) -> str:
    """Alerts below ``settled`` are in the state; a replay, if there is one, goes up to the offset ``until``."""
    return f"told:{settled}" if until is None else f"told:{settled} until:{until}"


def read_note(metadata: str | None) -> tuple[int, int | None]:
    """The inverse; without a note every alert may be ahead of the state, and there is no replay."""
    found = _NOTE.fullmatch(metadata or "")
    if found is None:
        return 0, None
    return int(found[1]), int(found[2]) if found[2] is not None else None
