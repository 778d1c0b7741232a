"""Where a value comes from, in words that lead a person there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["argument", "environment", "file", "preset", "default"]
Path = tuple[str | int, ...]
"""Of a value: ("saving", "pace"), ("retention", "policies", 0, "last")."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One place."""

    source: Source
    name: str = ""
    """The file, the variable, the argument or the preset."""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        match self.source:
            case "file":
                at = "" if self.line is None else f":{self.line}:{self.column}"
                return f"{self.name}{at}"
            case "environment":
                return self.name
            case "default":
                return "default"
            case _:
                return f"{self.source} {self.name}"


DEFAULT = Origin("default")


def dotted(path: Path) -> str:
    """As people write it: `retention.policies[0].last`."""
    words = ""
    for step in path:
        words += f"[{step}]" if isinstance(step, int) else f"{'.' if words else ''}{step}"
    return words
