"""Facts for health: what lies in the store, and the room it takes."""

from __future__ import annotations

import shutil
from pathlib import Path

from waycairn.errors import Damaged
from waycairn.model.health_rules import Facts, Waiting
from waycairn.model.ids import PackId, RunId
from waycairn.model.records import CheckpointFilter
from waycairn.model.states import CheckpointStatus
from waycairn.store import StoreCore
from waycairn.upkeep.sweep import long_ago, unknown_packs

_GRACE = 3600.0
"""Seconds before a pack of no commit is taken for left behind."""


def room_of(core: StoreCore) -> Facts:
    """Raises errors of the store."""
    stats, now = core.catalog.stats(), core.clock.now()
    damaged = stats["checkpoints"].get("damaged", 0)
    catalog, log = _catalog_bytes(core)
    free, total = _disk(core)
    leftovers = _leftovers(core)
    verified = core.catalog.upkeep_note("verify")
    swept = core.catalog.upkeep_note("sweep")
    return Facts(
        damaged=damaged,
        stranded=_stranded(core) if damaged else (),
        disk_free=free,
        disk_total=total,
        store_bytes=stats["pack_bytes"] + catalog,
        store_age=max(0.0, now - core.catalog.info.created),
        checkpoints=sum(stats["checkpoints"].values()),
        verified_age=None if verified is None else max(0.0, now - verified.at),
        swept_age=None if swept is None else max(0.0, now - swept.at),
        dead_bytes=_dead_bytes(core),
        pack_bytes=stats["pack_bytes"],
        leftovers=len(leftovers),
        leftover_bytes=sum(leftovers.values()),
        log_bytes=log,
        is_encrypted=core.is_encrypted,
    )


def place_of(core: StoreCore) -> Path | None:
    """A directory on the disk that saves go to; None for packs that lie elsewhere."""
    place = core.scratch
    return None if place is None else next((one for one in (place, *place.parents) if one.is_dir()), None)


def _disk(core: StoreCore) -> tuple[int | None, int | None]:
    place = place_of(core)
    if place is None:
        return None, None
    usage = shutil.disk_usage(place)
    return usage.free, usage.total


def _catalog_bytes(core: StoreCore) -> tuple[int, int | None]:
    """Of all files of an SQLite catalog, and of its log alone; a server does not tell."""
    if "://" in core.url:
        return 0, None
    sizes = {file.name: file.stat().st_size for file in Path(core.url).glob("catalog.db*") if file.is_file()}
    return sum(sizes.values()), sizes.get("catalog.db-wal", 0)


def _dead_bytes(core: StoreCore) -> int:
    """At least, in packs that others still need."""
    return sum(fill.dead_bytes for fill in core.catalog.pack_fill().values())


def _leftovers(core: StoreCore) -> dict[PackId, int]:
    """Old packs that no commit names."""
    return unknown_packs(core, core.blobs, long_ago(core.blobs, _GRACE))


def _stranded(core: StoreCore) -> list[Waiting]:
    """Unfinished runs whose state checkpoints are all damaged."""
    damaged = core.catalog.list_checkpoints(CheckpointFilter(status=CheckpointStatus.DAMAGED, role="state"))
    found = []
    for id_ in dict.fromkeys(RunId(record.run) for record in damaged):
        try:
            run = core.catalog.get_run(id_)
        except Damaged:
            continue  # `waycairn doctor` tells of it
        if run and not run.status.is_finished and core.catalog.latest_checkpoint(id_, role="state") is None:
            found.append(Waiting(name=run.name, id=run.id, why="no intact checkpoint"))
    return found
