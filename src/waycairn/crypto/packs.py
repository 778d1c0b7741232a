"""The key of a pack: what is in it is encrypted in place, without a nonce of its own beside it.

The key is BLAKE3's derive_key of the data key and the id of the pack, which is 16 random bytes that are never used again;
so the place in the pack is a nonce that is never used again: 8 bytes of it, little-endian, then 4 zeros.
"""

from __future__ import annotations

from waycairn.crypto.derived import cipher, derive
from waycairn.errors import Damaged
from waycairn.ports import Buffer

_PACKS = "waycairn 2026-11 key of a pack"


class AesPackKey:
    """Implements `ports.PackKey`."""

    def __init__(self, store: bytes, pack: str, generation: int, data_key: bytes) -> None:
        self.generation = generation
        self._pack = pack
        self._bound = len(store).to_bytes(2, "little") + store + bytes.fromhex(pack)
        self._cipher = cipher(derive(_PACKS, data_key, bytes.fromhex(pack)))

    def seal_into(self, plain: Buffer, place: int, context: bytes, target: memoryview) -> None:
        self._cipher.encrypt_into(_nonce(place), plain, self._bound + context, target)

    def unseal_into(self, sealed: Buffer, place: int, context: bytes, target: memoryview) -> None:
        from cryptography.exceptions import InvalidTag

        try:
            self._cipher.decrypt_into(_nonce(place), sealed, self._bound + context, target)
        except InvalidTag:
            raise Damaged(
                f"what is at byte {place} of pack {self._pack} does not open with the keys of this store: it was changed, "
                "was never sealed, or it belongs to another place, pack or store. Checkpoints that need it cannot be "
                "read. See `waycairn doctor`.",
                pack=self._pack,
                offset=place,
            ) from None


def _nonce(place: int) -> bytes:
    return place.to_bytes(12, "little")
