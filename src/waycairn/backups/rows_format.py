"""A row as a line: one JSON object, with a tagged value where JSON has no type of that kind.

null, true, 17, 1.5, "text"         as they are; so are 64-bit integers and every finite float, exactly
{"$bytes": "aGk="}                  base64
{"$text": "/w=="}                   text that is not UTF-8 (SQLite lets it be stored), as base64
{"$float": "nan"}                   nan, inf, -inf
{"$decimal": "1.10"}  {"$uuid": …}  {"$date": …}  {"$time": …}  {"$datetime": …}  {"$interval": …}
{"$json": "{ \\"a\\": 1}"}            of a column of type json: its text, blanks and all
anything                            of a column of type jsonb: itself; as $json only what could be mistaken, which is
                                    JSON's null (null is that of SQL) and an object that begins with a key "$json"
"{1,NULL,3}"  "[1,5)"               whatever else PostgreSQL has, as it prints it; its type stands in the facts
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import starmap
from math import isfinite
from typing import Any

import msgspec

from waycairn.backups.rows_shape import Column

Row = tuple[Any, ...]
_BLOCK = 1 << 18
_PLAIN = {str, int, bool, type(None)}
_NUMBERS = {int, bool, float, type(None)}
_JSON = b'{"$json":'


class NotText(msgspec.Struct, frozen=True, rename={"data": "$text"}):
    """What SQLite holds as text, and is not UTF-8."""

    data: bytes


class _Bytes(msgspec.Struct, rename={"data": "$bytes"}):
    data: bytes


def _tag(name: str) -> Callable[[Any], Any]:
    return msgspec.defstruct(f"Tagged_{name}", [("value", str)], rename={"value": f"${name}"}, gc=False)


_float, _json = _tag("float"), _tag("json")


class LineEncoder:
    """Rows of one table to lines. What is plain JSON, and that is nearly everything, costs a look at a column's types."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._row = _struct(columns, Any)
        self._forms = [_TO[column.form] for column in columns]
        self._encode = msgspec.json.Encoder().encode_lines

    def __call__(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        columns = list(zip(*rows, strict=True))
        formed = [form(column) for form, column in zip(self._forms, columns, strict=True)]
        if any(new is not old for new, old in zip(formed, columns, strict=True)):
            rows = list(zip(*formed, strict=True))
        return self._encode(list(starmap(self._row, rows)))


class LineDecoder:
    """Lines to rows: values as the driver of the database takes them, those with a form as text."""

    def __init__(self, columns: Sequence[Column]) -> None:
        raw = [column.form == "jsonb" for column in columns]
        self._decode = msgspec.json.Decoder(_struct(columns, *[msgspec.Raw if it else Any for it in raw])).decode_lines
        self._from = [_from_jsonb if it else _from_json for it in raw]

    def __call__(self, lines: bytes) -> list[Row]:
        rows = list(map(msgspec.structs.astuple, self._decode(lines)))
        columns = list(zip(*rows, strict=True))
        values = [undo(column) for undo, column in zip(self._from, columns, strict=True)]
        changes = any(new is not old for new, old in zip(values, columns, strict=True))
        return list(zip(*values, strict=True)) if changes else rows


def key_decoder(names: Sequence[str]) -> Callable[[bytes], list[Row]]:
    """Only these fields of lines, each as the bytes it is written with: enough to compare."""
    columns = [Column(name=name, type="", nullable=False) for name in names]
    decode = msgspec.json.Decoder(_struct(columns, msgspec.Raw)).decode_lines
    return lambda lines: [tuple(map(bytes, msgspec.structs.astuple(row))) for row in decode(lines)]


def _struct(columns: Sequence[Column], *types: Any) -> Any:
    """Fields are numbered: a column may be named as no field can."""
    kinds = types if len(types) == len(columns) else types * len(columns)
    fields = [(f"f{number}", kind) for number, kind in enumerate(kinds)]
    names = {f"f{number}": column.name for number, column in enumerate(columns)}
    try:
        return msgspec.defstruct("Row", fields, rename=names, gc=False)
    except ValueError:
        odd = next(name for name in names.values() if {'"', "\\"} & set(name) or not name.isprintable())
        raise ValueError(f"a column with the name {odd!r} cannot be backed up: quotes and backslashes in it") from None


def blocks(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same bytes, cut at ends of lines, about 256 KiB at a time."""
    kept = bytearray()
    for piece in pieces:
        for start in range(0, len(piece), _BLOCK):
            part = bytes(piece[start : start + _BLOCK])
            end = part.rfind(b"\n") + 1
            if end:
                yield b"".join((kept, part[:end]))
                kept.clear()
            kept += part[end:]


# -- values ---------------------------------------------------------------------------------------------------------


def _as_it_comes(column: Row) -> Sequence[Any]:
    kinds = set(map(type, column))
    if kinds <= _PLAIN or (kinds <= _NUMBERS and all(map(isfinite, filter(None, column)))):
        return column
    return list(map(_value, column))


def _value(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN or kind is NotText:
        return value
    if kind is float:
        return value if isfinite(value) else _float(str(value))
    if kind in {bytes, memoryview}:
        return _Bytes(value)
    raise TypeError(
        f"the driver of this database returns {kind.__module__}.{kind.__name__}: it was told to convert values "
        "(detect_types of sqlite3, say), and a backup needs them as they are stored. Give an engine without that."
    )


def _tagged(name: str) -> Callable[[Row], Sequence[Any]]:
    tag = _tag(name)
    return lambda column: [None if value is None else tag(value) for value in column]


def _jsonb(column: Row) -> Sequence[Any]:
    return [None if text is None else _unmistakable(text) for text in column]


def _unmistakable(text: str) -> Any:
    if text == "null" or text.startswith('{"$json"'):
        return _json(text)
    return msgspec.Raw(text.encode())


_TO: dict[str, Callable[[Row], Sequence[Any]]] = {
    "": _as_it_comes,
    "text": lambda column: column,
    "jsonb": _jsonb,
    **{name: _tagged(name) for name in ("decimal", "date", "time", "datetime", "interval", "uuid", "json")},
}
_FROM: dict[str, Callable[[str], Any]] = {
    "$bytes": b64decode,
    "$text": lambda text: NotText(b64decode(text)),
    "$float": float,
}


def _from_json(column: Row) -> Sequence[Any]:
    return list(map(untagged, column)) if dict in set(map(type, column)) else column


def untagged(value: Any) -> Any:
    """What a tag says, such as `{"$uuid": "…"}`; anything else as it is."""
    if type(value) is not dict or len(value) != 1:
        return value
    ((tag, text),) = value.items()
    if not tag.startswith("$"):
        return value
    return _FROM.get(tag, str)(text)


def _from_jsonb(column: Row) -> Sequence[Any]:
    return [_text_of(bytes(raw)) for raw in column]


def _text_of(raw: bytes) -> str | None:
    if raw == b"null":
        return None
    if raw.startswith(_JSON):
        text: str = msgspec.json.decode(raw)["$json"]
        return text
    return raw.decode()
