"""What an encrypted store does to each column. A plain store does nothing; columns say it all the same, so that no
statement has to.

A value of a column without a word here lies in the clear. NULL stays NULL everywhere.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from waycairn.catalog.sql import Column

_KEY = "protection"
_HEAD = "head"


class Protection(Enum):
    """See docs/reference/encryption.md, which lists them column by column."""

    CLEAR = "clear"
    SEALED = "sealed"
    """Under a fresh nonce, bound to its table, column and row."""
    MATCHED = "matched"
    """Sealed so that the same value looks the same in all rows: it can be looked up, and is bound to its column."""
    HASHED = "keyed hash"
    """Only compared, never read."""
    KEYED = "keyed in any store"
    """A hash with the secret of the store as its key, as it is in a plain store."""


def _info(protection: Protection, **more: Any) -> dict[str, Any]:
    return {_KEY: protection, **more}


SEALED = _info(Protection.SEALED)
MATCHED = _info(Protection.MATCHED)
HASHED = _info(Protection.HASHED)
KEYED = _info(Protection.KEYED)
MANIFEST = _info(Protection.SEALED, head=2)
"""Sealed, but for the first two bytes: they say whether it refers to chunks, which a sweep asks of every one."""


def protection_of(column: Column[Any]) -> Protection:
    found: Protection = column.info.get(_KEY, Protection.CLEAR)
    return found


def head_of(column: Column[Any]) -> int:
    """How many bytes of it lie in the clear, and are there a second time inside the seal."""
    found: int = column.info.get(_HEAD, 0)
    return found


def is_touched(column: Column[Any]) -> bool:
    """Whether what an encrypted store holds there is not what was bound."""
    return protection_of(column) not in {Protection.CLEAR, Protection.KEYED}
