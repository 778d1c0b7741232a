"""What the tests of the codec share: the round trip, and a comparison that looks at types and bits."""

import dataclasses
import math
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal

from waycairn.codec import decode, encode


def fetcher(encoded, calls=None):
    """A `fetch` over the buffers of an Encoded: every buffer in fresh writable memory, as the store gives it."""

    def fetch(number):
        if calls is not None:
            calls.append(number)
        return memoryview(bytearray(encoded.buffers[number]))

    return fetch


def round_trip(state, *, types=None, **options):
    encoded = encode(state, types=types)
    assert list(encoded.cuts()) == sorted(set(encoded.cuts()))
    assert all(0 < cut < len(encoded.document) for cut in encoded.cuts())
    return decode(encoded.document, fetcher(encoded), types=types, **options)


def bits(value):
    return struct.pack("<d", value)


def same(one, two):  # noqa: PLR0911 - one line a kind of value
    """Equal, of the same types all the way down, floats and NaNs by their bits, dicts in the same order."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float):
        return bits(one) == bits(two)
    if isinstance(one, complex):
        return bits(one.real) == bits(two.real) and bits(one.imag) == bits(two.imag)
    if isinstance(one, Decimal):
        return one.as_tuple() == two.as_tuple()
    if isinstance(one, list | tuple | deque):
        return getattr(one, "maxlen", 0) == getattr(two, "maxlen", 0) and _all_same(one, two)
    if isinstance(one, dict | OrderedDict | Counter | defaultdict):
        return _all_same(one.keys(), two.keys()) and _all_same(one.values(), two.values())
    if isinstance(one, set | frozenset):
        return _same_sets(list(one), list(two))
    if dataclasses.is_dataclass(one):
        return same(vars(one), vars(two))
    if hasattr(one, "utcoffset"):
        return one == two and one.fold == two.fold and one.tzinfo == two.tzinfo and one.tzname() == two.tzname()
    return one == two


def _all_same(one, two):
    return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))


def _same_sets(one, two):
    """Element by element, since NaNs are equal to nothing."""
    if len(one) != len(two):
        return False
    for element in one:
        match = next((other for other in two if same(element, other)), math)
        if match is math:
            return False
        two.remove(match) if match == match else two.pop(next(i for i, o in enumerate(two) if o is match))  # noqa: PLR0124
    return True
