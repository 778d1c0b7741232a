"""Leaving a run: what its status becomes, and what is recorded where it failed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from waycairn.codec import encode
from waycairn.codec.keys import shown
from waycairn.errors import Interrupted, StoreError, WaycairnError
from waycairn.model.states import RunStatus
from waycairn.store import CheckpointDraft
from waycairn.work.cut import Cutter
from waycairn.work.facts import describe
from waycairn.work.request import END

if TYPE_CHECKING:
    from waycairn.work.passing import Looped

log = logging.getLogger("waycairn")


def status_of(cutter: Cutter, loops: Iterable[Looped], *, is_completed: bool) -> RunStatus:
    """The status of a run whose body ended without an exception."""
    if cutter.progress_now().failed:
        return RunStatus.PARTIAL
    for loop in loops:
        loop.warn_if_unused()
    if not is_completed and any(not loop.is_exhausted for loop in loops):
        return RunStatus.INTERRUPTED
    return RunStatus.COMPLETED


def leave_normally(cutter: Cutter, status: RunStatus) -> None:
    """The last cut and the new status in one commit."""
    cutter.take(cutter.wanted or END, status=status)


def leave_by_error(cutter: Cutter, error: BaseException) -> None:
    """Record where it failed and what there was; the last cut stands. Never hides the error that is under way."""
    if isinstance(error, StoreError):
        log.error("the store failed; the last commit of run %s is %d and stands", cutter.run, cutter.sequence)
        return
    try:
        item = cutter.open_item or cutter.left_item  # a loop that an exception passes through is closed before us
        where = None if item is None else shown(item[1])
        facts = describe(error, where)
        partial = _partial(cutter, facts)
        cutter.abandon_item()
        if cutter.state is None and not (cutter.items.is_empty and cutter.journal.is_empty):
            cutter.take(END)
        elif cutter.state is not None:
            cutter.items.clear()
            cutter.commit_computed()
        status = RunStatus.INTERRUPTED if isinstance(error, Interrupted | KeyboardInterrupt) else RunStatus.FAILED
        told = None if isinstance(error, Interrupted) else facts
        cutter.commit_beside(status=status, error=told, checkpoint=partial)
    except (WaycairnError, TypeError, ValueError) as second:
        log.error("run %s failed, and recording that failed too: %s", cutter.run, second)  # noqa: TRY400


def _partial(cutter: Cutter, facts: Mapping[str, Any]) -> CheckpointDraft | None:
    """The error checkpoint: the state as it was in the moment of the error, for inspection, never restored from."""
    if cutter.state is None:
        state: Any = None
    else:
        state = cutter.state.target
    for partial in (state, repr(state)[:10_000]):
        try:
            encoded = encode({"error": dict(facts), "state": partial, "done": cutter.progress_now().done})
        except (TypeError, ValueError):
            continue  # the error may well be that the state cannot be stored
        return CheckpointDraft(kind="error", role="error", encoded=encoded, reason="error")
    return None
