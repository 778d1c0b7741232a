"""The data keys of an encrypted store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DataKeys:
    """By generation; a rotation of the data key adds one. What is sealed names the generation it was sealed with."""

    current: int
    by_generation: Mapping[int, bytes] = field(repr=False)
    """32 bytes each."""
