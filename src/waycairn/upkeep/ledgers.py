"""Whether the rows of a run agree with each other: items, counts, sequences, epochs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from waycairn.codec.keys import Key, shown, single_key, unpack_keys
from waycairn.model.ids import RunId
from waycairn.model.records import PARTS, WHOLE, CheckpointFilter, RunFilter, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.violation import Violation

_LOOKS = 5
"""Times that a run is looked at which goes on meanwhile."""
_NAMED = 3
"""Keys in a message."""


def examine(core: StoreCore, *, counted: bool) -> list[Violation]:
    """All runs. `counted` says that no job tells its progress by hand: then counts must be those of the ledgers."""
    runs = core.catalog.list_runs(RunFilter(roots_only=False))
    return [violation for run in runs for violation in _steadily(core, run.id, partial(_of_run, core, counted=counted))]


def _steadily(core: StoreCore, run: RunId, look: Callable[[RunRecord], Iterator[Violation]]) -> Sequence[Violation]:
    """What is found wrong in a run that went on while it was looked at is no finding: look again."""
    found: Sequence[Violation] = ()
    before = core.catalog.get_run(run)
    for _ in range(_LOOKS):
        if before is None:
            return ()
        found = list(look(before))
        after = core.catalog.get_run(run)
        if not found or after == before:
            break
        before = after
    return found


def _of_run(core: StoreCore, run: RunRecord, *, counted: bool) -> Iterator[Violation]:
    yield from _items(core, run)
    yield from _counts(core, run, counted=counted)
    yield from _sequences(core, run)
    yield from _epochs(core, run)
    yield from _entries(core, run)


def _items(core: StoreCore, run: RunRecord) -> Iterator[Violation]:
    """Each key is done once, and neither failed nor waiting then."""
    undone = _undone(core, run)
    for loop in core.catalog.loops(run.id):
        seen: set[int] = set()
        repeated: list[Key] = []
        for block in core.catalog.done_items(run.id, loop):
            keys = unpack_keys(block.keys)
            if len(keys) != block.count:
                yield Violation(
                    "I4", f"a cut of loop {loop!r} of run {run.id} counts {block.count} items and names {len(keys)}"
                )
            for key in keys:
                mark = hash((type(key), key))
                if mark in seen:
                    repeated.append(key)
                seen.add(mark)
                if (loop, key) in undone:
                    yield Violation(
                        "I4", f"item {shown(key)} of loop {loop!r} of run {run.id} is done and {undone[loop, key]}"
                    )
        yield from _twice(core, run, loop, repeated)


def _undone(core: StoreCore, run: RunRecord) -> dict[tuple[str, Key], str]:
    found = {(failed.loop, single_key(failed.key, failed.digest)): "failed" for failed in core.catalog.failures(run.id)}
    for loop in core.catalog.waiting(run.id):
        for item in core.catalog.computed(run.id, loop):
            found[loop, single_key(item.key, item.digest)] = "waiting for its fold"
    return found


def _twice(core: StoreCore, run: RunRecord, loop: str, suspects: Sequence[Key]) -> Iterator[Violation]:
    """The keys themselves, where their hashes were equal."""
    if not suspects:
        return
    wanted = set(suspects)
    blocks = core.catalog.done_items(run.id, loop)
    counts = Counter(key for block in blocks for key in unpack_keys(block.keys) if key in wanted)
    twice = [shown(key) for key, count in counts.items() if count > 1]
    if twice:
        named = ", ".join(twice[:_NAMED]) + (", …" if len(twice) > _NAMED else "")
        yield Violation(
            "I4",
            f"{len(twice)} items of loop {loop!r} of run {run.id} are done more than once: {named}",
            {"run": run.id, "loop": loop, "items": len(twice)},
        )


def _counts(core: StoreCore, run: RunRecord, *, counted: bool) -> Iterator[Violation]:
    progress = run.progress
    if PARTS in run.metadata:
        yield from _parts(core, run)
        return
    failed = sum(1 for _ in core.catalog.failures(run.id))
    if failed != progress.failed:
        yield Violation("I4", f"run {run.id} counts {progress.failed} failed items and its ledger has {failed}")
    loops = core.catalog.loops(run.id)
    if counted and loops and sum(loops.values()) != progress.done:
        yield Violation(
            "I4", f"run {run.id} counts {progress.done} items done and its ledger has {sum(loops.values())}"
        )


def _parts(core: StoreCore, whole: RunRecord) -> Iterator[Violation]:
    """A batch in parts that is over came to what they came to."""
    if not whole.status.is_finished:
        return
    parts = [
        part for part in core.catalog.list_runs(RunFilter(name=whole.name)) if part.metadata.get(WHOLE) == whole.id
    ]
    counts = (sum(part.progress.done for part in parts), sum(part.progress.failed for part in parts))
    if counts != (whole.progress.done, whole.progress.failed):
        yield Violation(
            "I4",
            f"batch {whole.id} counts {whole.progress.done} done, {whole.progress.failed} failed; its parts {counts}",
        )


def _sequences(core: StoreCore, run: RunRecord) -> Iterator[Violation]:
    """Nothing is of a commit that never was."""
    later = [step.sequence for step in core.catalog.list_steps(run.id) if step.sequence > run.sequence]
    later += [
        record.sequence
        for record in core.catalog.list_checkpoints(CheckpointFilter(run=run.id))
        if record.sequence > run.sequence
    ]
    if later:
        yield Violation(
            "I4", f"run {run.id} has {run.sequence} commits, and rows of commit {max(later)}", {"run": run.id}
        )


def _epochs(core: StoreCore, run: RunRecord) -> Iterator[Violation]:
    root = run if run.root == run.id else core.catalog.get_run(run.root)
    if root is None or root.epoch != run.epoch:
        yield Violation("I5", f"run {run.id} is in epoch {run.epoch}, its root {run.root} is not")
    above = run.epoch
    for record in core.catalog.list_checkpoints(CheckpointFilter(run=run.id)):  # newest first
        if record.epoch > above:
            yield Violation(
                "I5", f"checkpoint {record.id} is of epoch {record.epoch}, what was committed later of {above}"
            )
        above = record.epoch


def _entries(core: StoreCore, run: RunRecord) -> Iterator[Violation]:
    """Nobody entered in an epoch that never was, or behind a commit that never was; and only the newest may go on."""
    before = 0
    entries = core.catalog.entries(run.id)
    for entry in entries:
        if entry.epoch > run.epoch or not before <= entry.sequence <= run.sequence:
            yield Violation(
                "I5",
                f"run {run.id} is in epoch {run.epoch} at commit {run.sequence}, and was entered in epoch {entry.epoch} at "
                f"commit {entry.sequence}",
                {"run": run.id, "epoch": entry.epoch},
            )
        before = entry.sequence
    for entry in entries[:-1]:
        if entry.ended is None:
            yield Violation(
                "I5", f"the entry of epoch {entry.epoch} into run {run.id} never ended, and a later one began"
            )
