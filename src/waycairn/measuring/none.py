"""A meter that measures nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class NoMeter:
    """Implements `ports.Meter`: performance tracking is off."""

    def timed(self, act: str, call: Callable[..., T], *given: Any, **facts: Any) -> T:  # noqa: ARG002 - the contract
        return call(*given)

    def record(self, name: str, value: float) -> None: ...

    def count(self, name: str) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...
