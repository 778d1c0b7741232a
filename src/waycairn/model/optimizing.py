"""What an optimizer decides and tells, as plain frozen records: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from waycairn.model.ids import PackId
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.model.repacking import PackFacts

Kind = Literal["compact", "join", "recompress", "inline", "archive", "restore"]
GROUP = 256 * 1024 * 1024
"""Live bytes of packs that are worked on together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Packs that are written anew, together."""

    kind: Kind
    packs: Sequence[PackId]
    bytes: int
    """Live ones: what is copied."""
    dead_bytes: int
    created: float | None
    """When the newest of them was written."""
    place: str | None
    level: int | None
    """At which they are compressed again, or were."""
    compress: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What was done, or with `dry_run` would be."""

    kind: Kind
    packs: int
    """Old ones, written anew."""
    copied_bytes: int
    freed_bytes: int
    """Once the old packs are gone: what these bytes took before, less what they take now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragmentation:
    """How much of the packs beside the catalog nothing refers to."""

    packs: int
    pack_bytes: int
    dead_bytes: int

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.dead_bytes / self.pack_bytes if self.pack_bytes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeReport:
    """What one pass did, or with `dry_run` would do."""

    before: Fragmentation
    after: Fragmentation
    """With `dry_run` as it would be without what a sweep removes first."""
    dry_run: bool = False
    actions: Sequence[Action] = ()
    copied_bytes: int = 0
    freed_bytes: int = 0
    """Less bytes of packs than before, also by what the sweep removed; what went to an archive does not count."""
    compressed_bytes: int = 0
    """Of these, saved by better compression."""
    archived_bytes: int = 0
    """That lie in an archive now and lay beside the catalog before."""
    left_bytes: int = 0
    """To be copied by the next pass, for this one had its `max_bytes`."""
    unreadable: Sequence[str] = ()
    """Blocks that are damaged and stay where they are; `waycairn verify` names what needs them."""
    away: Sequence[str] = ()
    """Archives that were not there: what lies in them was left alone."""
    catalog_bytes: int = 0
    """By which the file of the catalog shrank."""
    seconds: float = 0.0

    @property
    def is_empty(self) -> bool:
        """There was nothing to do."""
        return not (self.actions or self.freed_bytes or self.archived_bytes or self.catalog_bytes)


def fragmentation(facts: Mapping[PackId, PackFacts]) -> Fragmentation:
    here = [fact for fact in facts.values() if fact.place is None]
    return Fragmentation(
        packs=len(here), pack_bytes=sum(fact.size for fact in here), dead_bytes=sum(fact.dead_bytes for fact in here)
    )


@dataclass(slots=True)
class _Group:
    """Packs that become one job, while they are gathered."""

    packs: list[tuple[PackId, PackFacts]] = field(default_factory=list)
    size: int = 0


def plan(
    facts: Mapping[PackId, PackFacts], settings: OptimizeSettings, now: float, *, compress: bool | None = None
) -> list[Job]:
    """What to write anew, the deadest first, then the oldest. `compress`: everything again (True), nothing (False), or
    what is cold (None)."""
    used = {name: one for name, one in facts.items() if one.blocks}
    sparse = {name for name, one in used.items() if one.share < settings.live_share and one.dead_bytes}
    small = _small(used, settings) - sparse
    cold = {name for name, one in used.items() if one.place is None and _is_cold(one, settings, now, compress)}
    jobs: list[Job] = []
    for kind, names in (("compact", sparse), ("join", small), ("recompress", cold - sparse - small)):
        jobs += _jobs(kind, ((name, used[name]) for name in names), cold, settings)  # type: ignore[arg-type]
    return jobs


def _small(used: Mapping[PackId, PackFacts], settings: OptimizeSettings) -> set[PackId]:
    """Of each place, if they are many."""
    places: dict[str | None, set[PackId]] = {}
    for name, one in used.items():
        if one.size < settings.small_pack and one.chunks < _MANY_CHUNKS:
            places.setdefault(one.place, set()).add(name)
    return {name for names in places.values() if len(names) >= settings.small_packs for name in names}


_MANY_CHUNKS = 25_000
"""A pack with so many is not joined with others, however small it is: one that is being written is closed at twice that."""


def _is_cold(one: PackFacts, settings: OptimizeSettings, now: float, compress: bool | None) -> bool:
    if compress is False or (one.level or 0) >= settings.level:
        return False
    after = settings.recompress_after
    # A pack of an older format tells no time: it was written long ago.
    return compress is True or (after is not None and (one.created or 0.0) < now - after)


def _jobs(
    kind: Kind, packs: Iterable[tuple[PackId, PackFacts]], cold: set[PackId], settings: OptimizeSettings
) -> Iterator[Job]:
    """Packs go together that lie in one place and are compressed alike."""
    groups: dict[tuple[str | None, int | None, bool], _Group] = {}
    for name, one in sorted(packs, key=lambda pair: (pair[1].share, pair[1].created or 0.0, pair[0])):
        compress = name in cold
        key = (one.place, settings.level if compress else one.level, compress)
        group = groups.setdefault(key, _Group())
        if group.packs and group.size + one.live_bytes > GROUP:
            yield _job(kind, key, groups.pop(key))
            group = groups.setdefault(key, _Group())
        group.packs.append((name, one))
        group.size += one.live_bytes
    for key, group in groups.items():
        yield _job(kind, key, group)


def _job(kind: Kind, key: tuple[str | None, int | None, bool], group: _Group) -> Job:
    created = [one.created for _, one in group.packs]
    known = [moment for moment in created if moment is not None]
    place, level, compress = key
    return Job(
        kind=kind,
        packs=[name for name, _ in group.packs],
        bytes=group.size,
        dead_bytes=sum(one.dead_bytes for _, one in group.packs),
        created=max(known) if len(known) == len(created) else None,
        place=place,
        level=level,
        compress=compress,
    )


def within(jobs: Sequence[Job], most: int | None) -> tuple[list[Job], int]:
    """Those that one pass does, and the bytes of the rest. One is done in any case, so that passes come to an end."""
    done: list[Job] = []
    size = left = 0
    for job in jobs:
        if most is None or not done or size + job.bytes <= most:
            done.append(job)
            size += job.bytes
        else:
            left += job.bytes
    return done, left
