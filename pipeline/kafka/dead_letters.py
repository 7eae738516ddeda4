"""Dead letters: what a record carries that could not be used, whoever rejected it.

Key, bytes and headers stay as they were. A compressed record may be larger than any topic takes once it is read; of
such a one the first 16 MiB are kept, and a header says how many bytes it had.
"""

from pipeline import __version__
from pipeline.config import Settings
from pipeline.kafka import Sending
from pipeline.records import DeadLetter, Headers
from pipeline.topics import DEAD_LETTERS, ERROR_HEADERS, MAX_RECORD_BYTES


def send(sending: Sending, letter: DeadLetter, settings: Settings) -> None:
    """Hand over one dead letter."""
    record = letter.record
    kept = record.value and record.value[:MAX_RECORD_BYTES]
    sending.send(settings.topic(DEAD_LETTERS.name), record.key, kept, error_headers(letter, settings))


def error_headers(letter: DeadLetter, settings: Settings) -> list[tuple[str, bytes | None]]:
    """The original headers, then where the record came from and why it was rejected."""
    errors = {
        "topic": settings.topic(letter.topic),
        "partition": str(letter.partition),
        "offset": str(letter.record.offset),
        "appended_at_ms": str(letter.record.appended_at_ms),
        "reason": letter.reason.value,
        "detail": letter.detail,
        "bytes": str(len(letter.record.value or b"")),
        "version": __version__,
    }
    original = [(name, value) for name, value in letter.record.headers if not name.startswith(ERROR_HEADERS)]
    return [*original, *((ERROR_HEADERS + name, text.encode()) for name, text in errors.items())]


def errors_of(headers: Headers) -> dict[str, str]:
    """What the headers of a dead letter say of it; values that anybody else put there and that are no text do not."""
    texts = ((name, _text(value)) for name, value in headers if name.startswith(ERROR_HEADERS))
    return {name.removeprefix(ERROR_HEADERS): text for name, text in texts if text is not None}


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
