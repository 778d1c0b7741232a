"""Leaving a run: what its status becomes, and what is recorded where it failed."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from waycairn.codec import encode
from waycairn.errors import Interrupted, StoreError, WaycairnError
from waycairn.model.states import RunStatus
from waycairn.store import CheckpointDraft
from waycairn.work.cut import END, Cutter
from waycairn.work.keys import shown

if TYPE_CHECKING:
    from waycairn.work.loop import Loop

log = logging.getLogger("waycairn")

_MOST_TRACEBACK = 20_000


def status_of(cutter: Cutter, loops: Iterable[Loop[Any]], *, is_completed: bool) -> RunStatus:
    """The status of a run whose body ended without an exception."""
    if cutter.progress.failed:
        return RunStatus.PARTIAL
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
        if cutter.state is None and cutter.pending:
            cutter.take(END)
        status = RunStatus.INTERRUPTED if isinstance(error, Interrupted | KeyboardInterrupt) else RunStatus.FAILED
        cutter.commit_status(status, None if isinstance(error, Interrupted) else facts, partial)
    except (WaycairnError, TypeError, ValueError) as second:
        log.error("run %s failed, and recording that failed too: %s", cutter.run, second)  # noqa: TRY400


def describe(error: BaseException, item: str | None) -> dict[str, Any]:
    """Type, message, place and traceback of an error, as JSON."""
    frames = traceback.extract_tb(error.__traceback__)
    text = "".join(traceback.format_exception(error))
    return {
        "type": type(error).__qualname__,
        "message": _clean(str(error)),
        "item": item,
        "where": _clean(f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}") if frames else None,
        "traceback": _clean(text[-_MOST_TRACEBACK:]),
    }


def _clean(text: str) -> str:
    """Text that every database takes: no NUL, no lone surrogate."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


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
