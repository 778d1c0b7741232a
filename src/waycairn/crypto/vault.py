"""Values sealed one by one. A sealed value, byte by byte:

    0   1   version, E1
    1   2   generation of the data key, little-endian
    3   8   salt: one of each session (a vault that was opened, up to 2**31 values)
   11  12   nonce, random
   23   n   the value, encrypted with AES-256-GCM
  23+n  16  its tag

The key is BLAKE3's derive_key of the data key and the salt; so a random nonce has to be fresh only among the values of
one session, of which there are too few for two to meet (2**31 of 2**96: 2**-35), and a store may hold any number of
values. What is bound to it (the additional data of AES-GCM): the version, the id of the store with its length, the
context.

A matched value, which is looked up by what it holds, is the same wherever it is the same: AES-256-SIV (RFC 5297; 16 bytes
of it, then the value, encrypted) with a key that follows from the secret of the store, so that a rotation, which cannot
change all of them at once, need not change any.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from blake3 import blake3

from waycairn.crypto.derived import NONCE_SIZE, cipher, derive, key_of
from waycairn.crypto.packs import AesPackKey
from waycairn.errors import Damaged
from waycairn.model.keys import DataKeys
from waycairn.model.vault import TAG_SIZE
from waycairn.ports import Buffer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

VERSION = 0xE1
_HEADER = struct.Struct("<BH8s")
_SALT_SIZE = 8
_BEGINS = _HEADER.size + NONCE_SIZE
OVERHEAD = _BEGINS + TAG_SIZE
"""Bytes that a sealed value is longer than the value."""
_MOST = 2**31
_SESSIONS = 4096
"""Keys that are kept of those who wrote what is read now: one of each process that ever wrote, at 1 KB."""
_PACKS = 1024
_VALUES = "waycairn 2026-11 key of sealed values"
_DIGESTS = "waycairn 2026-11 key of digests: "
_MATCHED = (
    "waycairn 2026-11 first half of the key of matched values",
    "waycairn 2026-11 second half of the key of matched values",
)


class AesVault:
    """Implements `ports.Vault`. Thread-safe, and safe in a forked child: nonces are random, never counted."""

    def __init__(self, store: str, keys: DataKeys, secret: bytes = b"") -> None:
        """`store` is the id of the store. `secret` is that of the store (never changed by a rotation), which digests are
        keyed with: it lies sealed in the catalog, so the vault that opens it has none yet, and gives no digests."""
        self._store = name = store.encode()
        self._bound = bytes((VERSION,)) + len(name).to_bytes(2, "little") + name
        self._keys = keys
        self._secret = secret
        self._lock = threading.Lock()
        self.renewing: Callable[[], DataKeys] | None = None
        """Asks for the keys as they are now: another process may have changed them."""
        self._cipher_of = lru_cache(_SESSIONS)(self._make_cipher)
        self._digest_key = lru_cache(64)(self._make_digest_key)
        self._pack_key = lru_cache(_PACKS)(self._make_pack_key)
        key_of(keys, keys.current, "this store")
        self._begin_session()

    @property
    def generation(self) -> int:
        return self._keys.current

    def renew(self, keys: DataKeys) -> None:
        """The keys as they are now. What is sealed from here on is sealed with the newest."""
        with self._lock:
            self._keys = keys
            self._begin_session()

    def _key_of(self, generation: int, what: str) -> bytes:
        """A generation that is newer than all that are known was made by another process since."""
        if generation > self._keys.current and self.renewing is not None:
            self.renew(self.renewing())
        return key_of(self._keys, generation, what)

    def _begin_session(self) -> None:
        self._salt = os.urandom(_SALT_SIZE)
        self._header = _HEADER.pack(VERSION, self._keys.current, self._salt)
        self._cipher = self._cipher_of(self._keys.current, self._salt)
        self._left = _MOST

    def _make_cipher(self, generation: int, salt: bytes) -> AESGCM:
        return cipher(derive(_VALUES, self._keys.by_generation[generation], salt))

    def _make_digest_key(self, purpose: str) -> bytes:
        return derive(_DIGESTS + purpose, self._known_secret)

    def _make_pack_key(self, pack: str, generation: int) -> AesPackKey:
        return AesPackKey(self._store, pack, generation, self._key_of(generation, f"pack {pack}"))

    @property
    def _known_secret(self) -> bytes:
        if not self._secret:
            raise ValueError("this vault was made to open the secret of its store, and gives no digests before that")
        return self._secret

    @cached_property
    def _siv(self) -> AESSIV:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(b"".join(derive(half, self._known_secret) for half in _MATCHED))

    def seal(self, plain: Buffer, context: bytes) -> bytes:
        with self._lock:
            if not self._left:
                self._begin_session()
            self._left -= 1
            header, engine = self._header, self._cipher
        nonce = os.urandom(NONCE_SIZE)
        return header + nonce + engine.encrypt(nonce, plain, self._bound + context)

    def unseal(self, sealed: Buffer, context: bytes) -> bytes:
        view = memoryview(sealed)
        if len(view) < OVERHEAD or view[0] != VERSION:
            raise Damaged(
                f"{_shown(context)} is not sealed, and everything like it in an encrypted store is: it was put there by "
                "something else than waycairn, or it is damaged. It is not used. See `waycairn doctor`."
            )
        from cryptography.exceptions import InvalidTag

        _, generation, salt = _HEADER.unpack_from(view)
        self._key_of(generation, _shown(context))
        engine = self._cipher_of(generation, salt)
        try:
            return engine.decrypt(view[_HEADER.size : _BEGINS], view[_BEGINS:], self._bound + context)
        except InvalidTag:
            raise Damaged(
                f"{_shown(context)} does not open with the keys of this store: it was changed, or it belongs to another "
                "place, row or store. It is not used. See `waycairn doctor`."
            ) from None

    def match(self, plain: Buffer, context: bytes) -> bytes:
        return self._siv.encrypt(bytes(plain), [self._bound + context])

    def unmatch(self, matched: Buffer, context: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._siv.decrypt(bytes(matched), [self._bound + context])
        except InvalidTag:
            raise Damaged(
                f"{_shown(context)} does not open with the keys of this store: it was changed, was never sealed, or it "
                "belongs to another place or store. It is not used. See `waycairn doctor`."
            ) from None

    def pack_key(self, pack: str, generation: int | None = None) -> AesPackKey:
        return self._pack_key(pack, self._keys.current if generation is None else generation)

    def digest(self, purpose: str, data: Buffer) -> bytes:
        return blake3(data, key=self._digest_key(purpose)).digest()


def _shown(context: bytes) -> str:
    """The context as far as it is text (table, column, row)."""
    return context.decode("utf-8", "backslashreplace").replace("\0", " ") or "a sealed value"
