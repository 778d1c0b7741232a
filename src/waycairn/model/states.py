"""The statuses of a run and what may follow what."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Status as stored. Whether a running run's owner still lives is a question to `process`, not to a row."""

    RUNNING = "running"
    """Entered and not left; its owner may have died."""
    COMPLETED = "completed"
    """Every loop was exhausted and nothing failed, or the job said so."""
    PARTIAL = "partial"
    """Left normally, but items failed."""
    INTERRUPTED = "interrupted"
    """Left by `break` or by a signal, with the cut taken."""
    FAILED = "failed"
    """Left by an exception; an error checkpoint says where."""
    DISCARDED = "discarded"
    """A person gave it up. It is never resumed; entering it again starts anew."""

    @property
    def is_finished(self) -> bool:
        """True if entering the run again is not a resumption of unfinished work."""
        return self in (RunStatus.COMPLETED, RunStatus.DISCARDED)


class CheckpointStatus(StrEnum):
    VALID = "valid"
    DAMAGED = "damaged"
    """A read found bytes that do not match; kept for inspection, never restored from."""
    SET_ASIDE = "set-aside"
    """The run went back behind it; intact, kept for inspection, never restored from."""


CUT_BACK = "cut back to"
"""How the damage of a checkpoint begins that its run went back behind."""
