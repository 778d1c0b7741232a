"""Whether the same is told again: once in a while, and what was held back is told in one sentence afterwards. Pure."""

from __future__ import annotations

from collections.abc import Mapping


class Throttle:
    """`told`: when each thing was told last (seconds since 1970); `held`: how often it was held back since then."""

    def __init__(
        self, window: float, told: Mapping[str, float] | None = None, held: Mapping[str, int] | None = None
    ) -> None:
        self._window = window
        self.told = dict(told or {})
        self.held = dict(held or {})

    def admit(self, key: str, now: float) -> bool:
        """Whether it may be told now; if not it is held back, and counted."""
        if self._is_closed(key, now):
            self.held[key] = self.held.get(key, 0) + 1
            return False
        self.told[key] = now
        return True

    def released(self, key: str) -> int:
        """How often it was held back before it was admitted; asked for once."""
        return self.held.pop(key, 0)

    def digest(self, now: float) -> dict[str, int]:
        """What was held back and not told since, and how often; its time is over, and it is forgotten by that."""
        due = {key: count for key, count in self.held.items() if not self._is_closed(key, now)}
        for key in due:
            del self.held[key]
        self.told = {key: at for key, at in self.told.items() if self._is_closed(key, now) or key in self.held}
        return due

    def _is_closed(self, key: str, now: float) -> bool:
        """A time in the future is of a clock that was set back: it holds nothing back."""
        at = self.told.get(key)
        return at is not None and at <= now < at + self._window
