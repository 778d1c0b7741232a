"""How a run stands now: its status as stored, and whether the owner of a running one lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waycairn.model.backups import TASK
from waycairn.model.ids import RunId
from waycairn.model.records import Owner, RunFilter, RunRecord
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore

ORPHANED = "orphaned"
"""Running by its row, and its owner is dead: it waits to be entered again."""
STANDINGS = (*(status.value for status in RunStatus), ORPHANED)


@dataclass(frozen=True, slots=True)
class Standing:
    run: RunRecord
    word: str
    """One of STANDINGS."""
    holder: Owner | None
    """The living owner, of a phase that of its root."""


def standing_of(core: StoreCore, run: RunRecord) -> Standing:
    """How one run stands; one question to `process` where its row says running."""
    return stands(run, holder_of(core, run))


def is_backup(core: StoreCore, run: RunRecord) -> bool:
    """It holds what a backup holds, and is no job."""
    return run.task == TASK and core.catalog.get_backup(run.id) is not None


def holder_of(core: StoreCore, run: RunRecord) -> Owner | None:
    """The living owner of a run; a phase is held by whoever holds its root."""
    root = run if run.id == run.root else core.catalog.get_run(run.root)
    if root is None or root.status is not RunStatus.RUNNING:
        return None
    return core.ownership.holder(root)


def stands(run: RunRecord, holder: Owner | None) -> Standing:
    """A run under that holder, if there is one."""
    if run.status is not RunStatus.RUNNING or holder is not None:
        return Standing(run, run.status.value, holder)
    return Standing(run, ORPHANED, None)


def below(core: StoreCore, root: RunRecord, holder: Owner | None) -> Sequence[Standing]:
    """The phases below a root, oldest first, as they stand under its holder."""
    listed = core.catalog.list_runs(RunFilter(root=root.id, roots_only=False))
    return [stands(run, holder) for run in reversed(listed) if run.id != root.id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which runs to list. None means any."""

    words: Sequence[str] = ()
    name: str | None = None
    task: str | None = None
    tag: str | None = None
    limit: int | None = None


def list_standing(core: StoreCore, wanted: Wanted) -> Sequence[Standing]:
    """Runs (not phases) that match, newest first."""
    statuses = _statuses(wanted.words)
    # What the rows say about a running one is not the whole story, so a limit can be left to them otherwise only.
    is_exact = statuses is None or RunStatus.RUNNING not in statuses
    listed = core.catalog.list_runs(
        RunFilter(
            name=wanted.name,
            status=statuses,
            task=wanted.task,
            tag=wanted.tag,
            limit=wanted.limit if is_exact else None,
        )
    )
    found: list[Standing] = []
    for run in listed:
        if wanted.limit is not None and len(found) >= wanted.limit:
            break
        standing = standing_of(core, run)
        if not wanted.words or standing.word in wanted.words:
            found.append(standing)
    return found


def _statuses(words: Sequence[str]) -> list[RunStatus] | None:
    if not words:
        return None
    stored = [RunStatus.RUNNING.value if word == ORPHANED else word for word in words]
    return [RunStatus(word) for word in dict.fromkeys(stored)]


def owner_words(owner: Owner) -> str:
    """`pid 4711 on host`; an owner who was stopped before writing its name has none."""
    return f"pid {owner.pid} on {owner.host}" if owner.pid else "a process that has not written its name"


def root_of(core: StoreCore, run: RunRecord) -> RunRecord:
    """The run that owns this one."""
    root = run if run.id == run.root else core.catalog.get_run(RunId(run.root))
    assert root is not None, "a phase is deleted together with its root"
    return root
