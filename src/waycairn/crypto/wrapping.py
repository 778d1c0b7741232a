"""A key wrapped by another one: AES-256-GCM, bound to the place it belongs to. Version 1, 61 bytes:

    0   1   version, 1
    1  12   nonce, random
   13  32   the key, encrypted
   45  16   tag

The additional data are the words `waycairn key`, the version, and the id of the store, the id, the kind and the generation of
the row, each behind its length: a wrapped key that was moved to another row or another store does not open.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from waycairn.errors import Damaged
from waycairn.model.keys import PASSPHRASE, WrappedKey

KEY_SIZE = 32
_VERSION, _NONCE, _SIZE = 1, 12, 61
_SALT = 16
_TIMES, _MEMORY, _LANES = 3, 64 * 1024, 4
"""Argon2id: 0.1 s and 64 MiB a guess, what RFC 9106 recommends where memory is short."""
_MOST = {"times": 64, "memory": 4 * 1024 * 1024, "lanes": 64}
"""A damaged row must not ask for a terabyte."""
_CONTEXT = "waycairn wrapping key v1"


def new_key() -> bytes:
    return os.urandom(KEY_SIZE)


def new_parameters(kind: str) -> dict[str, Any]:
    """How a wrapping key will be made, with a fresh salt."""
    salt = os.urandom(_SALT).hex()
    if kind == PASSPHRASE:
        return {"salt": salt, "times": _TIMES, "memory": _MEMORY, "lanes": _LANES}
    return {"salt": salt}


def wrapping_key(kind: str, secret: bytes, parameters: Mapping[str, Any]) -> bytes:
    """From what somebody knows or has. Of a passphrase slowly, so that it cannot be guessed fast. Raises Damaged for
    parameters that make no sense."""
    salt = _salt_of(parameters)
    if kind != PASSPHRASE:
        return blake3(salt + secret, derive_key_context=_CONTEXT).digest()
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    costs = {name: _cost_of(parameters, name) for name in _MOST}
    return Argon2id(
        salt=salt, length=KEY_SIZE, iterations=costs["times"], lanes=costs["lanes"], memory_cost=costs["memory"]
    ).derive(secret)


def wrap(key: bytes, under: bytes, store: str, row: WrappedKey) -> bytes:
    """The bytes for the column `wrapped` of the row."""
    nonce = os.urandom(_NONCE)
    return bytes((_VERSION,)) + nonce + AESGCM(under).encrypt(nonce, key, _binding(store, row))


def unwrap(under: bytes, store: str, row: WrappedKey) -> bytes | None:
    """None if it was not wrapped by this key, for this row of this store. Raises Damaged if it is no wrapped key at all."""
    wrapped = row.wrapped
    if len(wrapped) != _SIZE or wrapped[0] != _VERSION:
        raise damaged(row, "it is not what a wrapped key looks like")
    try:
        return AESGCM(under).decrypt(wrapped[1 : 1 + _NONCE], wrapped[1 + _NONCE :], _binding(store, row))
    except InvalidTag:
        return None


def damaged(row: WrappedKey, detail: str) -> Damaged:
    return Damaged(
        f"the row {row.id} of the table keys is damaged: {detail}. Nothing was changed. If another way in opens the store, "
        "remove this one (`waycairn key list`, `waycairn key remove`); else take the catalog from a backup.",
        key=row.id,
    )


def _binding(store: str, row: WrappedKey) -> bytes:
    parts = ("waycairn key", str(_VERSION), store, row.id, row.kind, str(row.generation))
    return b"".join(len(part.encode()).to_bytes(4, "little") + part.encode() for part in parts)


def _salt_of(parameters: Mapping[str, Any]) -> bytes:
    try:
        return bytes.fromhex(parameters["salt"])
    except (KeyError, TypeError, ValueError):
        raise Damaged("the table keys is damaged: a salt is missing. Take the catalog from a backup.") from None


def _cost_of(parameters: Mapping[str, Any], name: str) -> int:
    value = parameters.get(name)
    if not isinstance(value, int) or not 1 <= value <= _MOST[name]:
        raise Damaged(
            f"the table keys is damaged: {name} of a passphrase is {value!r}. Take the catalog from a backup."
        )
    return value
