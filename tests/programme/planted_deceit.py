"""Mistakes of encryption, planted into a test process to prove that the harness of deceits finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["BUGS"]


def row_unbound() -> None:
    """A sealed value is bound to its column and not to its row."""
    from waycairn.catalog import sealed_session

    sealed_session.name_of = lambda row: b""


def column_unbound() -> None:
    """A sealed value is bound to its row and not to its column."""
    from waycairn.catalog.sealed_values import Seal

    init = Seal.__init__

    def init_carelessly(self: Seal, column: Any) -> None:
        init(self, column)
        self._context = column.table.name.encode()

    Seal.__init__ = init_carelessly


def column_in_the_clear() -> None:
    """One column is forgotten."""
    from waycairn.catalog import statement
    from waycairn.catalog.phrases import meant
    from waycairn.catalog.tables import runs

    for column in (runs.c.metadata, meant(runs).c.metadata):
        column.info = {}
    statement.find = lambda said: None  # what is known was compiled when it was sealed


def plain_taken() -> None:
    """A value that is not sealed is taken for one of a time before the store was encrypted."""
    from waycairn.catalog.sealed_values import Seal
    from waycairn.errors import Damaged

    opened = Seal.open

    def open_somehow(self: Seal, vault: Any, name: bytes, value: Any) -> Any:
        try:
            return opened(self, vault, name, value)
        except Damaged as error:
            if "not sealed" in str(error):
                return value
            raise

    Seal.open = open_somehow


def nonce_again() -> None:
    """Values are encrypted with the same nonce."""
    from waycairn.crypto import vault

    class Fixed:
        urandom = staticmethod(bytes)

    vault.os = Fixed


def nonce_of_packs_again() -> None:
    """All that is in a pack is encrypted with the same nonce."""
    from waycairn.crypto import derived, packs

    packs._nonce = lambda place: bytes(derived.NONCE_SIZE)


BUGS: Mapping[str, tuple[str, Callable[[], None]]] = {
    "row-unbound": ("deceit", row_unbound),
    "column-unbound": ("deceit", column_unbound),
    "column-in-the-clear": ("deceit", column_in_the_clear),
    "plain-taken": ("deceit", plain_taken),
    "nonce-again": ("deceit", nonce_again),
    "nonce-of-packs-again": ("deceit", nonce_of_packs_again),
}
"""By name: which harness must find it, and how it is planted."""
