"""How often a failed call is made again, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Matches = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try an item again before it counts as failed.

    Between two tries lie `wait` seconds, doubled each time up to `max_wait`, of which a random half is left out so that
    many do not come back at once. Meanwhile other items run: waiting holds no worker. An error that says when to come
    back (an attribute `retry_after` in seconds, or `response.headers["Retry-After"]`, as httpx has it) is believed:
    no item begins before that time, of those that wait in workers neither.
    """

    attempts: int = 3
    """How often it is tried in all."""
    wait: float = 1.0
    max_wait: float = 60.0
    on: Matches = Exception
    """Which errors are worth it: an exception type, several, or a function of the error."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"an item is tried at least once, so attempts cannot be {self.attempts!r}")
        if self.wait < 0 or self.max_wait < 0:
            raise ValueError(f"waits are seconds from 0 up, not wait={self.wait!r}, max_wait={self.max_wait!r}")

    @classmethod
    def of(cls, value: Retry | int | None) -> Retry:
        """From what a user writes: a Retry, the number of attempts, or None (one attempt)."""
        if value is None:
            return cls(attempts=1)
        return value if isinstance(value, Retry) else cls(attempts=value)

    def matches(self, error: BaseException) -> bool:
        """Whether such an error is worth another try."""
        if isinstance(self.on, type | tuple):
            return isinstance(error, self.on)
        return bool(self.on(error))

    def seconds(self, failed: int, chance: float) -> float:
        """How long to wait after so many failures; `chance` is random between 0 and 1."""
        longest = min(self.max_wait, self.wait * 2.0 ** min(failed - 1, 60))
        return longest * (0.5 + 0.5 * chance)
