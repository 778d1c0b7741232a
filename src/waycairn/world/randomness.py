"""Randomness. Ids are made here, from the kernel, so that a forked child never repeats its parent's."""

from __future__ import annotations

import os

from waycairn.model.ids import OperationId, PackId, RunId

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no i, l, o, u, so that an id can be read aloud."""


def new_run_id() -> RunId:
    number = int.from_bytes(os.urandom(8), "big") >> 4
    return RunId("".join(_ALPHABET[(number >> shift) & 31] for shift in range(0, 60, 5)))


def new_pack_id() -> PackId:
    return PackId(os.urandom(16).hex())


def new_operation_id() -> OperationId:
    return OperationId(os.urandom(16))


def new_secret() -> bytes:
    """32 random bytes."""
    return os.urandom(32)


def chance() -> float:
    """A number from 0 up to 1, for waits that must not coincide."""
    return int.from_bytes(os.urandom(7), "big") / 2**56


def new_nonce() -> str:
    return os.urandom(8).hex()
