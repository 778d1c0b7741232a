"""Integers in as few bytes as they need: seven bits a byte, lowest first, the high bit says that more follow."""

from __future__ import annotations

from waycairn.errors import Damaged

_MOST_BITS = 63


def put(out: bytearray, value: int) -> None:
    """Append a number from 0 to 2**63 - 1."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_signed(out: bytearray, value: int) -> None:
    """Append a number that may be negative, small in both directions (zigzag)."""
    put(out, value << 1 if value >= 0 else (-value << 1) - 1)


class Cursor:
    """Reads what `put` wrote. Raises Damaged at the end of the data and on numbers that no writer makes."""

    def __init__(self, data: bytes | memoryview, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    @property
    def position(self) -> int:
        """Bytes that were read."""
        return self._at

    def varint(self) -> int:
        at = self._at
        if at < len(self._data) and (first := self._data[at]) < 0x80:
            self._at = at + 1
            return first
        value = shift = 0
        while True:
            if self._at >= len(self._data) or shift >= _MOST_BITS:
                raise self.damaged(f"broken number at byte {self._at}")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def signed(self) -> int:
        value = self.varint()
        return -(value + 1 >> 1) if value & 1 else value >> 1

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise self.damaged(f"{length} bytes are announced at byte {self._at} and {len(self._data) - self._at} left")
        piece = bytes(self._data[self._at : end])
        self._at = end
        return piece

    def end(self) -> None:
        """Raise Damaged unless everything was read."""
        if self._at != len(self._data):
            raise self.damaged(f"{len(self._data) - self._at} bytes too many")

    def damaged(self, detail: str) -> Damaged:
        return Damaged(f"{self._what} is damaged: {detail}. It is not used. See `waycairn doctor`.")
