"""What one source says: values by section and field, and where each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from waycairn.settings.origin import Origin, Path


@dataclass(frozen=True, slots=True)
class Layer:
    """One source. Sources are asked from the strongest to the weakest."""

    values: Mapping[str, Any]
    """Section to field to value."""
    place: Callable[[Path], Origin]
    """Of a value that this source gives, or of the nearest thing around it."""

    def says(self, path: Path) -> bool:
        """Whether it gives a value there."""
        found: Any = self.values
        for step in path:
            if isinstance(found, Mapping):
                if step not in found:
                    return False
                found = found[step]
            elif isinstance(found, list | tuple) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return False
        return True
