"""What the ledger of an encrypted store keeps of lines and states, sealed: it lies in the database of the sink, beside rows
that the user writes as he likes.

A sealed value begins with a mark, so that a ledger can be told from one of a plain store: those of before go on being read,
and a plain store says that it cannot read what an encrypted one wrote. The key follows from the secret of the store, not from
the data key: a rotation need not reach a database that may be away.
"""

from __future__ import annotations

import binascii
from typing import Any, TypeVar

from sqlalchemy import Connection

from waycairn.errors import KeyMissing
from waycairn.ports import Vault

_OPTION = "waycairn_vault"
MARK = b"\xe1waycairn sealed\n"
_TEXT_MARK = "waycairn sealed: "
T = TypeVar("T")


def with_vault(place: T, vault: Vault | None) -> T:
    """An engine, or a connection, whose ledger is sealed."""
    options: Any = place
    return place if vault is None else options.execution_options(**{_OPTION: vault})


def vault_of(connection: Connection) -> Vault | None:
    found: Vault | None = connection.get_execution_options().get(_OPTION)
    return found


def seal_bytes(connection: Connection, value: bytes, *place: object) -> bytes:
    vault = vault_of(connection)
    return value if vault is None else MARK + vault.seal(value, _context(place))


def seal_text(connection: Connection, value: str, *place: object) -> str:
    vault = vault_of(connection)
    if vault is None:
        return value
    sealed = vault.seal(value.encode("utf-8", "surrogatepass"), _context(place))
    return _TEXT_MARK + binascii.b2a_base64(sealed, newline=False).decode()


def open_bytes(connection: Connection, value: bytes, *place: object) -> bytes:
    """As it was. Raises KeyMissing for what a plain store finds of an encrypted one; Damaged."""
    if not value.startswith(MARK):
        return value
    return _vault(connection).unseal(value[len(MARK) :], _context(place))


def open_text(connection: Connection, value: str, *place: object) -> str:
    """The same for text."""
    if not value.startswith(_TEXT_MARK):
        return value
    sealed = binascii.a2b_base64(value[len(_TEXT_MARK) :])
    return _vault(connection).unseal(sealed, _context(place)).decode("utf-8", "surrogatepass")


def is_for_nobody(connection: Connection, value: bytes) -> bool:
    """Sealed, and nobody here can open it."""
    return value.startswith(MARK) and vault_of(connection) is None


def refuse_unopened(connection: Connection, value: bytes) -> None:
    """Who goes on with a stream needs its state. Raises KeyMissing."""
    if value.startswith(MARK):
        _vault(connection)


def _vault(connection: Connection) -> Vault:
    vault = vault_of(connection)
    if vault is None:
        raise KeyMissing(
            "this ledger holds what an encrypted store sealed, and it was opened without that store. Nothing was read. Follow "
            "the stream with the encrypted store, or reset it: waycairn stream reset"
        )
    return vault


def _context(place: tuple[object, ...]) -> bytes:
    return "\0".join(map(str, ("ledger", *place))).encode("utf-8", "surrogatepass")
