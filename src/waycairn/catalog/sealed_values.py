"""What a column of an encrypted store holds, and how it gets there."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from functools import cache
from typing import Any

from waycairn.catalog.protection import Protection, head_of, protection_of
from waycairn.catalog.shapes import kinds_of
from waycairn.catalog.sql import Column
from waycairn.catalog.tables import Json
from waycairn.errors import Damaged
from waycairn.ports import Vault

LONGEST_MATCHED = 1900
"""Bytes. PostgreSQL cannot index an entry of more than 2,704, which these are as base64."""
_TEXT, _JSON, _BINARY = range(3)


class Seal:
    """Seals and opens the values of one column."""

    __slots__ = ("_context", "_form", "_head", "_protection", "_purpose", "column")

    def __init__(self, column: Column[Any]) -> None:
        self.column = column
        self._context = f"{column.table.name}\0{column.name}".encode()
        self._form = _BINARY if bytes in kinds_of(column) else _JSON if column.type is Json else _TEXT
        self._head = head_of(column)
        self._purpose = str(column)
        self._protection = protection_of(column)

    def seal(self, vault: Vault, name: bytes, value: Any) -> Any:
        """As the column holds it. `name` is that of its row."""
        plain = value if self._form == _BINARY else value.encode()
        if self._protection is Protection.SEALED:
            if not self._head:
                return self._stored(vault.seal(plain, self._context + name))
            head = bytes(plain[: self._head]).ljust(self._head, b"\0")
            return self._stored(head + vault.seal(plain, self._context + name + head))
        if self._protection is Protection.HASHED:
            return vault.digest(self._purpose, plain).hex()
        if not plain:
            return value  # nothing is what a search from the start begins behind
        if self._form != _BINARY and len(plain) > LONGEST_MATCHED:
            raise ValueError(
                f"the name {value[:60]}... has {len(plain)} bytes and in an encrypted store a name may have "
                f"{LONGEST_MATCHED}. Nothing was committed. Use a shorter name or a hash of it."
            )
        return self._stored(vault.match(plain, self._context))

    def open(self, vault: Vault, name: bytes, value: Any) -> Any:
        """As it was bound. Raises Damaged for what was not sealed for this row."""
        context = self._context
        if self._protection is Protection.MATCHED:
            plain = vault.unmatch(self._unstored(value, context), context)
        elif self._head:
            data = self._unstored(value, context + name)
            plain = vault.unseal(memoryview(data)[self._head :], context + name + data[: self._head])
        else:
            plain = vault.unseal(self._unstored(value, context + name), context + name)
        return plain if self._form == _BINARY else plain.decode()

    def context(self, name: bytes) -> bytes:
        """What a value is bound to, beside its store: its table, its column, and what names its row."""
        return self._context + name

    def _stored(self, data: bytes) -> Any:
        """Bytes, ASCII, or (in a column of JSON) ASCII as a JSON string."""
        if self._form == _BINARY:
            return data
        text = binascii.b2a_base64(data, newline=False).decode()
        return f'"{text}"' if self._form == _JSON else text

    def _unstored(self, value: Any, context: bytes) -> bytes:
        try:
            if self._form == _BINARY:
                return bytes(memoryview(value))
            text = value[1:-1] if self._form == _JSON and value[0] == value[-1] == '"' else value
            return binascii.a2b_base64(text, strict_mode=True)
        except (ValueError, TypeError, LookupError):
            raise Damaged(
                f"{context.decode('utf-8', 'backslashreplace').replace(chr(0), ' ')} is not sealed, and everything like it in "
                "an encrypted store is: it was put there by something else than waycairn, or it is damaged. It is not used. "
                "See `waycairn doctor`."
            ) from None


@cache
def seal_of(column: Column[Any]) -> Seal:
    """Of a column of `tables`."""
    return Seal(column)


def name_of(row: Sequence[Any]) -> bytes:
    """What names a row (see `plan.names_of_row`), as contexts have it."""
    return b"".join(map(_rendered, row))


def _rendered(part: Any) -> bytes:
    if isinstance(part, str):
        return b"\0" + part.encode()
    return b"\0%d" % part if isinstance(part, int) else b"\0" + bytes(part).hex().encode()
