"""Blocks of bytes into lines: at 0x0A and nowhere else, whatever the sizes of the blocks.

A line keeps its newline, so that the lengths of lines add up to offsets. `text_of` is what a parser sees: without NULs
before it, without a byte order mark at the beginning of the file, without the newline or a carriage return before that.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import TypeAlias

from waycairn.streams.marks import REACH

LINE_LIMIT = 16 << 20
HEAD_KEPT = 4096
"""Of a line that cannot be used."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class OddLine:
    """A line that is not just its bytes: too long to keep, or after a hole of NULs that was not kept.

    It is no bytes on purpose: a decoder that gets one raises, and so it is treated with care.
    """

    def __init__(self, nuls: int) -> None:
        self.nuls = nuls
        """That stood before it and were not kept."""
        self.text: bytes | None = None
        """With its newline; None if the line is too long."""
        self.head = b""
        self._raw = nuls
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._held = b""
        """A carriage return that may belong to the newline."""
        self.begin = self.end = bytes(min(nuls, REACH))
        """Its first and its last 1,024 bytes, as they stand in the file."""

    def __len__(self) -> int:
        """All of it as it stands in the file."""
        return self._raw

    @property
    def length(self) -> int:
        """Of a line that is too long, without its newline."""
        return self._hashed + len(self._held)

    @property
    def sha256(self) -> bytes:
        whole = self._hash.copy()
        whole.update(self._held)
        return whole.digest()

    @property
    def is_ended(self) -> bool:
        return self.end.endswith(b"\n")

    def add(self, piece: bytes) -> None:
        """The next bytes of a line that is too long; a newline is the last of them."""
        self._stretch(piece)
        if piece.endswith(b"\n"):
            piece = (self._held + piece[:-1]).removesuffix(b"\r")
            self._held = b""
        else:
            piece = self._held + piece
            self._held = b"\r" if piece.endswith(b"\r") else b""
            piece = piece.removesuffix(b"\r")
        self.head += piece[: HEAD_KEPT - len(self.head)]
        self._hash.update(piece)
        self._hashed += len(piece)

    @classmethod
    def after_nuls(cls, nuls: int, text: bytes) -> OddLine:
        line = cls(nuls)
        line.text = text
        line._stretch(text)
        return line

    def _stretch(self, piece: bytes) -> None:
        self._raw += len(piece)
        self.begin += piece[: REACH - len(self.begin)]
        self.end = (self.end + piece[-REACH:])[-REACH:]


Line: TypeAlias = bytes | OddLine


def last_bytes(lines: Sequence[Line], before: bytes) -> bytes:
    """The last 1,024 bytes up to the end of these lines; `before` are those that stood before them."""
    end = b""
    for line in reversed(lines):
        end = (line if isinstance(line, bytes) else line.end) + end
        if len(end) >= REACH or len(end) < len(line):
            return end[-REACH:]
    return (before + end)[-REACH:]


def first_bytes(lines: Sequence[Line], before: bytes) -> bytes:
    """The first 1,024 bytes of a content of which `before` is all that was consumed."""
    begun = before
    for line in lines:
        if len(begun) >= REACH:
            break
        begun += line if isinstance(line, bytes) else line.begin
    return begun[:REACH]


def text_of(line: bytes, place: int) -> tuple[bytes, int]:
    """What a parser sees of a line that begins at `place`, and how many bytes before that were left out."""
    text = line.removesuffix(b"\n").removesuffix(b"\r")
    kept = text.lstrip(b"\0")
    if place == 0:
        kept = kept.removeprefix(BYTE_ORDER_MARK)
    return kept, len(text) - len(kept)


def content_of(line: Line, place: int) -> tuple[bytes, int]:
    """As `text_of`, of a line that was kept."""
    if isinstance(line, bytes):
        return text_of(line, place)
    assert line.text is not None
    text, left_out = text_of(line.text, place + line.nuls)
    return text, left_out + line.nuls


class Cutter:
    """Cuts what is fed to it. Memory is bounded by the limit of a line and one block."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._nuls = 0
        self._rest = b""
        self._long: OddLine | None = None

    @property
    def unfinished(self) -> int:
        """Bytes that were fed and belong to a line without its end; with the NULs before it."""
        return len(self._long) if self._long else self._nuls + len(self._rest)

    @property
    def has_rest(self) -> bool:
        """Whether these are more than NULs: a hole at the end of a file is no line."""
        return bool(self._rest or self._long)

    def add_nuls(self, count: int) -> None:
        """A hole that nobody read, before a line that has not begun."""
        self._nuls += count

    def cut(self, data: bytes, start: int = 0) -> list[Line]:
        """The lines that end in `data`, from `start` on."""
        reader = io.BytesIO(data)
        reader.seek(start)
        lines: list[Line] = list(reader)
        if lines and self.unfinished:
            self._add(lines[0])
            if not lines[0].endswith(b"\n"):  # type: ignore[union-attr]
                return []
            lines[0] = self._finish()
        if lines and isinstance(lines[-1], bytes) and not lines[-1].endswith(b"\n"):
            self._add(lines.pop())
        if len(data) > self._limit:
            lines = [self._judged(line) if len(line) > self._limit else line for line in lines]
        return lines

    def rest(self) -> OddLine:
        """That line, as it is; it stays where it is."""
        if self._long:
            return self._long
        line = OddLine(self._nuls)
        line.add(self._rest)
        return line

    def flush(self) -> list[Line]:
        """The last line, which will not get its end any more."""
        return [self._finish()] if self.has_rest else []

    def _add(self, piece: Line) -> None:
        assert isinstance(piece, bytes)
        if self._long:
            self._long.add(piece)
            return
        if not self._rest:
            kept = piece.lstrip(b"\0")
            self._nuls += len(piece) - len(kept)
            piece = kept
        self._rest += piece
        if len(self._rest) > self._limit + 2:  # with room for its newline
            self._long = OddLine(self._nuls)
            self._long.add(self._rest)
            self._rest = b""

    def _finish(self) -> Line:
        line: Line = self._long or (OddLine.after_nuls(self._nuls, self._rest) if self._nuls else self._rest)
        self._long, self._nuls, self._rest = None, 0, b""
        return self._judged(line)

    def _judged(self, line: Line) -> Line:
        """The same line, or one that is too long, by its text alone."""
        if isinstance(line, OddLine):
            nuls, text = line.nuls, line.text
        else:
            text = line.lstrip(b"\0")
            nuls = len(line) - len(text)
        if text is None or len(text.removesuffix(b"\n").removesuffix(b"\r")) <= self._limit:
            return line
        odd = OddLine(nuls)
        odd.add(text)
        return odd
