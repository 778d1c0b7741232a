"""The copies of one snapshot, from the moment of the cut until they are there; and the guard that none is torn.

*Late* copies are of tensors that an optimizer owns: the job goes on at once, and is held, on the device, where the
optimizer is about to change them. *Early* ones are of all others: what the job does next waits for them, on the device.
In neither case does the host wait.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from waycairn.codec.lanes import Event, Lane
from waycairn.codec.owners import Owned
from waycairn.codec.pinned import Piece


@dataclass(slots=True)
class Batch:
    """What is copied at once: one large tensor, or small ones behind each other."""

    lane: Lane
    is_late: bool
    target: Piece
    sources: list[Any] = field(default_factory=list)
    """Kept until they are copied: memory of a device that is let go is lent to somebody else at once."""
    size: int = 0

    def add(self, flat: Any) -> memoryview:
        """Where it is going to be."""
        start, self.size = self.size, self.size + flat.numel()
        self.sources.append(flat)
        return self.target.view(start, self.size)

    def has_room(self, size: int) -> bool:
        return self.size + size <= self.target.size

    def launch(self) -> None:
        self.lane.copy(self.sources, self.target.tensor(self.size))


class Transfer:
    """Under way from `launch` on. `release` gives its memory back, once and not before the devices are done with it."""

    def __init__(self, batches: Sequence[Batch], owned: Sequence[Owned], give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back
        self._batches = batches
        self._versions = [(one, one.version) for one in owned]
        self._events: list[Event] = []
        self._late: list[tuple[Lane, Event]] = []
        self._lock = threading.Lock()
        self._is_over = self._is_passed = False
        self._changed: list[str] = []
        self._pid = os.getpid()

    def launch(self) -> None:
        """On the thread of the job, at the cut. Early ones first: those are waited for soonest."""
        for lane in {id(batch.lane): batch.lane for batch in self._batches}.values():
            lane.begin()
            self._send(lane, is_late=False)
            self._send(lane, is_late=True)

    def _send(self, lane: Lane, *, is_late: bool) -> None:
        batches = [batch for batch in self._batches if batch.lane is lane and batch.is_late is is_late]
        if not batches:
            return
        try:
            for batch in batches:
                batch.launch()
        finally:  # also of those before the one that was refused
            event = lane.mark()
            self._events.append(event)
        if is_late:
            self._late.append((lane, event))
        else:
            lane.hold_job(event)

    def let_change(self) -> None:
        """An optimizer is about to change what it owns: its device waits for the late copies before."""
        with self._lock:
            if self._is_over:
                return
            if not self._is_passed:
                self._is_passed = True
                self._changed = self._find_changed()
        for lane, event in self._late:
            lane.hold_job(event)

    def _find_changed(self) -> list[str]:
        changed = (owned.path for owned, version in self._versions if owned.version != version)
        return list(dict.fromkeys(changed))  # tied ones are there more than once

    def wait(self) -> None:
        """Until everything is there, on any thread. Raises what a device says went wrong, and RuntimeError if a tensor
        was changed while it may have been on its way."""
        for event in self._events:
            event.synchronize()
        with self._lock:
            if not (self._is_passed or self._is_over):
                self._changed = self._find_changed()
            self._is_over = True
        if self._changed:
            raise RuntimeError(_torn(self._changed))

    def release(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is None or self._pid != os.getpid():
            return
        for event in self._events:
            with suppress(Exception):  # was raised by `wait`; a device that failed writes no more
                event.synchronize()
        self._is_over = True
        self._batches, self._versions = [], []
        give_back()

    def __del__(self) -> None:
        # A cut that failed between its copy and its commit: with its memory lent for ever, later ones would wait for ever.
        self.release()


def _torn(paths: Sequence[str]) -> str:
    named = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return (
        f"{named} changed between a save and the next step of the optimizer, while the device was still copying: the copy "
        "may hold half of the change. That save was given up; the one before it stands. Change weights in the step of the "
        "optimizer or behind it, before the loop asks for its next step, and not at its beginning."
    )
