"""Facts for health: runs and streams that need somebody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from waycairn.model.health_rules import Facts, Waiting
from waycairn.model.health_settings import HealthSettings
from waycairn.model.records import CheckpointFilter, RunFilter
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.upkeep.sizes import duration_text
from waycairn.upkeep.standing import ORPHANED, Standing, Wanted, is_backup, list_standing

_FORMER = 20
"""Completed runs of the same name that tell how long one takes."""
_LEAST_FORMER = 3
_LEAST_COMMITS = 3
"""Before these nothing is usual."""


def runs_of(core: StoreCore, now: float, facts: Facts) -> Facts:
    """The facts with those of runs and streams. Raises errors of the store."""
    running = list_standing(core, Wanted(words=[RunStatus.RUNNING.value, ORPHANED]))
    standings = [one for one in running if not is_backup(core, one.run)]
    orphans = [one for one in standings if one.word == ORPHANED]
    return replace(
        facts,
        orphans=[_waiting(one, f"since {duration_text(now - one.run.updated)}") for one in orphans],
        overdue=[*_overdue(core, now, [one for one in standings if one.word != ORPHANED])],
        away=_streams_away(core) if standings else (),
    )


def _waiting(standing: Standing, why: str) -> Waiting:
    return Waiting(name=standing.run.name, id=standing.run.id, why=why)


def _overdue(core: StoreCore, now: float, running: list[Standing]) -> Iterator[Waiting]:
    former: dict[str, float | None] = {}
    for standing in running:
        name = standing.run.name
        # Whoever follows files commits when there are lines, and goes on for ever.
        if core.catalog.list_checkpoints(CheckpointFilter(run=standing.run.id, role="stream", limit=1)):
            continue
        if name not in former:
            former[name] = _usual_length(core, name)
        why = why_overdue(standing, now, former[name], core.settings.health)
        if why is not None:
            why = why_overdue(_with_phases(core, standing), now, former[name], core.settings.health)
        if why is not None:
            yield _waiting(standing, why)


def _with_phases(core: StoreCore, standing: Standing) -> Standing:
    """Its newest commit is perhaps one of a phase."""
    below = core.catalog.list_runs(RunFilter(root=standing.run.root, roots_only=False))
    newest = max((run.updated for run in below), default=0.0)
    return replace(standing, run=replace(standing.run, updated=max(standing.run.updated, newest)))


def why_overdue(standing: Standing, now: float, usual_length: float | None, settings: HealthSettings) -> str | None:
    """In words; None if it is not."""
    run, holder = standing.run, standing.holder
    since = holder.since if holder else run.created
    quiet = now - max(run.updated, since)
    usual = (run.updated - run.created) / run.sequence if run.sequence >= _LEAST_COMMITS else None
    if usual is not None and quiet > max(settings.overdue_factor * usual, settings.overdue_least):
        return f"no commit for {duration_text(quiet)}, usually one every {usual:.3g} s"
    took = now - run.created
    if usual_length is not None and took > max(settings.overdue_factor * usual_length, settings.overdue_least):
        return f"running for {duration_text(took)}, usually {duration_text(usual_length)}"
    return None


def _usual_length(core: StoreCore, name: str) -> float | None:
    done = core.catalog.list_runs(RunFilter(name=name, status=[RunStatus.COMPLETED], limit=_FORMER))
    return median(run.updated - run.created for run in done) if len(done) >= _LEAST_FORMER else None


def _streams_away(core: StoreCore) -> list[Waiting]:
    """Those that somebody follows now and whose database cannot be reached from here."""
    if not core.catalog.list_checkpoints(CheckpointFilter(role="stream", limit=1)):
        return []
    from waycairn.upkeep.streams import AWAY, known_streams, stand  # brings the reading of streams along

    followed = [stream for stream in known_streams(core, {}) if stream.run and not stream.run.status.is_finished]
    return [
        Waiting(name=one.known.name, id=one.known.run.id if one.known.run else "", why=one.error)
        for one in stand(core, followed)
        if one.word == AWAY
    ]
