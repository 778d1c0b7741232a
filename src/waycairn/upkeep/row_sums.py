"""What rows hold, as one number: the same whichever database they come from, in any order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blake3 import blake3


@dataclass(slots=True)
class RowSum:
    """Of any number of rows. Two are equal if the rows are."""

    count: int = 0
    hashes: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self.count += 1
        self.hashes = (self.hashes + int.from_bytes(blake3(_canonical(row)).digest(), "big")) % (1 << 256)

    def __str__(self) -> str:
        return f"{self.count}:{self.hashes:064x}"


def _canonical(row: Mapping[str, Any]) -> bytes:
    return json.dumps(_plain(row), sort_keys=True, ensure_ascii=True).encode()


def _plain(value: Any) -> Any:
    """JSONB and REAL give whole numbers as they like: 1.0 or 1."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
