"""Jobs whose bytes are moved: packs that are written anew, and an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import waycairn as wc
from crash.common import STORE, Acks, Told, Workload, blob, checkpoints, find
from waycairn.chunks.recompressing import compressed_again
from waycairn.chunks.referring import REFERS_TO_NOTHING, runs_in
from waycairn.errors import SweptMeanwhile
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.upkeep import repacking
from waycairn.upkeep.archive import archive, restore
from waycairn.upkeep.choosing import chosen
from waycairn.upkeep.inline import inline_blocks
from waycairn.upkeep.optimize import optimize
from waycairn.upkeep.repacking import Mover

EAGER = OptimizeSettings(live_share=1.0, small_packs=2, recompress_after=0.0)
"""Everything that can be moved is."""
LAST = 3
LITTLE = 18_000
"""Too much for a manifest, and little enough to lie in the catalog."""


def texts(page: int) -> list[str]:
    """Compressible, a chunk each; some of them change from page to page."""
    return [f"{number} {page if number % 3 == 0 else page // 3} ".ljust(40, "x") * 30 for number in range(60)]


def moved(page: int) -> dict[str, Any]:
    """Numbers that stay, numbers that go, and a document of which some goes."""
    kept = np.frombuffer(blob(1, 70_000), np.uint8)
    return {"page": page, "kept": kept, "own": blob(page, 140_000), "texts": texts(page), "small": blob(page, 20_000)}


def is_moved(found: dict[str, Any], page: int) -> bool:
    wanted = moved(page)
    numbers = found["kept"].tobytes() == wanted["kept"].tobytes()
    return numbers and all(found[name] == wanted[name] for name in ("page", "own", "texts", "small"))


# -- packs written anew ----------------------------------------------------------------------------------------------


def save_and_optimize(store: wc.Store, told: Told) -> None:
    repacking.AT_ONCE = 100  # a switch of many chunks takes several transactions
    done = store.latest("moved", {"page": 0})["page"]
    for page in range(done + 1, LAST + 1):
        store.save("little", {"page": page, "data": blob(page, LITTLE)}, keep=1)
        store.save("moved", moved(page), keep=2)  # last: it says which pages are done
        told(f"page {page}")
        _sweep_slowly(store)
        optimize(store.core, settings=EAGER)
    optimize(store.core, settings=EAGER, recompress=True)
    store.sweep(grace=0)
    told("optimized 1")


def _sweep_slowly(store: wc.Store) -> None:
    """Another process has marked what is dead; a dead block and one that lives are joined; and only then it goes on."""
    rows = store.core.catalog
    mark = rows.mark(runs_in, REFERS_TO_NOTHING)
    Mover(store.core, seal=compressed_again(3)).move(inline_blocks(store.core))
    try:
        rows.condemn(mark, mark.dead, runs_in, REFERS_TO_NOTHING)
    except SweptMeanwhile:
        return


def check_moved(store: wc.Store, acks: Acks) -> None:
    values = [store.load(record.id) for record in reversed(checkpoints(store, "moved"))]
    pages = [one["page"] for one in values]
    assert pages in ([], *(list(range(max(1, last - 1), last + 1)) for last in range(1, LAST + 1))), pages
    assert all(map(is_moved, values, pages))
    assert (pages[-1] if pages else 0) >= acks.get("page", 0), f"{acks} acknowledged"
    little = [store.load(record.id) for record in checkpoints(store, "little")]
    assert all(one == {"page": one["page"], "data": blob(one["page"], LITTLE)} for one in little)
    if acks.get("optimized"):
        _check_tidy(store)


def _check_tidy(store: wc.Store) -> None:
    facts = store.core.catalog.pack_facts()
    assert {path.name for path in Path(STORE, "packs").glob("*/*")} == set(facts)
    assert all(one.blocks and not one.dead_bytes for one in facts.values()), "nothing dead is left"


# -- an archive --------------------------------------------------------------------------------------------------------

ARCHIVE = Path(STORE, "archive")
"""Within the store, so that a copy of the one is a copy of the other."""


def save_and_archive(store: wc.Store, told: Told) -> None:
    for name, pages in (("cold", (1, 2)), ("warm", (2, 3))):
        done = store.latest(name, {"page": 0})["page"]
        for page in pages:
            if page > done:
                store.save(name, moved(page))
                told(f"{name} {page}")
    if not store.latest("archived"):
        archive(store.core, chosen(store.core, [store.find("cold")]), str(ARCHIVE), grace=0)
        told("archived 1")
        store.save("archived", True)
    assert is_moved(store.latest("cold"), 2)
    restore(store.core, None, grace=0)
    told("restored 1")


def check_archived(store: wc.Store, acks: Acks) -> None:
    for name, pages in (("cold", (1, 2)), ("warm", (2, 3))):
        values = [store.load(record.id) for record in reversed(checkpoints(store, name))]
        assert tuple(one["page"] for one in values) in (pages[:0], pages[:1], pages)
        assert all(is_moved(one, one["page"]) for one in values)
        assert (values[-1]["page"] if values else 0) >= acks.get(name, 0), f"{acks} acknowledged"
    facts = store.core.catalog.pack_facts()
    away = {pack for pack, one in facts.items() if one.place is not None and one.blocks}
    if acks.get("restored"):
        assert not away
    elif acks.get("archived") and find(store, "archived") is None:
        assert away, "what only the old ones need lies in the archive"


WORKLOADS = {
    "optimize": Workload(save_and_optimize, check_moved),
    "archive": Workload(save_and_archive, check_archived),
}
