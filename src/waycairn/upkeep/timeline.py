"""The life of a run: each time somebody entered it, and what happened to it, as far as the store knows.

Entries are rows of their own since format 5; of earlier ones only their number is known. What a checkpoint that is gone was
taken for, and acts that the audit log does not hold any more, are not there either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from waycairn.model.audit import Outcome
from waycairn.model.entries import Ending, RunEntry
from waycairn.model.records import CheckpointFilter, CheckpointRecord, Owner, RunRecord
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.standing import ORPHANED, owner_words, root_of, standing_of

MOST_EVENTS = 500
_CHECKPOINTS, _ACTS = 1000, 500
"""Looked at, the newest."""
_PACED = "pace"
_REASONS = {
    "start": "at the start",
    "end": "at the end",
    "signal": "because of a signal",
    "error": "because of an error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One entry into the run."""

    epoch: int
    begun: float
    ended: float | None
    """When it left, or the last that is known of one that never did; None while it goes on, and where nobody knows."""
    commits: int | None
    """How many it made; None for a phase, which is not entered by itself."""
    end: str | None
    """A RunStatus or an Ending; None while it goes on."""
    owner: Owner

    @property
    def seconds(self) -> float | None:
        return None if self.ended is None else max(0.0, self.ended - self.begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    at: float
    what: str
    """A word: begun, entered, resumed, left, orphaned, displaced, forked, checkpoint, or an act of the audit log."""
    text: str
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    attempts: Sequence[Attempt]
    """Newest first. Of a phase those of its root, which is what is entered."""
    events: Sequence[Event]
    """Newest first, at most MOST_EVENTS."""


def timeline_of(core: StoreCore, run: RunRecord) -> Timeline:
    attempts = attempts_of(core, run)
    entered = _of_attempts(root_of(core, run), attempts[::-1])
    events = [*_of_beginning(run), *entered, *_of_checkpoints(core, run), *_of_acts(core, run)]
    # Of two at once the later one in the list came later: whoever begins a run enters it then.
    newest_first = sorted(events, key=lambda event: event.at)[::-1]
    return Timeline(attempts, newest_first[:MOST_EVENTS])


def attempts_of(core: StoreCore, run: RunRecord) -> Sequence[Attempt]:
    """Newest first; see Timeline."""
    root = root_of(core, run)
    entries = core.catalog.entries(root.id)
    is_orphaned = standing_of(core, root).word == ORPHANED
    return list(_attempts(root, entries, is_orphaned=is_orphaned, is_phase=run.id != root.id))[::-1]


# -- attempts ----------------------------------------------------------------------------------------------------


def _attempts(root: RunRecord, entries: Sequence[RunEntry], *, is_orphaned: bool, is_phase: bool) -> Iterator[Attempt]:
    ends = [*(entry.sequence for entry in entries), root.sequence][1:]
    for entry, sequence in zip(entries, ends, strict=True):
        end, ended = entry.ending, entry.ended
        if end is None and (is_orphaned or entry.epoch != root.epoch or root.status is not RunStatus.RUNNING):
            # Nobody entered since, so nobody noted it: the last that is known is the newest commit.
            end = Ending.ORPHANED.value
            ended = max(entry.begun, root.updated) if root.status is RunStatus.RUNNING else None
        yield Attempt(
            epoch=entry.epoch,
            begun=entry.begun,
            ended=ended,
            commits=None if is_phase else sequence - entry.sequence,
            end=end,
            owner=entry.owner,
        )


# -- events ------------------------------------------------------------------------------------------------------


def _of_beginning(run: RunRecord) -> Iterator[Event]:
    if run.origin is not None:
        yield Event(at=run.created, what="forked", text=f"forked from {run.origin}", actor=run.account)
    else:
        yield Event(at=run.created, what="begun", text="begun", actor=run.account)


def _of_attempts(root: RunRecord, attempts: Sequence[Attempt]) -> Iterator[Event]:
    before: Attempt | None = None
    for attempt in attempts:
        who = f"{owner_words(attempt.owner)}, epoch {attempt.epoch}"
        if before is None and root.origin is None and attempt.epoch == 1:
            yield Event(at=attempt.begun, what="entered", text=f"entered by {who}")
        elif before is not None and before.end == RunStatus.COMPLETED:
            yield Event(at=attempt.begun, what="entered", text=f"entered again, completed, by {who}")
        else:
            yield Event(at=attempt.begun, what="resumed", text=f"resumed by {who}")
        yield from _of_end(attempt)
        before = attempt


def _of_end(attempt: Attempt) -> Iterator[Event]:
    if attempt.end is None or attempt.ended is None:
        return
    who = owner_words(attempt.owner)
    if attempt.end == Ending.ORPHANED:
        yield Event(at=attempt.ended, what=attempt.end, text=f"the last that was heard of {who}, which never left it")
    elif attempt.end == Ending.DISPLACED:
        yield Event(at=attempt.ended, what=attempt.end, text=f"the last commit of {who}, which was fenced out")
    else:
        yield Event(at=attempt.ended, what="left", text=f"left {attempt.end} by {who}")


def _of_checkpoints(core: StoreCore, run: RunRecord) -> Iterator[Event]:
    for record in core.catalog.list_checkpoints(CheckpointFilter(run=run.id, limit=_CHECKPOINTS)):
        said = _said_of(record)
        if said:
            text = f"checkpoint {record.id} ({record.checkpoint.kind}) {said}"
            yield Event(at=record.created, what="checkpoint", text=text)


def _said_of(record: CheckpointRecord) -> str:
    """Why it was taken; nothing for those that the pace took."""
    held = record.checkpoint
    if held.reason not in {None, _PACED}:
        return _REASONS.get(str(held.reason), f"because of {held.reason}")
    if held.role == "result":
        return "with what it returned"
    if held.tags:
        return f"tagged {', '.join(held.tags)}"
    return f"described as {held.description!r}" if held.description else ""


def _of_acts(core: StoreCore, run: RunRecord) -> Iterator[Event]:
    """Those that were begun are told when they ended."""
    for row in core.catalog.audit_of_run(run.id, _ACTS):
        entry = row.entry
        if row.damage is None and entry.outcome is not Outcome.BEGUN:
            ended = "" if entry.outcome is Outcome.DONE else f", {entry.outcome.value}"
            of = "" if entry.object == run.id else f" of {entry.object}"
            yield Event(at=entry.at, what=entry.act, text=f"{entry.act}{of}{ended}", actor=entry.actor)
