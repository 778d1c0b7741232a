"""Time, memory, and objects with a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

Buffer = bytes | bytearray | memoryview


class Clock(Protocol):
    """Time as waycairn sees it, so that tests can move it."""

    def now(self) -> float:
        """Seconds since 1970, UTC. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds, never going back within this process."""
        ...

    def sleep(self, seconds: float) -> None: ...


@runtime_checkable
class Stateful(Protocol):
    """Anything that can hand out its state and take it back."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None: ...
