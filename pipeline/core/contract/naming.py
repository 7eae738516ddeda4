"""Finds the customers whom a record names: the one place that knows every way to write a customer's id.

What :mod:`~.decode` accepts names its customer in one way. What it rejects may still name somebody, and names
them for erasure, export, receipt and replay alike:

- by its key: as it is, in quotes, between blanks, as a JSON string, a JSON object, an integer of 4 or 8 bytes, behind
  the five bytes of a schema registry
- by a field of its value (``customer_id``, ``customerId``, ``referred_by``, ``customer.id`` …), at any depth, each time
  it stands there, as a string with any escapes, a number, in a list or an object of its own, in JSON inside a string
- by a header whose name says so; under any other name, where it is more than a bare number, which may be a count
- in UTF-8 with or without a mark, UTF-16, UTF-32, Latin-1; in JSON that is cut off, and in bytes that are no JSON

An id is compared as a whole: 4711 is not named by 47110. Of an id that is cut off the part that is there counts, for a
letter too many is better erased than one too few. Not read: compressed, encrypted and Base64 values, binary formats.
"""

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

Headers = Sequence[tuple[str, bytes | None]]

LONGEST: Final = 200
"""No id has more characters."""
_DEEPEST: Final = 3
"""So often JSON may stand in a string of JSON."""
_OWN_HEADERS: Final = "__loyalty."
"""What the names of our own headers begin with; none of them names a customer."""

_STRING = rb'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)'
"""A JSON string, or one that is cut off; possessive, so that no input is read twice."""
_NUMBER = rb"[-+]?[0-9]++(?:\.[0-9]*+)?(?:[eE][-+]?[0-9]++)?(?![0-9A-Za-z_.])"
_FIELD = re.compile(
    rb'"((?:[A-Za-z_. -]|\\u00[0-9A-Fa-f]{2}){1,40}+)"\s*+:\s*+(?:' + _STRING + rb"|(" + _NUMBER + rb")|([\[{]))",
    re.DOTALL,
)
_SCALAR = re.compile(_STRING + rb"\s*+(:?)|(" + _NUMBER + rb")", re.DOTALL)
_INNER = re.compile(rb"[^\[\]{}]*+")
_LOOSE = re.compile(
    rb"(?<!/)(?:customer[_. -]?id|referred[_. -]?by)[\"']?\s*+(?:[:=>]\s*+)++"
    rb"(?:\"([^\"\r\n]*+)|'([^'\r\n]*+)|([^\"'\s,;&|<>(){}\[\]]++))",
    re.IGNORECASE,
)
"""The fields as other notations write them: YAML, Python, forms, XML."""
_ANY_STRING = re.compile(_STRING, re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_PLAIN_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DIFFERENT = re.compile(rb"[\\\x00%]|[0-9][eE][-+0-9]")
"""Bytes in which an id may be written other than it is."""
_BARE_NUMBER = re.compile(_NUMBER)
_CONTROLS: Final = "".join(map(chr, range(32))) + "\x7f\ufeff"


def named(key: bytes | None, value: bytes | None, headers: Headers = ()) -> set[bytes]:
    """The ids, in UTF-8, of all customers that a record names."""
    ids = _in_value(value) if value else set()
    if key:
        ids |= {key} if key in ids else _in_key(key)
    for name, content in headers:
        if content and not name.startswith(_OWN_HEADERS):
            ids |= _in_header(name, content)
    return ids


def names(customer_id: bytes, key: bytes | None, value: bytes | None, headers: Headers = ()) -> bool:
    """Whether a record names a customer; quick where it plainly does not."""
    if key == customer_id:
        return True
    if key and not may_name(customer_id, key) and _is_printable(key):
        key = None
    if value and not may_name(customer_id, value):
        value = None
    return bool(key or value or headers) and customer_id in named(key, value, headers)


def may_name(customer_id: bytes, value: bytes) -> bool:
    """Whether a value may name a customer: never false where it does, and quick.

    An id that does not stand in the bytes as it is can only be written with escapes, with an exponent, or in another
    encoding.
    """
    if customer_id in value or _DIFFERENT.search(value) is not None:
        return True
    return not (value.isascii() or _is_utf8(value))


def _is_printable(key: bytes) -> bool:
    return key.isascii() and key.decode().isprintable()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _in_value(value: bytes, depth: int = 0) -> set[bytes]:
    ids: set[bytes] = set()
    for data in _encodings(value):
        for field in _FIELD.finditer(data):
            ids |= _in_field(data, field)
        if b'\\"' in data and depth < _DEEPEST:
            for string in _ANY_STRING.finditer(data):
                if b'\\"' in string[1]:
                    ids |= _in_value(_unescaped(string[1]).encode("utf-8", "replace"), depth + 1)
        if not _is_json(data):
            for loose in _LOOSE.finditer(data):
                ids |= _ids(_unescaped(unquote_to_bytes(loose[1] or loose[2] or loose[3] or b"")))
    return ids


def _encodings(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, and as UTF-8 where they may be UTF-16 or UTF-32."""
    yield data
    if b"\0" in data:
        yield data.decode(json.detect_encoding(data), "replace").encode("utf-8", "replace")


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


def _in_field(data: bytes, field: re.Match[bytes]) -> set[bytes]:
    """What a field names, if it is one that names somebody."""
    name = _squeezed(_unescaped(field[1]))
    if name not in ("customerid", "referredby", "customer"):
        return set()
    if field[2] is not None:
        return _ids(_unescaped(field[2]))
    if field[3] is not None:
        return _numbers(field[3])
    return _in_part(data, field.end(), only_id=name == "customer")


def _in_part(data: bytes, start: int, *, only_id: bool) -> set[bytes]:
    """What a list or an object names that stands where an id should: its scalars, or its ``id`` alone."""
    inner = _INNER.match(data, start)
    ids: set[bytes] = set()
    name = ""
    for scalar in _SCALAR.finditer(inner[0] if inner else b""):
        if scalar[2]:
            name = _squeezed(_unescaped(scalar[1]))
        elif not only_id or name == "id":
            ids |= _numbers(scalar[3]) if scalar[1] is None else _ids(_unescaped(scalar[1]))
    return ids


def _squeezed(name: str) -> str:
    """A field's name without what spellings differ in."""
    return "".join(filter(str.isalnum, name)).casefold()


def _unescaped(raw: bytes) -> str:
    """What stands between the quotes of a JSON string; bytes that are no UTF-8 are read as Windows' Latin-1."""
    text = _text(raw)
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(_character, text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode("windows-1252")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _character(escape: re.Match[str]) -> str:
    if escape[1] is not None:
        return chr(int(escape[1], 16))
    return _PLAIN_ESCAPES.get(escape[2], escape[2])


def _ids(text: str) -> set[bytes]:
    """The ids that a text can be: an id holds no control character."""
    return {part.encode("utf-8", "replace") for part in (text, text.strip(_CONTROLS)) if 0 < len(part) <= LONGEST}


def _numbers(raw: bytes) -> set[bytes]:
    """The ids that a number can be: as it is written, and as the whole number it is."""
    if len(raw) > LONGEST:
        return set()
    try:
        number = Decimal(raw.decode())
    except InvalidOperation:
        return {raw}
    is_whole = number.adjusted() < LONGEST and number == number.to_integral_value()
    return {raw, str(int(number)).encode()} if is_whole else {raw}


def _in_key(key: bytes) -> set[bytes]:
    """The ids that a key, or what stands alone like one, can be."""
    ids = {key} | _binary(key)
    if b"{" in key:
        ids |= _in_value(key)
    for part in (*_encodings(key), *((key[5:], key[6:]) if key[0] == 0 else ())):
        text = _text(part).strip(_CONTROLS + " \u00a0")
        ids |= _ids(text)
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            ids |= _ids(text[1:-1].strip()) | _ids(_unescaped(text[1:-1].encode("utf-8", "replace")))
        elif _BARE_NUMBER.fullmatch(data := text.encode("utf-8", "replace")):
            ids |= _numbers(data)
    return ids


def _binary(key: bytes) -> set[bytes]:
    """The integer in four or eight bytes that are no text."""
    if len(key) not in (4, 8) or _is_printable(key):
        return set()
    return {str(int.from_bytes(key, "big", signed=True)).encode()}


def _in_header(name: str, content: bytes) -> set[bytes]:
    ids = _in_value(content)
    says_whom = re.search("customer|referred", _squeezed(name)) is not None
    return ids | {one for one in _in_key(content) if says_whom or not _BARE_NUMBER.fullmatch(one)}
