"""The keys of the packs of an encrypted store, each by the generation that its header names."""

from __future__ import annotations

import threading

from waycairn.chunks import pack_file
from waycairn.model.ids import PackId
from waycairn.model.vault import PackKey, Vault
from waycairn.ports import Blobs

_MOST = 4096
"""Packs whose generation is remembered."""


class PackKeys:
    """Thread-safe."""

    def __init__(self, blobs: Blobs, store: str, vault: Vault) -> None:
        self._blobs = blobs
        self._store = store
        self._vault = vault
        self._lock = threading.Lock()
        self._generations: dict[PackId, int] = {}

    def of(self, pack: PackId) -> PackKey:
        """Reads the header of a pack that was not met before. Raises Damaged, also for a pack that is not encrypted."""
        generation = self._generations.get(pack)
        if generation is None:
            generation = self._read(pack)
            with self._lock:
                if len(self._generations) >= _MOST:
                    self._generations.clear()
                self._generations[pack] = generation
        return self._vault.pack_key(pack, generation)

    def _read(self, pack: PackId) -> int:
        header = bytearray(pack_file.HEADER_SIZE)
        self._blobs.read_into(pack, 0, memoryview(header))
        generation = pack_file.read_header(bytes(header), self._store, pack, is_encrypted=True).generation
        assert generation is not None  # `read_header` refuses what the store cannot have written
        return generation
