"""What changed of many runs since the last look, for who looks again and again: the rows of running ones by a partial index, those
of the others only if the counts say that some changed. An owner who died writes nothing, so owners are looked for each time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from waycairn.model.ids import RunId
from waycairn.model.records import Owner, RunRecord
from waycairn.model.run_pages import RunMark
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.speed import NO_PACE, Pace, Speed
from waycairn.upkeep.standing import ORPHANED, Standing, is_backup, stands

_RUNNING = RunStatus.RUNNING.value
_SLACK = 5.0
"""Seconds that the clocks of hosts may differ, and that a commit may take from its `now` to its end."""
_MOST = 500
"""Rows that are told at once; if more changed, all is to be read anew."""
_SHARE = 50
"""Counting, and looking for what that tells of, take one part in so many of the time at most."""
_AGAIN = 30.0
"""Seconds until a dead owner is looked for again: a lease comes back if it was the database that was away."""
_STALE = 10.0
"""Seconds after which a run that stands still is told again, as its rate falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Since the look before."""

    roots: Sequence[Standing] = ()
    phases: Mapping[RunId, Sequence[Standing]] = field(default_factory=dict)
    """Those that changed, by their root."""
    gone: Sequence[RunId] = ()
    """Runs that were running and were deleted."""
    counts: Mapping[str, int] | None = None
    """None: the same as before."""
    is_much: bool = False
    """More than is told, or runs at rest were deleted: whoever shows runs reads them anew."""


@dataclass(slots=True, kw_only=True)
class _Watched:
    """A run that is running by its row."""

    mark: RunMark
    run: RunRecord
    is_hidden: bool
    """It holds what a backup holds."""
    speed: Speed = field(default_factory=Speed)
    pace: Pace = NO_PACE
    holder: Owner | None = None
    probed: float = float("-inf")
    """When its owner was looked for."""
    told: tuple[Any, ...] = ()
    """What was told of it last."""
    told_at: float = 0.0

    @property
    def is_root(self) -> bool:
        return self.run.id == self.run.root


class Changes:
    """Not thread-safe, but for `pace_of`."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core
        self._watched: dict[RunId, _Watched] = {}
        self._version: Hashable | None = None
        self._since = core.clock.now() - _SLACK
        self._rested: dict[RunId, float] = {}
        """When those were changed that are at rest and were told lately: for the slack they are found again."""
        self._stored: Mapping[RunStatus, int] | None = None
        """How many there are by their rows."""
        self._gone = 0
        """Roots that were found to be gone since they were counted."""
        self._count_due = float("-inf")
        self._is_counted = False
        self._counts: Mapping[str, int] | None = None

    def pace_of(self, run: RunId) -> Pace:
        """Of a running one, as it was seen at the last look."""
        found = self._watched.get(run)
        return NO_PACE if found is None else found.pace

    def look(self) -> Changed:
        """Raises StoreError."""
        version = self._core.catalog.change_mark()
        is_same, self._version = version is not None and version == self._version, version
        left, gone = ([], []) if is_same else self._read_rows()
        now = self._core.clock.monotonic()
        told = [*left, *self._tell(now)]
        roots = [one for one in told if one.run.id == one.run.root]
        self._gone += len(gone)
        before = self._stored
        if self._has_other_counts(written=not is_same):
            roots += self._read_rested({one.run.id for one in roots})
        return Changed(
            roots=roots[:_MOST],
            phases=_by_root(one for one in told if one.run.id != one.run.root),
            gone=gone,
            counts=self._standing_counts(),
            is_much=len(roots) > _MOST or self._lacks_more_than_is_told(before),
        )

    # -- rows ------------------------------------------------------------------------------------------------------------

    def _read_rows(self) -> tuple[list[Standing], list[RunId]]:
        """Those that were left, and those that are not there any more."""
        marks = self._core.catalog.run_marks([watched.mark.number for watched in self._watched.values()])
        changed = [mark for mark in marks if self._differs(mark)]
        records = self._core.catalog.runs_by_number([mark.number for mark in changed]) if changed else {}
        left = [
            standing
            for mark in changed
            if (run := records.get(mark.number)) is not None and (standing := self._note(mark, run)) is not None
        ]
        there = {mark.id for mark in marks}
        gone = [watched for id_, watched in self._watched.items() if id_ not in there]
        for watched in gone:
            del self._watched[watched.run.id]
        return left, [watched.run.id for watched in gone if watched.is_root and not watched.is_hidden]

    def _differs(self, mark: RunMark) -> bool:
        watched = self._watched.get(mark.id)
        if watched is None or watched.mark[:-1] != mark[:-1]:
            return True
        if watched.mark.lease_until != mark.lease_until:  # renewed: nothing that anybody is shown
            watched.mark, watched.run = mark, replace(watched.run, lease_until=mark.lease_until)
        return False

    def _note(self, mark: RunMark, run: RunRecord) -> Standing | None:
        """What is to be told of one that is not running any more."""
        watched = self._watched.get(run.id)
        if run.status is RunStatus.RUNNING:
            if watched is None:
                self._watched[run.id] = _Watched(mark=mark, run=run, is_hidden=is_backup(self._core, run))
            else:
                watched.mark, watched.run, watched.probed = mark, run, float("-inf")
            return None
        hidden = self._watched.pop(run.id).is_hidden if watched is not None else is_backup(self._core, run)
        if hidden:
            return None
        self._rested[run.id] = run.updated
        return Standing(run, run.status.value, None)

    def _read_rested(self, told: set[RunId]) -> list[Standing]:
        """What happened to runs that were not running at the last look, nor are now."""
        begun, started = self._core.clock.now(), time.perf_counter()
        rows = self._core.catalog.rested_since(self._since, _MOST + 1)
        self._count_due += _SHARE * (time.perf_counter() - started)  # without an index (PostgreSQL) it is as dear
        new = [run for run in rows if self._rested.get(run.id) != run.updated and run.id not in told]
        self._since = begun - _SLACK
        self._rested.update((run.id, run.updated) for run in rows)
        self._rested = {id_: updated for id_, updated in self._rested.items() if updated > self._since}
        return [Standing(run, run.status.value, None) for run in new if not is_backup(self._core, run)]

    # -- owners ----------------------------------------------------------------------------------------------------------

    def _tell(self, now: float) -> Iterator[Standing]:
        """Running ones that changed, or whose owner died."""
        shown = [watched for watched in self._watched.values() if not watched.is_hidden]
        for watched in sorted(shown, key=lambda one: not one.is_root):  # phases are held by the holder of their root
            self._probe(watched, now)
            standing = stands(watched.run, watched.holder)
            pace = watched.speed.see(watched.run, now)
            watched.pace = pace if watched.holder is not None else NO_PACE
            tells = (standing.word, *watched.mark[:-1])
            is_stale = watched.pace.rate is not None and now - watched.told_at > _STALE
            if watched.told != tells or is_stale:
                watched.told, watched.told_at = tells, now
                yield standing

    def _probe(self, watched: _Watched, now: float) -> None:
        if watched.is_root:
            if watched.holder is not None or now - watched.probed > _AGAIN:
                watched.holder, watched.probed = self._core.ownership.holder(watched.run), now
            return
        root = self._watched.get(watched.run.root)
        watched.holder = None if root is None else root.holder

    # -- counts ----------------------------------------------------------------------------------------------------------

    def _has_other_counts(self, *, written: bool) -> bool:
        """By the rows."""
        self._is_counted = self._is_counted and not written
        begun = time.perf_counter()
        if self._is_counted or begun < self._count_due:
            return False
        stored = self._core.catalog.count_roots()
        ended = time.perf_counter()
        self._count_due, self._is_counted = ended + _SHARE * (ended - begun), True
        is_other, self._stored = stored != self._stored, stored
        return is_other

    def _lacks_more_than_is_told(self, before: Mapping[RunStatus, int] | None) -> bool:
        """There are fewer than when they were counted `before`, and not by those that were seen to go."""
        if before is None or before is self._stored or self._stored is None:
            return False
        lost, self._gone = sum(before.values()) - sum(self._stored.values()) - self._gone, 0
        return lost > 0

    def _standing_counts(self) -> Mapping[str, int] | None:
        """None if they are what they were."""
        counts = Counter({status.value: count for status, count in (self._stored or {}).items()})
        dead = sum(one.is_root and not one.is_hidden and one.holder is None for one in self._watched.values())
        counts.update({_RUNNING: -dead, ORPHANED: dead})
        found = {word: count for word, count in counts.items() if count > 0}
        is_same, self._counts = found == self._counts, found
        return None if is_same else found


def _by_root(phases: Iterator[Standing]) -> Mapping[RunId, Sequence[Standing]]:
    found: dict[RunId, list[Standing]] = {}
    for one in phases:
        found.setdefault(one.run.root, []).append(one)
    return found
