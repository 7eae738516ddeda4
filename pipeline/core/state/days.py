"""A set of days as a bitmap: bit ``n`` of little-endian bytes, the last of which is not 0, is the day ``start + n``."""


def with_day(start: int, days: bytes, day: int) -> tuple[int, bytes]:
    """A bitmap of days, the first of which is ``start``, with one more day; days are counted since 1970."""
    if not days:
        return day, b"\x01"
    if day < start:
        bits = int.from_bytes(days, "little") << (start - day) | 1
        return day, bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    place, bit = (day - start) >> 3, 1 << ((day - start) & 7)
    if place >= len(days):
        return start, days + bytes(place - len(days)) + bytes((bit,))
    known = days[place]
    if known & bit:
        return start, days
    return start, days[:place] + bytes((known | bit,)) + days[place + 1 :]
