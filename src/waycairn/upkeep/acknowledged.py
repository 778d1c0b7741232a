"""What a history says was promised, compared with what a store holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from waycairn.codec.keys import key_digest, keys_of
from waycairn.model.ids import CheckpointId, RunId, checkpoint_id, split_checkpoint_id
from waycairn.model.records import CheckpointFilter, CheckpointRecord, RunRecord
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.violation import Violation
from waycairn.world.history import (
    Committed,
    Deleted,
    Deleting,
    Discarded,
    Entered,
    Event,
    Expiring,
    Forked,
    GoingBack,
    Keeping,
    PutBack,
    PuttingBack,
    Replacing,
    Saved,
    block_digest,
)

_KEPT_PACED = 2
"""Newer paced checkpoints that replace one, see `work.cut`."""


@dataclass(slots=True)
class Promises:
    """What of a history still holds at its end."""

    commits: dict[RunId, dict[int, Committed]] = field(default_factory=lambda: defaultdict(dict))
    """By sequence. What a run went back behind is not in here."""
    checkpoints: dict[CheckpointId, bytes] = field(default_factory=dict)
    """Id to root."""
    paced: set[CheckpointId] = field(default_factory=set)
    replaced: dict[CheckpointId, int] = field(default_factory=dict)
    """Id to the lowest commit that takes it away."""
    keep: dict[str, int] = field(default_factory=dict)
    """Name of a value to the least number of newest ones that stay."""
    maybe_gone: set[str] = field(default_factory=set)
    """Runs and checkpoints whose deletion had begun."""
    expired: set[CheckpointId] = field(default_factory=set)
    """What policies may have taken; of an unfinished run never the one that it goes on from."""
    gone: set[str] = field(default_factory=set)
    discarded: set[RunId] = field(default_factory=set)
    went_back: set[RunId] = field(default_factory=set)


def compare(core: StoreCore, history: Sequence[Event]) -> list[Violation]:
    """I1, I3 and I7, and what a history alone says against I4 and I5."""
    promises = _promises(history)
    found = [*_order(history), *_deletions(core, promises)]
    listed = {record.id: record for record in core.catalog.list_checkpoints(CheckpointFilter())}
    roots = {id_: record.checkpoint.stored.root for id_, record in listed.items()}
    there = {id_ for id_, record in listed.items() if record.checkpoint.reason == "pace"}
    found += _checkpoints(
        promises, roots, [split_checkpoint_id(id_) for id_ in there | promises.paced], _replaced(core, promises, listed)
    )
    found += _forks(core, promises, history)
    for run, commits in promises.commits.items():
        found += _of_run(core, run, commits, promises)
    return found


def _promises(history: Sequence[Event]) -> Promises:
    promises = Promises()
    for event in history:
        match event:
            case Committed():
                promises.commits[event.run][event.sequence] = event
                if event.root is not None:
                    id_ = CheckpointId(f"{event.run}.{event.sequence}")
                    promises.checkpoints[id_] = event.root
                    promises.paced |= {id_} if event.is_paced else set()
            case Saved():
                promises.checkpoints[event.checkpoint] = event.root
            case GoingBack():
                commits = promises.commits[event.run]
                promises.commits[event.run] = {at: one for at, one in commits.items() if at <= event.sequence}
                promises.went_back.add(event.run)
            case Discarded():
                promises.discarded.add(event.run)
            case Deleting() | Deleted() | PuttingBack() | PutBack():
                _note_deletion(promises, event)
            case _:
                _note_retention(promises, event)
    return promises


def _note_deletion(promises: Promises, event: Deleting | Deleted | PuttingBack | PutBack) -> None:
    match event:
        case Deleting():
            promises.maybe_gone.update(event.what)
        case Deleted():
            promises.gone.update(event.what)
        case PuttingBack():
            promises.gone.difference_update(event.what)
        case PutBack():
            promises.maybe_gone.difference_update(event.what)


def _note_retention(promises: Promises, event: Event) -> None:
    match event:
        case Keeping():
            promises.keep[event.name] = min(event.keep, promises.keep.get(event.name, event.keep))
        case Replacing():
            for sequence in event.what:
                promises.replaced.setdefault(checkpoint_id(event.run, sequence), event.sequence)
        case Expiring():
            promises.expired.update(map(CheckpointId, event.what))
        case Entered():
            # What was taken while the run was finished is legitimately gone, whatever becomes of the run now.
            taken = {id_ for id_ in promises.expired if split_checkpoint_id(id_)[0] == event.run}
            promises.expired -= taken
            promises.maybe_gone |= taken


def _order(history: Sequence[Event]) -> Iterator[Violation]:
    """Each commit and each entry once, by owners in the order of their epochs."""
    commits: dict[tuple[RunId, int], Committed] = {}
    entries: dict[tuple[RunId, int], Entered] = {}
    for event in history:
        if isinstance(event, Entered):
            before = entries.setdefault((event.run, event.epoch), event)
            if before is not event:
                yield Violation(
                    "I5",
                    f"epoch {event.epoch} of run {event.run} was entered by pid {before.pid} and by pid {event.pid}",
                )
        elif isinstance(event, Committed):
            if (event.run, event.sequence) in commits:
                yield Violation("I4", f"commit {event.sequence} of run {event.run} was acknowledged twice")
            commits[event.run, event.sequence] = event
    previous: Committed | None = None
    for _, event in sorted(commits.items()):
        if previous and previous.run == event.run and previous.epoch > event.epoch:
            yield Violation(
                "I5",
                f"commit {event.sequence} of run {event.run} is of epoch {event.epoch}, the one before of "
                f"{previous.epoch}: a displaced owner committed",
            )
        previous = event


def _forks(core: StoreCore, promises: Promises, history: Sequence[Event]) -> Iterator[Violation]:
    for fork in (event for event in history if isinstance(event, Forked) and event.run not in promises.maybe_gone):
        run = core.catalog.get_run(fork.run)
        if run is None or run.origin != fork.origin:
            yield Violation("I1", f"run {fork.run} was forked from {fork.origin} and is not there", {"run": fork.run})


def _deletions(core: StoreCore, promises: Promises) -> Iterator[Violation]:
    for what in sorted(promises.gone):
        if "." in what:
            record = core.catalog.get_checkpoint(*split_checkpoint_id(what))
            if record is not None and not record.pinned:
                yield Violation("I7", f"checkpoint {what} was deleted and is there", {"checkpoint": what})
        elif core.catalog.get_run(RunId(what)) is not None:
            yield Violation("I7", f"run {what} was removed and is there", {"run": what})
    for id_ in sorted(promises.discarded):
        run = core.catalog.get_run(id_)
        if run is not None and run.status is not RunStatus.DISCARDED:
            yield Violation("I7", f"run {id_} was given up and is {run.status}", {"run": id_})


def _checkpoints(
    promises: Promises,
    roots: Mapping[CheckpointId, bytes],
    paced: Sequence[tuple[RunId, int]],
    replaced: Collection[CheckpointId],
) -> Iterator[Violation]:
    for id_, root in promises.checkpoints.items():
        run, sequence = split_checkpoint_id(id_)
        if id_ in roots:
            if roots[id_] != root:
                yield Violation("I3", f"checkpoint {id_} is not the one that was saved", {"checkpoint": id_})
            continue
        newer = sum(1 for other, at in paced if other == run and at > sequence)
        is_replaced = id_ in promises.paced and newer >= _KEPT_PACED
        if not is_replaced and id_ not in replaced and not {id_, run} & promises.maybe_gone:
            yield Violation("I1", f"checkpoint {id_} was acknowledged and is not there", {"checkpoint": id_})


def _replaced(
    core: StoreCore, promises: Promises, listed: Mapping[CheckpointId, CheckpointRecord]
) -> set[CheckpointId]:
    """Those that may be gone, because the commit that took them away is there, or enough newer values of their name."""
    runs = {run: core.catalog.get_run(run) for run in {split_checkpoint_id(id_)[0] for id_ in promises.checkpoints}}
    values = sorted(split_checkpoint_id(id_) for id_, one in listed.items() if one.checkpoint.role == "value")
    gone: set[CheckpointId] = set()
    for id_ in promises.checkpoints:
        of, sequence = split_checkpoint_id(id_)
        run = runs[of]
        if run is None:
            continue
        newer = sum(1 for other, at in values if other == of and at > sequence)
        is_behind = run.key == "value" and newer >= promises.keep.get(run.name, newer + 1)
        is_replaced = id_ in promises.replaced and run.sequence >= promises.replaced[id_]
        if is_behind or is_replaced or (id_ in promises.expired and not _is_needed(promises, run, sequence)):
            gone.add(id_)
    return gone


def _is_needed(promises: Promises, run: RunRecord, sequence: int) -> bool:
    """It is what an unfinished run goes on from: no newer checkpoint of it was acknowledged."""
    if run.status.is_finished or run.key == "value":
        return False
    return not any(of == run.id and at > sequence for of, at in map(split_checkpoint_id, promises.checkpoints))


def _of_run(core: StoreCore, id_: RunId, commits: Mapping[int, Committed], promises: Promises) -> Iterator[Violation]:
    if not commits or id_ in promises.maybe_gone:
        return
    run = core.catalog.get_run(id_)
    if run is None:
        yield Violation("I1", f"run {id_} had {len(commits)} acknowledged commits and is not there", {"run": id_})
        return
    newest = max(commits)
    if run.sequence < newest:
        yield Violation(
            "I1", f"commit {newest} of run {id_} was acknowledged, its newest is {run.sequence}", {"run": id_}
        )
    last, progress = commits[newest], run.progress
    if run.sequence == newest and id_ not in promises.went_back and last.failed != progress.failed:
        yield Violation("I4", f"run {id_} counts {progress.failed} failed items, its last commit said {last.failed}")
    if run.sequence == newest and id_ not in promises.went_back and last.done != progress.done:
        yield Violation("I4", f"run {id_} counts {progress.done} items done, its last commit said {last.done}")
    yield from _missing_items(core, run, list(commits.values()))
    yield from _missing_steps(core, run, list(commits.values()))
    yield from _short_outputs(core, run, list(commits.values()))
    yield from _missing_records(core, run, list(commits.values()))


def _missing_items(core: StoreCore, run: RunRecord, commits: Sequence[Committed]) -> Iterator[Violation]:
    loops = {loop for commit in commits for loop in commit.items}
    loops |= {loop for commit in commits for loop, _ in (*commit.failures, *commit.computed)}
    for loop in sorted(loops):
        there = {block_digest(block) for block in core.catalog.done_items(run.id, loop)}
        for commit in commits:
            if loop in commit.items and commit.items[loop] not in there:
                yield Violation(
                    "I1",
                    f"items of loop {loop!r} in commit {commit.sequence} of run {run.id} were acknowledged; they, or "
                    "their results, are not in the ledger",
                    {"run": run.id},
                )
        yield from _missing_digests(core, run, loop, commits)
    yield from _missing_queued(core, run, commits)


def _missing_digests(core: StoreCore, run: RunRecord, loop: str, commits: Sequence[Committed]) -> Iterator[Violation]:
    """What failed or was computed is still so, or done by now."""
    failures = {digest for commit in commits for name, digest in commit.failures if name == loop}
    computed = {digest for commit in commits for name, digest in commit.computed if name == loop}
    if not failures and not computed:
        return
    blocks = core.catalog.done_items(run.id, loop)
    done = {key_digest(key) for block in blocks for key in keys_of(block)}
    failed = core.catalog.failed_digests(run.id, loop).keys()
    waiting = {item.digest for item in core.catalog.computed(run.id, loop)}
    if lost := failures - done - failed - waiting:
        yield Violation(
            "I1", f"{len(lost)} failures of loop {loop!r} of run {run.id} were acknowledged and are not there"
        )
    if lost := computed - done - waiting - failed:
        yield Violation("I1", f"{len(lost)} results of loop {loop!r} of run {run.id} were computed and are not there")


def _missing_queued(core: StoreCore, run: RunRecord, commits: Sequence[Committed]) -> Iterator[Violation]:
    promised = {(queue, root) for commit in commits for queue, root in commit.queued.items()}
    for queue in sorted({queue for queue, _ in promised}):
        there = {stored.root for stored in core.catalog.queued(run.id, queue)}
        if lost := {root for name, root in promised if name == queue} - there:
            yield Violation("I1", f"{len(lost)} additions to queue {queue!r} of run {run.id} are not there")


def _missing_steps(core: StoreCore, run: RunRecord, commits: Sequence[Committed]) -> Iterator[Violation]:
    promised = {(scope, name): root for commit in commits for scope, name, root in commit.steps}
    if not promised:
        return
    there = {
        (stored.step.scope, stored.step.name): stored.step.result.root for stored in core.catalog.list_steps(run.id)
    }
    for (scope, name), root in promised.items():
        title = f"step {name!r}{f' of item {scope}' if scope else ''} of run {run.id}"
        if (scope, name) not in there:
            yield Violation("I1", f"{title} was acknowledged and is not there", {"run": run.id})
        elif there[scope, name] != root:
            yield Violation("I3", f"the result of {title} is not the one that was saved", {"run": run.id})


def _missing_records(core: StoreCore, run: RunRecord, commits: Sequence[Committed]) -> Iterator[Violation]:
    """Of a session: each iteration in the commit that was acknowledged, and all that was logged."""
    if any(commit.iterations for commit in commits):
        there = {one.number: one.sequence for one in core.catalog.iterations(run.id)}
        for commit in commits:
            for number in commit.iterations:
                if there.get(number) != commit.sequence:
                    yield Violation(
                        "I1",
                        f"iteration {number} of run {run.id} was acknowledged in commit {commit.sequence} and is "
                        + (f"in {there[number]}" if number in there else "not there"),
                        {"run": run.id},
                    )
    if any(commit.points for commit in commits):
        logged = {cut.sequence: len(cut.points) for cut in core.catalog.metrics(run.id)}
        for commit in commits:
            if logged.get(commit.sequence, 0) != commit.points:
                yield Violation(
                    "I1",
                    f"commit {commit.sequence} of run {run.id} logged {commit.points} points, "
                    f"{logged.get(commit.sequence, 0)} are there",
                    {"run": run.id},
                )


def _short_outputs(core: StoreCore, run: RunRecord, commits: Sequence[Committed]) -> Iterator[Violation]:
    promised: dict[str, int] = {}
    for commit in commits:
        for path, length in commit.outputs.items():
            promised[path] = max(length, promised.get(path, 0))
    there = core.catalog.outputs(run.id) if promised else {}
    for path, length in promised.items():
        committed = there[path].length if path in there else 0
        if committed < length:
            yield Violation("I1", f"output {path} of run {run.id}: {length} bytes acknowledged, {committed} committed")
