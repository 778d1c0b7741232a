"""What an examination found, for a person and for a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "note", "warning", "bad"]
"""`bad`: something is wrong now, data included. `warning`: a promise may not hold here. `note`: good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    """What was looked at, in a word or two; stable."""
    level: Level
    what: str
    means: str = ""
    """What it means for the data."""
    do: str = ""
    """What to do about it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON values."""
