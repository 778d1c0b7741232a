"""The keys of an encrypted store: as they are at work, and as the catalog keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PASSPHRASE, KEY, DATA = "passphrase", "key", "data"
"""Kinds of wrapped keys. The first two are ways in: each holds the main key, wrapped by what a passphrase or a key gives.
Data keys are wrapped by the main key."""
WAYS_IN = (PASSPHRASE, KEY)


@dataclass(frozen=True, slots=True)
class DataKeys:
    """By generation; a rotation of the data key adds one. What is sealed names the generation it was sealed with."""

    current: int
    by_generation: Mapping[int, bytes] = field(repr=False)
    """32 bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """One row of `keys`."""

    id: str
    generation: int
    """Of a data key; 0 for all others."""
    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """How the wrapping key is made (nothing secret), a label; of an old data key how far its rotation is."""
    wrapped: bytes = field(repr=False)
    created: float

    @property
    def is_way_in(self) -> bool:
        return self.kind in WAYS_IN
