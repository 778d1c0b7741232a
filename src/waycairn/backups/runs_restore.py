"""One run out of a backup into a store.

    1. the states, one after the other: their chunks are durable and in the index before anything names them
    2. one transaction: all rows, unless a sweep took some of those chunks meanwhile; then once more from 1

Killed before the second, there is no run, and chunks that a sweep collects unless the restore is called again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from waycairn.backups.runs_export import ROWS, STATES, content_of, member_of
from waycairn.backups.runs_rows import FORMAT, STATE, LostState, StateSpan, lines_in, state_of, stored_columns
from waycairn.backups.source import Contents
from waycairn.chunks import gathered
from waycairn.chunks.memory import allocate
from waycairn.chunks.referring import runs_in
from waycairn.codec import cuts_of
from waycairn.errors import Damaged, SchemaChanged, SweptMeanwhile, WouldOverwrite
from waycairn.model.encoded import Encoded
from waycairn.model.ids import RunId
from waycairn.model.records import RunFilter, RunRecord, Stored
from waycairn.model.spans import Spans
from waycairn.ports import MovedRow
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited_commit
from waycairn.upkeep.holding import held
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint

log = logging.getLogger("waycairn")

_WRITTEN_AGAIN = 3
"""Times that a sweep may take what was written, before the transaction names it."""
_SWEPT_IN_A_ROW = 8
"""Sweeps that may come between a look at the chunks and the transaction: the two lie within a millisecond."""

Told = Callable[[int], None]


class RunInBackup:
    """One root run of a backup."""

    def __init__(self, contents: Contents, run: RunId) -> None:
        self.id = run
        self._contents = contents
        facts = contents.members[member_of(run, ROWS)].facts
        _refuse_newer(facts)
        self.name = str(facts["run"]["name"])
        self.key: str | None = facts["run"]["key"]
        self.stands = str(facts["stands"])
        """What `standing` rows of it sum up to, as they were exported."""
        self.content = str(facts["content"])

    def lines(self) -> Iterator[dict[str, Any]]:
        """Its rows, but for those whose state was lost before."""
        for line in lines_in(self._contents.read(member_of(self.id, ROWS))):
            if not isinstance(state_of(line), LostState):
                yield line

    def states(self) -> _States:
        return _States(partial(self._contents.read, member_of(self.id, STATES)))


def runs_in_backup(contents: Contents) -> list[RunInBackup]:
    """In the order in which they were exported. Raises SchemaChanged for a newer format."""
    ends = f"/{ROWS}"
    return [RunInBackup(contents, RunId(name.removesuffix(ends))) for name in contents.members if name.endswith(ends)]


def _refuse_newer(facts: Mapping[str, Any]) -> None:
    version = facts.get("format")
    if version != FORMAT:
        raise SchemaChanged(
            f"the backup has format {version} of runs, and this waycairn reads format {FORMAT}: it was made by another "
            "version. Nothing was changed. Restore it with that version."
        )


# -- what is there -----------------------------------------------------------------------------------------------------


def there(core: StoreCore, run: RunInBackup) -> list[RunRecord]:
    """Runs that have its id, or its name and key."""
    found = [core.catalog.get_run(run.id)]
    first = next(run.lines())
    if not first["is_replaced"]:
        found.append(core.catalog.find_run(None, run.name, run.key))
    return list({one.id: one for one in found if one is not None}.values())


def is_there(core: StoreCore, run: RunInBackup, found: Sequence[RunRecord]) -> bool:
    """Whether it is there exactly as it was."""
    if [one.id for one in found] != [run.id]:
        return False
    return core.catalog.read_runs(lambda reader: content_of(core, reader, found[0])) == run.content


def refuse_overwriting(core: StoreCore, run: RunInBackup, found: Iterable[RunRecord], *, overwrite: bool) -> None:
    """Raises WouldOverwrite, or RunIsHeld if it may be overwritten and is at work."""
    for one in found:
        owner = core.ownership.holder(one)
        if overwrite and owner is not None:
            raise held(one, owner)
        if not overwrite:
            what = "as it is not in the backup" if one.id == run.id else "of that name"
            raise WouldOverwrite(
                f"there is a run {one.name!r} ({one.id}) in {core.url}, {what}. Nothing was changed. Restore into another "
                "store, remove that run, or restore with overwrite=True.",
                run=one.id,
            )


# -- putting back ------------------------------------------------------------------------------------------------------


def put_back(core: StoreCore, run: RunInBackup, replaces: Sequence[RunRecord], told: Told) -> None:
    """Durable when it returns. Raises Damaged, WouldOverwrite, SchemaChanged; then no row was changed."""
    for _ in range(_WRITTEN_AGAIN):
        kept = list(_keep_states(core, run, told))
        crashpoint("backup.runs.states")
        if _put_rows(core, run, kept, replaces):
            crashpoint("backup.runs.restored")
            _warn_of_outputs(core, run.id)
            return
    raise SweptMeanwhile(
        f"sweeps took what was written of run {run.name!r} {_WRITTEN_AGAIN} times before it could be put back. Nothing was "
        "changed. Stop what sweeps the store so often, and restore again."
    )


def _keep_states(core: StoreCore, run: RunInBackup, told: Told) -> Iterator[Stored]:
    """Where each state lies in this store now, in the order of the rows."""
    states = run.states()
    for line in run.lines():
        span = state_of(line)
        if isinstance(span, StateSpan):
            yield core.keep(states.read(span))
            crashpoint("backup.runs.state")
            told(span.size)


def _put_rows(core: StoreCore, run: RunInBackup, kept: Sequence[Stored], replaces: Sequence[RunRecord]) -> bool:
    """False, and nothing changed, if chunks are gone."""
    needed = Spans(span for stored in kept for span in runs_in(stored.manifest))
    for _ in range(_SWEPT_IN_A_ROW):
        # The epoch first: what is there after it was read is there while it lasts.
        epoch = core.catalog.sweep_epoch()
        if not core.catalog.has_chunks(needed):
            core.forget_chunks()
            return False
        try:
            with _noted(run), audited_commit(core, "run.restore", run.id, name=run.name, key=run.key):
                core.catalog.put_run(lambda: _rows(run, kept), epoch, replaces)
        except SweptMeanwhile:
            continue
        return True
    return False


@contextmanager
def _noted(run: RunInBackup) -> Iterator[None]:
    """For the harness that compares what is there with what was done."""
    if not history.is_on():
        yield
        return
    what = [line["id"] for line in run.lines() if line["table"] == "runs"]
    history.note(history.PuttingBack(what=what))
    yield
    history.note(history.PutBack(what=what))


def _rows(run: RunInBackup, kept: Sequence[Stored]) -> Iterator[MovedRow]:
    stored = iter(kept)
    for line in run.lines():
        row = {name: value for name, value in line.items() if name not in ("table", STATE)}
        if STATE in line:
            row |= stored_columns(None if line[STATE] is None else next(stored))
        yield line["table"], row


def _warn_of_outputs(core: StoreCore, root: RunId) -> None:
    """Output files are not part of the backup: a run goes on only if they are as long as was committed."""
    for run in core.catalog.list_runs(RunFilter(root=root, roots_only=False)):
        directory = Path(run.launch.directory) if run.launch else Path()
        for path, output in core.catalog.outputs(run.id).items():
            size = (directory / path).stat().st_size if (directory / path).exists() else 0
            if size < output.length:
                log.warning(
                    "run %r was restored, and its output %s has %d bytes where %d were committed: files are not part of the "
                    "backup of a run. Put it back before the run is resumed.",
                    run.name,
                    directory / path,
                    size,
                    output.length,
                )


class _States:
    """The content of states, read one behind the other."""

    def __init__(self, read: Callable[[int], Iterator[bytes]]) -> None:
        self._read = read
        self._pieces: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")
        self._at = -1

    def read(self, span: StateSpan) -> Encoded:
        """Verified once more: its hash stands in another member than its bytes."""
        if span.at != self._at:
            self._pieces, self._rest, self._at = self._read(span.at), memoryview(b""), span.at
        total = hashlib.sha256()

        def take(size: int) -> memoryview:
            memory = self._take(size)
            total.update(memory)
            return memory

        encoded = gathered(span, take)
        if total.hexdigest() != span.sha256:
            raise Damaged(
                "the content of a state in the backup is not that which its row names. Nothing was changed. See "
                "`waycairn backup verify`."
            )
        return replace(encoded, cuts=partial(cuts_of, encoded.document))

    def _take(self, size: int) -> memoryview:
        memory = allocate(size)
        end = 0
        while end < size:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    raise Damaged("the states of a run in the backup end too early. See `waycairn backup verify`.")
            part = self._rest[: size - end]
            memory[end : end + len(part)] = part
            end += len(part)
            self._rest = self._rest[len(part) :]
        self._at += size
        return memory
