"""The note of a worker's commit, which lies in the commit's metadata.

The metadata of a commit are bytes with a length. librdkafka writes them as a C string, its final NUL included, and from
2.6.1 on it reads them as one, whatever their length: of what another client wrote without a NUL it returns those bytes
and what lies behind them in memory, which may be digits. So what is written through another client is *sealed*, with a
NUL of its own, and every text is *opened*, up to that NUL. What may lie there without one, because a worker up to 0.4.0
wrote it, is read through a client that respects the length.
"""

import re

END = "\0"
_NOTE = re.compile(r"told:(\d{1,18})(?: until:(\d{1,18}))?", re.ASCII)


def sealed(text: str) -> str:
    """Metadata as librdkafka would write them, for a client that writes what it is given."""
    return text + END


def opened(metadata: str | None) -> str:
    """The inverse; what was never sealed is taken as it is."""
    return (metadata or "").partition(END)[0]


def note_of(settled: int, until: int | None) -> str:
    """Alerts below ``settled`` are in the state; a replay, if there is one, goes up to the offset ``until``."""
    return f"told:{settled}" if until is None else f"told:{settled} until:{until}"


def read_note(text: str) -> tuple[int, int | None]:
    """The inverse; without a note every alert may be ahead of the state, and there is no replay."""
    match = _NOTE.fullmatch(text)
    if match is None:
        return 0, None
    return int(match[1]), int(match[2]) if match[2] is not None else None
