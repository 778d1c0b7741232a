"""Checked by mypy, never run: what a caller of the codec may write, and what it gets."""

from dataclasses import dataclass
from typing import Any, assert_type

from waycairn.codec import Record, Types, decode, encode, register
from waycairn.model.encoded import Encoded


@register
@dataclass
class Point:
    x: float


def _restore(low: int) -> "Interval":
    return Interval(low)


@register(name="interval", encode=lambda interval: interval.low, decode=_restore)
class Interval:
    def __init__(self, low: int) -> None:
        self.low = low


assert_type(Point(1.0), Point)  # the decorator keeps the class
assert_type(Interval(1).low, int)
assert_type(register(Point, name="p"), type[Point])


def fetch(number: int) -> memoryview:
    return memoryview(bytearray(number))


encoded = encode({"a": [Point(1.0)]}, types=Types.of(Point, dict[str, list[Point]], Point | None))
assert_type(encoded, Encoded)
assert_type(decode(encoded.document, fetch, types=Types.of(Point), only="a.0", strict=False), Any)
assert_type(decode(memoryview(encoded.document), encoded.buffers.__getitem__), Any)
assert_type(Record("m:Point", {"x": 1.0}).fields, dict[str, Any])
assert_type(Point in Types.of(Point), bool)

encode(Point(1.0), Types.of())  # type: ignore[call-arg]  # types is by keyword
register(Point(1.0))  # type: ignore[call-overload]  # an object is no class
decode("text", fetch)  # type: ignore[arg-type]  # a document is bytes
