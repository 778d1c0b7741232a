"""Stops a stream whose lines are mostly unusable: a wrong format must not eat a file."""

from __future__ import annotations

from collections import deque

from waycairn.errors import TooManyDeadLetters
from waycairn.streams.records import DeadLetter, Taken

_WINDOW = 10_000
"""Lines that are looked at together."""
_LEAST = 100
"""Lines before which nothing is judged."""
_SAMPLES = 3
_SHOWN = 120
"""Bytes of a line in a message."""


class Wary:
    """Counts lines of the last batches; a pure look, before anything is committed."""

    def __init__(self, stream: str, ratio: float | None) -> None:
        if ratio is not None and not 0 <= ratio < 1:
            raise ValueError(f"max_dead_ratio is a share of lines, from 0 to below 1, not {ratio}")
        self._stream, self._ratio = stream, ratio
        self._window: deque[tuple[int, int]] = deque()
        self._lines = self._dead = 0
        self._until: dict[int, int] = {}
        """Of each generation the offset up to which its lines were counted: a batch may come again, in parts."""

    def look(self, taken: Taken) -> None:
        """Raises TooManyDeadLetters; then nothing of what was taken is consumed."""
        if self._ratio is None:
            return
        new = [one for one in taken.portions if one.after.offset > self._until.get(one.after.id, -1)]
        self._until.update((one.after.id, one.after.offset) for one in new)
        dead = sum(one.counts.dead + one.counts.skipped for one in new)
        self._count(dead + sum(one.counts.events for one in new), dead, taken)

    def refused(self, taken: Taken) -> None:
        """Its line was counted as good and is dead after all. Raises as `look`."""
        self._count(0, 1, taken)

    def _count(self, lines: int, dead: int, taken: Taken) -> None:
        if self._ratio is None:
            return
        self._window.append((lines, dead))
        self._lines += lines
        self._dead += dead
        while self._lines - self._window[0][0] >= _WINDOW:
            lines, dead = self._window.popleft()
            self._lines -= lines
            self._dead -= dead
        if self._lines >= _LEAST and self._dead > self._ratio * self._lines:
            raise self._refused([letter for portion in taken.portions for letter in portion.dead])

    def _refused(self, letters: list[DeadLetter]) -> TooManyDeadLetters:
        samples = "; ".join(_sample(letter) for letter in letters[:_SAMPLES])
        return TooManyDeadLetters(
            f"stream {self._stream!r} was stopped: {self._dead} of its last {self._lines} lines could not be used, which is "
            f"more than {self._ratio:.1%}. The newest batch was not consumed; what was committed before stands. {samples}. "
            "Correct the schema, or the file; or allow it with max_dead_ratio=.",
            stream=self._stream,
            dead=self._dead,
            lines=self._lines,
        )


def _sample(letter: DeadLetter) -> str:
    path, head = letter.path.decode("utf-8", "replace"), letter.head[:_SHOWN].decode("utf-8", "replace")
    return f"{path} byte {letter.offset} ({letter.kind}: {letter.error}): {head!r}"
