"""Lines into events, or into dead letters.

A block of lines is decoded in one go. Only when that raises are its lines looked at one by one, by rules that give the
same events for good lines: so what comes out never depends on where a block ended.

Blank lines, a byte order mark, NULs and whatever else asks for care make the decoder raise; that is what leads here.
"""

from __future__ import annotations

import hashlib
import threading
import typing
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Literal

import msgspec

from waycairn.errors import LineUnusable
from waycairn.streams.lines import HEAD_KEPT, Line, OddLine, content_of
from waycairn.streams.records import Counts, DeadKind, DeadLetter

OnError = Literal["dead_letter", "stop", "skip"]
Decode = Callable[[bytes], Any]

_untyped = msgspec.json.Decoder(dict)
_anything = msgspec.json.Decoder()
_ENDLESS = "the line has no end, and the file will not grow any more"


class Where(msgspec.Struct, frozen=True):
    """Where some lines stand."""

    generation: int
    path: bytes
    place: int
    line: int
    """The number of the first of them, from 1."""
    at: float


class Parsed(msgspec.Struct):
    events: Sequence[Any]
    places: list[int]
    dead: list[DeadLetter]
    counts: Counts
    end: int
    """The place after the last line."""


class _Unusable(Exception):
    def __init__(self, kind: DeadKind, error: str) -> None:
        super().__init__(error)
        self.kind, self.error = kind, error


class Parser:
    """What turns lines into events.

    schema      None: any JSON object, as a dict, integers exact. A msgspec.Struct, dataclass or other type that
                msgspec decodes: typed, twice as fast; it reads no deeper into fields that the type does not have, so
                invalid UTF-8 in one of those is no error. A function bytes -> event: called with each line, without its
                newline; None is a line that is skipped.
    transform   called with each event and gives the event in its place. Whatever it raises makes a dead letter.
    on_error    what becomes of a line that cannot be used.
    """

    def __init__(
        self, schema: Any = None, *, transform: Callable[[Any], Any] | None = None, on_error: OnError = "dead_letter"
    ) -> None:
        if on_error not in typing.get_args(OnError):
            raise ValueError(f"on_error is one of {', '.join(typing.get_args(OnError))}, not {on_error!r}")
        self._transform = transform
        self._on_error = on_error
        self._function: Decode | None = None
        self._decode: Decode = _untyped.decode
        self._is_typed = False
        kind = _kind_of(schema)
        if kind == "type":
            self._decode = msgspec.json.Decoder(schema).decode
            self._is_typed = True
        elif kind == "function":
            self._function = schema
        self.name = _name(kind, schema) + (f", then {_called(transform)}" if transform else "")
        """In words, for the ledger: another one later is a change that is told."""

    def parse(self, lines: Sequence[Line], where: Where) -> Parsed:
        """Their events, and what could not be used."""
        places = list(accumulate(map(len, lines), initial=where.place))
        end = places.pop()
        events = self._decoded(lines)
        if events is None:
            return self._carefully(lines, places, end, where)
        if self._transform is None:
            return Parsed(events, places, [], Counts(events=len(events), bytes=end - where.place), end)
        found = _Findings(where, self._on_error)
        for number, event in enumerate(events):
            self._take(found, event, lines[number], (places[number], 0), number)
        return found.parsed(end)

    def refuse(self, letter: DeadLetter) -> tuple[list[DeadLetter], Counts]:
        """What becomes of a line of which somebody else found that it cannot be used."""
        if self._on_error == "stop":
            raise _stopped(letter)
        if self._on_error == "skip":
            return [], Counts(skipped=1)
        return [letter], Counts(dead=1)

    def refused(self, line: Line, where: Where, error: str) -> Parsed:
        """What becomes of a line whose event the database of the sink refused."""
        text, left_out = content_of(line, where.place)
        found = _Findings(where, self._on_error)
        found.nuls += _nuls(line)
        found.unusable("refused", error, text, where.place + left_out, 0)
        return found.parsed(where.place + len(line))

    def _decoded(self, lines: Sequence[Line]) -> list[Any] | None:
        """All at once, for lines that are as they should be."""
        if self._function is not None:
            return None
        try:
            return list(map(self._decode, lines))  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - which line it was, and what is wrong with it, is found out with care
            return None

    def _carefully(self, lines: Sequence[Line], places: list[int], end: int, where: Where) -> Parsed:
        found = _Findings(where, self._on_error)
        for number, (line, place) in enumerate(zip(lines, places, strict=True)):
            if isinstance(line, OddLine) and line.text is None:
                found.too_long(line, place, number)
            else:
                self._one(found, line, place, number)
        return found.parsed(end)

    def _one(self, found: _Findings, line: Line, place: int, number: int) -> None:
        text, left_out = content_of(line, place)
        found.nuls += _nuls(line)
        if not text or text.isspace():
            found.blank += 1
            return
        try:
            event = self._event(text)
        except _Unusable as unusable:
            kind, error = unusable.kind, unusable.error
            if not _is_ended(line):
                kind, error = "truncated", f"{_ENDLESS}: {error}"
            found.unusable(kind, error, text, place + left_out, number)
            return
        if event is None and self._function is not None:
            found.skipped += 1
        else:
            self._take(found, event, line, (place, left_out), number)

    def _take(self, found: _Findings, event: Any, line: Line, at: tuple[int, int], number: int) -> None:
        place, left_out = at
        try:
            taken = event if self._transform is None else self._transform(event)
        except Exception as error:  # noqa: BLE001 - whatever it raises is said of this line, and the stream goes on
            found.unusable("transform", said(error), content_of(line, place)[0], place + left_out, number)
        else:
            found.events.append(taken)
            found.places.append(place + left_out)

    def _event(self, text: bytes) -> Any:
        if self._function is not None:
            try:
                return self._function(text)
            except Exception as error:  # noqa: BLE001 - whatever it raises is said of this line, and the stream goes on
                raise _Unusable("malformed", said(error)) from None
        try:
            return self._decode(text)
        except RecursionError:
            return self._deep(text)
        except Exception as error:  # noqa: BLE001 - a schema may run code of its own
            raise _Unusable(_kind_of_failure(text), said(error)) from None

    def _deep(self, text: bytes) -> Any:
        """How deep a decoder gets depends on how deep its caller stands, and the result must not: so it is asked again
        where nobody called it."""
        outcome: list[Any] = []

        def decode() -> None:
            try:
                outcome.append(self._decode(text))
            except RecursionError as error:
                outcome.append(_Unusable("malformed", f"nested too deep: {error}"))
            except Exception as error:  # noqa: BLE001 - told of this line, in the thread that asked
                outcome.append(_Unusable(_kind_of_failure(text), said(error)))

        alone = threading.Thread(target=decode, name="waycairn-deep-line")
        alone.start()
        alone.join()
        if isinstance(outcome[0], _Unusable):
            raise outcome[0]
        return outcome[0]


class _Findings:
    """What was met line by line."""

    def __init__(self, where: Where, on_error: OnError) -> None:
        self._where, self._on_error = where, on_error
        self.events: list[Any] = []
        self.places: list[int] = []
        self.dead: list[DeadLetter] = []
        self.skipped = self.blank = self.nuls = 0

    def unusable(self, kind: DeadKind, error: str, text: bytes, place: int, number: int) -> None:
        digest = hashlib.sha256(text).digest()
        self._dead(kind, error, (place, len(text), number), text[:HEAD_KEPT], digest)

    def too_long(self, line: OddLine, place: int, number: int) -> None:
        self.nuls += line.nuls
        kind: DeadKind = "too_long" if line.is_ended else "truncated"
        self._dead(
            kind,
            f"{line.length} bytes are more than the limit of a line; its beginning was kept",
            (place + line.nuls, line.length, number),
            line.head,
            line.sha256,
        )

    def _dead(self, kind: DeadKind, error: str, span: tuple[int, int, int], head: bytes, digest: bytes) -> None:
        place, length, number = span
        letter = DeadLetter(
            generation=self._where.generation,
            path=self._where.path,
            offset=place,
            length=length,
            line=self._where.line + number,
            kind=kind,
            error=error[:500],
            head=head,
            digest=digest,
            at=self._where.at,
        )
        if self._on_error == "stop":
            raise _stopped(letter)
        if self._on_error == "skip":
            self.skipped += 1
        else:
            self.dead.append(letter)

    def parsed(self, end: int) -> Parsed:
        counts = Counts(
            events=len(self.events),
            dead=len(self.dead),
            skipped=self.skipped,
            blank=self.blank,
            nuls=self.nuls,
            bytes=end - self._where.place,
        )
        return Parsed(self.events, self.places, self.dead, counts, end)


def _stopped(letter: DeadLetter) -> LineUnusable:
    path = letter.path.decode(errors="backslashreplace")
    return LineUnusable(
        f"line {letter.line} of {path} (byte {letter.offset}, {letter.length} bytes) cannot be used: {letter.kind}, "
        f"{letter.error}. It begins with {letter.head[:80]!r}. Nothing of its batch was committed. Mend the line or the "
        'parser and run again, or go on without such lines with on_error="dead_letter".',
        letter=letter,
    )


def _nuls(line: Line) -> int:
    if isinstance(line, OddLine):
        return line.nuls
    return len(line) - len(line.lstrip(b"\0"))


def _is_ended(line: Line) -> bool:
    return line.endswith(b"\n") if isinstance(line, bytes) else line.is_ended


def _kind_of_failure(text: bytes) -> DeadKind:
    try:
        value = _anything.decode(text)
    except (ValueError, RecursionError, MemoryError):
        return "malformed"
    return "schema" if isinstance(value, dict) else "not_object"


def said(error: BaseException) -> str:
    """What is kept of an error beside a line."""
    return f"{type(error).__name__}: {error}"


def _kind_of(schema: Any) -> Literal["none", "type", "function"]:
    if schema is None:
        return "none"
    if isinstance(schema, type) or typing.get_origin(schema) is not None:
        return "type"
    if callable(schema):
        return "function"
    raise TypeError(f"schema is a type, a function from bytes to an event, or None, not {schema!r}")


def _name(kind: Literal["none", "type", "function"], schema: Any) -> str:
    if kind == "none":
        return "JSON objects"
    if kind == "function":
        return f"lines by {_called(schema)}"
    return f"JSON as {_called(schema)} ({_shape(schema)})"


def _called(thing: Any) -> str:
    name = getattr(thing, "__qualname__", None)
    return f"{thing.__module__}.{name}" if name else str(thing)


def _shape(schema: Any) -> str:
    """Names and types of its fields, so that a schema that changed is seen to have changed."""
    described = msgspec.inspect.type_info(schema)
    fields = getattr(described, "fields", ())
    return ", ".join(f"{field.encode_name}: {_type_name(field.type)}" for field in fields) or type(described).__name__


def _type_name(told: Any) -> str:
    inner = getattr(told, "types", None)
    if inner:
        return " | ".join(_type_name(one) for one in inner)
    named = getattr(told, "cls", None)
    return named.__qualname__ if named else type(told).__name__.removesuffix("Type").lower()
