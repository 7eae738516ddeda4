"""Other spellings of a value that the contract allows and msgspec's strict decoders do not read.

JSON Schema knows numbers, not spellings: ``9.0`` is the whole number 9. RFC 3339 knows a second 60, for leap seconds;
like everywhere outside astronomy it is the first second of the next minute. Only events that the fast decoders refuse
come here, so reading them costs the others nothing.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

Reading = Callable[[Any], Any]
_SECOND_60 = re.compile(r"(.{16}:)60(.*)", re.ASCII)
_inspected = msgspec.inspect


def reading_of(declared: type[msgspec.Struct]) -> Reading:
    """What turns a decoded JSON object into the same object as the strict decoders would read it.

    What has no other spelling stays as it is; nothing is raised.
    """
    return _object(msgspec.inspect.type_info(declared))


def _object(declared: Any) -> Reading:
    fields = {field.encode_name: reading for field in declared.fields if (reading := _reading(field.type)) is not None}

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: fields[name](part) if name in fields else part for name, part in value.items()}

    return read


def _reading(declared: Any) -> Reading | None:
    kinds = {type(part): part for part in getattr(declared, "types", (declared,))}
    if _inspected.IntType in kinds:
        return _whole
    if _inspected.DateTimeType in kinds:
        return _moment
    if _inspected.ListType in kinds and isinstance(kinds[_inspected.ListType].item_type, _inspected.StructType):
        each = _object(kinds[_inspected.ListType].item_type)
        return lambda value: [each(part) for part in value] if isinstance(value, list) else value
    return None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moment(value: Any) -> Any:
    leap = _SECOND_60.fullmatch(value) if isinstance(value, str) else None
    if leap is None:
        return value
    before = "59".join(leap.groups())
    try:
        return msgspec.convert(before, datetime) + timedelta(seconds=1)
    except msgspec.ValidationError:
        return value
    except OverflowError:
        return before  # the last second of the year 9999: refused as too late, not as no time
