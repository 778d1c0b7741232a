"""What the field of a section may say of itself beside its type: `url: str | None = field(default=None, metadata=PATH)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECRET: Mapping[str, Any] = {"secret": True}
"""Never shown, logged or stored in the clear."""
PATH: Mapping[str, Any] = {"path": True}
"""A path, or the address of something else: one that a file gives is relative to the directory of that file."""
