"""Runs by the page, as they stand: with the owners of running ones looked for, since a row does not say who is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from waycairn.model.run_pages import Place, RunPage
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.standing import ORPHANED, Standing, is_backup, standing_of

_ALIKE = frozenset({RunStatus.RUNNING.value, ORPHANED})
"""What a row does not tell apart."""


@dataclass(frozen=True, slots=True)
class Page:
    standings: Sequence[Standing]
    last: Place | None
    """Where the next page begins; None: this is the last one."""


def list_page(core: StoreCore, words: Sequence[str], which: RunPage) -> Page:
    """Runs that match and stand in one of these words (any, if there are none)."""
    doubtful = words and len(_ALIKE.intersection(words)) == 1
    step = structs.replace(which, statuses=_statuses(words), limit=which.limit + 1)
    found: list[tuple[Place, Standing]] = []
    while True:
        rows = core.catalog.page_of_runs(step)
        stood = [(place, standing_of(core, run)) for place, run in rows]
        found += [one for one in stood if not doubtful or one[1].word in words]
        if len(found) > which.limit or len(rows) < step.limit:
            break
        step = structs.replace(step, after=rows[-1].place)
    shown = found[: which.limit]
    return Page([standing for _, standing in shown], shown[-1][0] if len(found) > which.limit else None)


def count_standings(core: StoreCore) -> Mapping[str, int]:
    """How many runs stand how."""
    counts = Counter({status.value: count for status, count in core.catalog.count_roots().items()})
    dead = count_orphans(core) if counts[RunStatus.RUNNING.value] else 0
    counts.update({RunStatus.RUNNING.value: -dead, ORPHANED: dead})
    return {word: count for word, count in counts.items() if count > 0}


def count_orphans(core: StoreCore) -> int:
    marks = core.catalog.run_marks([])
    running = core.catalog.runs_by_number([mark.number for mark in marks if mark.id == mark.root])
    dead = (run for run in running.values() if standing_of(core, run).word == ORPHANED)
    return sum(not is_backup(core, run) for run in dead)


def _statuses(words: Sequence[str]) -> list[RunStatus] | None:
    if not words:
        return None
    return list(dict.fromkeys(RunStatus.RUNNING if word in _ALIKE else RunStatus(word) for word in words))
