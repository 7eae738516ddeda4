"""Every way in which a record that is no event can name a customer, and records that name others alone."""

from typing import NamedTuple


class Written(NamedTuple):
    """A record as it may come."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


NUMBER, NAME = "4711", "Jürgen"
ADDRESS = b',"name":"A. Person","address":"1 Street"}'


def _value(data: str | bytes) -> Written:
    return Written(None, data if isinstance(data, bytes) else data.encode())


NUMBERS = {
    "a number": Written(None, b'{"customer_id": 4711' + ADDRESS),
    "a number with a fraction": _value('{"customer_id":4711.0}'),
    "a number with an exponent": _value('{"customer_id":4.711e3}'),
    "a number with zeros": _value('{"customer_id":04711}'),
    "a number of MongoDB": _value('{"customer_id":{"$numberLong":"4711"}}'),
    "a number of Avro": _value('{"customer_id":{"long":4711}}'),
    "in a list": _value('{"customer_id":[12,4711]}'),
    "the referrer as a number": _value('{"customer_id":"other","referred_by":4711}'),
    "the first of two": _value('{"customer_id":4711,"customer_id":12}'),
    "the last of two": _value('{"customer_id":"12","customer_id":4711}'),
    "another case": _value('{"customerId":"4711"}'),
    "another case still": _value('{"Customer-ID":4711}'),
    "nested": _value('{"payload":{"after":{"customer_id":4711}}}'),
    "a customer's own id": _value('{"customer":{"name":"x","id":4711}}'),
    "CloudEvents": _value('{"specversion":"1.0","data":{"customer_id":"4711"}}'),
    "JSON in a string": _value('{"data":"{\\"customer_id\\":4711}"}'),
    "JSON in a string in a string": _value('{"data":"{\\"d\\":\\"{\\\\\\"customer_id\\\\\\":4711}\\"}"}'),
    "an escaped field": _value('{"customer\\u005fid":"4711"}'),
    "escaped digits": _value('{"customer_id":"\\u0034711","amount":"x"}'),
    "with a control character": _value('{"customer_id":"4711\\u0000"}'),
    "with a line end": _value('{"customer_id":"4711\n"}'),
    "cut off behind it": _value('{"customer_id":"4711'),
    "a number that is cut off behind it": _value('{"event_id":"1","customer_id":4711'),
    "not JSON before it": _value('xx{"customer_id":4711}'),
    "a stray quote before it": _value('"{"customer_id":4711}'),
    "a byte order mark": _value(b'\xef\xbb\xbf{"customer_id":"4711"}'),
    "UTF-16": _value('{"customer_id":4711}'.encode("utf-16")),
    "UTF-16 without a mark": _value('{"customer_id":4711}'.encode("utf-16-be")),
    "a schema registry's frame": _value(b'\x00\x00\x00\x00\x07{"customer_id":4711}'),
    "Python": _value("{'event_id': '1', 'customer_id': 4711}"),
    "Python's text": _value("{'event_id': '1', 'customer_id': '4711'}"),
    "YAML": _value("event_id: 1\ncustomer_id: 4711\n"),
    "a form": _value("event_id=1&customer_id=4711&amount=2"),
    "XML": _value("<event><customer_id>4711</customer_id></event>"),
    "in 40 layers": _value('{"a":' * 40 + '{"customer_id":4711}' + "}" * 40),
    "the key": Written(b"4711", b"x"),
    "the key and nothing else": Written(b"4711", None),
    "a JSON-quoted key": Written(b'"4711"', b"x"),
    "a key in single quotes": Written(b"'4711'", b"x"),
    "a key between blanks": Written(b" 4711\r\n", b"x"),
    "a key as JSON": Written(b'{"customer_id":4711}', b"x"),
    "a key of four bytes": Written((4711).to_bytes(4, "big"), b"x"),
    "a key of eight bytes": Written((4711).to_bytes(8, "big"), b"x"),
    "a key in a frame": Written(b"\x00\x00\x00\x00\x07" + b"4711", b"x"),
    "a key with a mark": Written(b"\xef\xbb\xbf4711", b"x"),
    "a key that is a fraction": Written(b"4711.0", b"x"),
    "a header": Written(None, b"x", (("customer_id", b"4711"),)),
    "a header called otherwise": Written(None, b"x", (("trace", b"1"), ("X-Customer", b'"4711"'))),
    "a header of JSON": Written(None, b"x", (("context", b'{"customer_id":4711}'),)),
}
"""Of the customer 4711."""

NAMES = {
    "as it is": _value('{"customer_id":"Jürgen"}'),
    "escaped": _value('{"customer_id":"J\\u00fcrgen"}'),
    "escaped in capitals": _value('{"customer_id":"J\\u00FCrgen"}'),
    "Latin-1": _value('{"customer_id":"Jürgen"}'.encode("latin-1")),
    "UTF-16": _value('{"customer_id":"Jürgen"}'.encode("utf-16")),
    "escaped as the referrer": _value('{"customer_id":"other","referred_by":"J\\u00fcrgen"}'),
    "bytes that are no UTF-8 before it": _value(b"\xff" + '{"customer_id":"Jürgen"}'.encode()),
    "a form": _value("customer_id=J%C3%BCrgen&x=1"),
    "the key": Written("Jürgen".encode(), b"x"),
    "an escaped key": Written(b'"J\\u00fcrgen"', b"x"),
    "a key in Latin-1": Written("Jürgen".encode("latin-1"), b"x"),
    "any header": Written(None, b"x", (("origin", "Jürgen".encode()),)),
}
"""Of the customer Jürgen."""

OTHERS = {
    "a longer id": _value('{"customer_id":"47110"}'),
    "a longer number": _value('{"customer_id":47110}'),
    "a shorter one": _value('{"customer_id":471}'),
    "an id that ends so": _value('{"customer_id":"Jürgen 4711"}'),
    "another number": _value('{"customer_id":4711.5}'),
    "a number and letters": _value('{"customer_id":4711abc}'),
    "another field": _value('{"customer_id":"x","order_id":"4711","amount":4711}'),
    "the end of a line of text": _value('{"customer_id":"x","note":"called 4711, spoke to Jürgen"}'),
    "a longer name that is cut off": _value('{"customer_id":"Jürgens'),
    "a longer key": Written(b"47110", b"x"),
    "a key of four letters": Written((875_999_537).to_bytes(4, "big"), b'{"customer_id":"47110"}'),
    "a count in a header": Written(None, b"x", (("attempt", b"4711"),)),
    "a header of ours": Written(None, b"x", (("__loyalty.import", "Jürgen".encode()),)),
    "behind an apostrophe": _value('{"customer_id":"Jürgen\'s"'),
    "nobody": Written(None, None),
    "half a character": _value('{"customer_id":"\\ud800"}'),
}
"""Of neither."""

ALL = [
    *((NUMBER, f"{way}: {NUMBER}", record) for way, record in NUMBERS.items()),
    *((NAME, f"{way}: {NAME}", record) for way, record in NAMES.items()),
]
