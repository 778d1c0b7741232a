"""Data keys that the caller has, as a Keyholder: what opens them, and where they are kept, is his."""

from __future__ import annotations

from collections.abc import Sequence

from waycairn.errors import NotEncrypted
from waycairn.model.keys import DataKeys, WrappedKey


class GivenKeys:
    """Implements `ports.Keyholder`. A store that is made with it holds no wrapped keys."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

    def open(self, store: str, rows: Sequence[WrappedKey], address: str) -> DataKeys:  # noqa: ARG002
        return self._keys

    def create(self, store: str) -> tuple[DataKeys, Sequence[WrappedKey]]:  # noqa: ARG002
        return self._keys, ()

    def meets_plain(self, address: str) -> None:
        raise NotEncrypted(
            f"the store at {address} is not encrypted, and it was opened with keys. Nothing was written. Open it without "
            "keys, or copy it into an encrypted one.",
            address=address,
        )
