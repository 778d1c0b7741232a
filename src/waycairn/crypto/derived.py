"""Keys that follow from a data key: one for each purpose, none of which tells anything about another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3

from waycairn.errors import Damaged
from waycairn.model.keys import DataKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE = 32
NONCE_SIZE = 12


def derive(purpose: str, *material: bytes) -> bytes:
    """32 bytes. BLAKE3's derive_key (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020), which wants a purpose that is
    written down once and never used for anything else; the material is a key and parts of fixed length."""
    return blake3(b"".join(material), derive_key_context=purpose).digest()


def cipher(key: bytes) -> AESGCM:
    """Imported here: a plain store never needs it, and it takes 30 ms."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def key_of(keys: DataKeys, generation: int, what: str) -> bytes:
    """Raises Damaged if the store never had that generation, or has it no more. `what` was sealed with it."""
    key = keys.by_generation.get(generation)
    if key is None:
        known = ", ".join(map(str, sorted(keys.by_generation))) or "none"
        raise Damaged(
            f"{what} does not open: it names generation {generation} of the data key, and the store has {known}. It is "
            "damaged, or of another store. It is not used. See `waycairn doctor`.",
            generation=generation,
        )
    if len(key) != KEY_SIZE:
        raise ValueError(f"a data key has {KEY_SIZE} bytes, not {len(key)}")
    return key
