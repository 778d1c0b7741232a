"""A fork: a new run that begins exactly at a checkpoint of another one."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from waycairn.errors import Damaged, RunError
from waycairn.model.forking import NewFork, beside, mark_of, unmarked
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointRecord, RunRecord
from waycairn.model.states import RunStatus
from waycairn.process import new_root
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited_commit
from waycairn.upkeep.cutting import check_cut
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, reading, translated, write_all
from waycairn.world.randomness import new_operation_id, new_run_id

_PIECE = 1 << 20


def fork(core: StoreCore, run: RunRecord, checkpoint: CheckpointRecord, name: str, key: str | None = None) -> RunRecord:
    """Output files are copied first, then one transaction makes the run: killed in between nothing is there but files, and
    the next fork of that name takes them for its own."""
    run_id = new_run_id()
    with audited_commit(
        core, "run.fork", run.id, checkpoint=checkpoint.id, name=name, key=key, fork=run_id, rides_with=_is_made
    ) as act:
        check_cut(core, run, checkpoint, "forked")
        there = core.catalog.find_run(None, name, key)
        if there is not None and _is_this(there, checkpoint):
            act.is_quiet = True  # asked twice; nothing was done with it yet
            return there
        replaces = _given_up(there)
        if there is not None and replaces is None:
            raise _taken(name, key)
        path_of = _paths(run, mark_of(name, key))
        crashpoint("fork.begin")
        _copy_outputs(run, core.catalog.outputs_at(run.id, checkpoint.sequence), path_of)
        crashpoint("fork.copied")
        new = new_root(
            run_id,
            name,
            key,
            fingerprint=run.fingerprint,
            task=run.task,
            tags=run.tags,
            metadata=run.metadata,
            total=run.progress.total,
        )
        planned = NewFork(
            source=run.id,
            sequence=checkpoint.sequence,
            run=new,
            operation=new_operation_id(),
            path_of=path_of,
            replaces=replaces,
        )
        if not core.catalog.add_fork(planned, core.clock.now()):
            raise _taken(name, key)
    crashpoint("fork.done")
    if history.is_on():
        history.note(history.Forked(run=run_id, origin=checkpoint.id))
    made = core.catalog.get_run(run_id)
    assert made is not None, "a run that was just made is there"
    return made


def _is_made(result: object) -> bool:
    return result is True


def _is_this(there: RunRecord, checkpoint: CheckpointRecord) -> bool:
    return there.origin == checkpoint.id and not there.entered and there.sequence == checkpoint.sequence


def _given_up(there: RunRecord | None) -> tuple[RunId, int] | None:
    return (there.id, there.epoch) if there is not None and there.status is RunStatus.DISCARDED else None


def _taken(name: str, key: str | None) -> RunError:
    keyed = "" if key is None else f" with key {key!r}"
    return RunError(
        f"there is a run {name!r}{keyed} in this store. Nothing was changed. Give the fork another name or key, or give "
        f"that run up first: waycairn discard {name}",
        run=name,
    )


# -- output files ------------------------------------------------------------------------------------------------------


def _paths(run: RunRecord, mark: str) -> Callable[[str], str]:
    """Where the fork has a file of this run; of a run that is a fork itself, the mark of that one goes."""
    if run.origin is None:
        return functools.partial(beside, mark=mark)
    own = mark_of(run.name, run.key)
    return lambda path: beside(unmarked(path, own), mark)


def _copy_outputs(run: RunRecord, lengths: Mapping[str, int], path_of: Callable[[str], str]) -> None:
    """As much of each as was committed at the cut. Durable when this returns. What is there already must be the same."""
    directory = Path(run.launch.directory) if run.launch else Path()
    for path, length in lengths.items():
        source, target = directory / path, directory / path_of(path)
        with reading(source):
            size = source.stat().st_size if source.exists() else 0
        if size < length:
            raise Damaged(
                f"the output file {source} of run {run.name!r} has {size} bytes, and {length} were committed at that "
                "checkpoint: it was changed or removed from outside. Nothing was changed. Put the file back, then fork "
                "again.",
                path=str(source),
            )
        _copy(source, target, length)


def _copy(source: Path, target: Path, length: int) -> None:
    if target.exists():
        _refuse_other(source, target, length)
        return
    draft = target.with_name(f".{target.name}.part")
    with translated("the output file of the fork", target):
        with reading(source), source.open("rb") as old:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            try:
                left = length
                while left and (piece := old.read(min(left, _PIECE))):
                    write_all(handle, piece)
                    left -= len(piece)
                flush(handle)
            finally:
                os.close(handle)
        crashpoint("fork.output.written")
        draft.replace(target)
        crashpoint("fork.output.named")
        flush_directory(target.absolute().parent)
    crashpoint("fork.output.copied")


def _refuse_other(source: Path, target: Path, length: int) -> None:
    """A fork that was killed may have left its copies."""
    with reading(source), source.open("rb") as old, target.open("rb") as new:
        left = length
        while left:
            piece = old.read(min(left, _PIECE))
            if not piece or new.read(len(piece)) != piece:
                break
            left -= len(piece)
        is_same = not left and not new.read(1)
    if not is_same:
        raise ValueError(
            f"{target} is there and is no copy of the first {length:,} bytes of {source}, which it would have to be for this "
            "fork. Nothing was changed. Give the fork another name, or move that file away."
        )
