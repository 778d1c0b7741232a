"""Notices a step result that would be counted twice.

A state is restored to the newest cut, steps replay. Where a step that is older than the restored state is replayed
after `run.state(...)`, and the state then changes outside a loop, its result was probably added to a state that
holds it already. That cannot be told from harmless code by looking, so it is refused, with the way out.
"""

from __future__ import annotations

from blake3 import blake3

from waycairn.errors import StateAhead
from waycairn.model.encoded import Encoded
from waycairn.work.state import Slot


class StateGuard:
    def __init__(self) -> None:
        self._restored_at: int | None = None
        self._replayed: str | None = None
        self._before: bytes | None = None

    def note_restored(self, sequence: int) -> None:
        """The state was restored from this commit."""
        self._restored_at = sequence

    def note_replayed(self, step: str, sequence: int, state: Slot | None) -> None:
        """A remembered step returned its result instead of being called."""
        self.check(state)
        if state is None or self._restored_at is None or sequence >= self._restored_at:
            return
        if self._before is None:
            self._replayed, self._before = step, _digest(state.encode())

    def enter_loop(self, state: Slot | None) -> None:
        """A loop begins: the state is still as restored, and items are counted exactly once from here."""
        self.check(state)
        self._before = None

    def check(self, state: Slot | None) -> None:
        """Raises StateAhead if the state changed since an older step was replayed."""
        if state is None or self._before is None or _digest(state.encode()) == self._before:
            return
        raise StateAhead(
            f"the state was restored from commit {self._restored_at}, which is newer than step {self._replayed!r}; the "
            "step was replayed and the state changed after it, so its result would be counted twice. Nothing was "
            "committed. Call run.step before run.state, or compute the state from the step results without "
            "run.state, or do the accumulation inside run.each.",
            step=self._replayed,
            sequence=self._restored_at,
        )


def _digest(encoded: Encoded) -> bytes:
    """A digest, since the buffers are views of the user's memory and change with it."""
    digest = blake3(encoded.document)
    for view in encoded.buffers:
        digest.update(view)
    return digest.digest()
