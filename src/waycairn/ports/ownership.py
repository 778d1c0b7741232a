"""Who holds a run."""

from __future__ import annotations

from typing import Protocol

from waycairn.model.ids import RunId
from waycairn.model.records import (
    Owner,
    RunRecord,
)


class Hold(Protocol):
    """A claim that this process has on one run in one epoch."""

    @property
    def owner(self) -> Owner: ...

    def is_lost(self) -> bool:
        """True once the claim is known to be gone (lease ran out, a newer epoch). Only a hint: commits are fenced."""
        ...

    def release(self) -> None:
        """Give it back. Idempotent; does nothing in a forked child."""
        ...


class Ownership(Protocol):
    """Who holds a run. Safety comes from the epoch in every commit; this decides only who may try."""

    def claim(self, run: RunId, epoch: int) -> Hold | None:
        """Hold this epoch of the run, before the catalog names it; None if another living process does."""
        ...

    def holder(self, run: RunRecord) -> Owner | None:
        """The living owner of the run's present epoch, None if its owner is dead or it was left."""
        ...

    def has_rival(self, run: RunRecord) -> bool:
        """Whether an owner before may still run, as the row was found: it was displaced by force, or its lease ran
        out where it cannot be seen."""
        ...

    def forget(self, run: RunId, before_epoch: int) -> None:
        """Remove what dead owners of older epochs left behind; a living one notices. Idempotent."""
        ...
