"""Jobs around encrypted stores: a store that is copied into an encrypted one, keys that are changed."""

from __future__ import annotations

from pathlib import Path

import waycairn as wc
from crash.common import STORE, Acks, Told, Workload, save_pages
from crash.saving import value
from waycairn.crypto.locksmith import Locksmith
from waycairn.crypto.sources import Source, from_text
from waycairn.errors import CopyUnfinished, StoreNotFound
from waycairn.upkeep import invariants
from waycairn.upkeep.copying import copy_store
from waycairn.wiring import open_core
from waycairn.work.store import Store

COPY = f"{STORE}/copy"
"""Inside of the store of the job, which looks at it only by name."""
PAGES = 4


def key(number: int) -> Source:
    return from_text(f"{number:02x}" * 32, f"key {number}")


def opened(place: str, *numbers: int, create: bool = False) -> Store:
    """The encrypted store there, by the first of these keys that opens it."""
    last = numbers[-1]
    for number in numbers:
        try:
            core = open_core(place, create=create, keys=Locksmith.of(place, key(number)))
        except wc.errors.KeyWrong:
            if number == last:
                raise
        else:
            return Store(core)
    raise AssertionError


# -- a copy ------------------------------------------------------------------------------------------------------------


def copy_encrypted(store: wc.Store, told: Told) -> None:
    save_pages(store, lambda _: None, "cursor", value, PAGES)
    try:
        opened(COPY, 1).close()
    except (StoreNotFound, CopyUnfinished):
        target = open_core(COPY, copy=True, keys=Locksmith.of(COPY, key(1)))
        try:
            copy_store(store.core, target)
        finally:
            target.close()
        told("copied 1")


def check_copy(_: wc.Store, acks: Acks) -> None:
    """There is a whole copy, or one that cannot be used."""
    if not Path(COPY, "catalog.db").exists():
        assert not acks.get("copied")
        return
    try:
        copy = opened(COPY, 1)
    except (StoreNotFound, CopyUnfinished):
        assert not acks.get("copied"), "a finished copy is a store"
        return
    with copy:
        found = [copy.load(record.id) for record in reversed(copy.checkpoints("cursor"))]
        assert found == [value(page) for page in range(1, PAGES + 1)]
        assert not invariants.verify(copy.core)


WORKLOADS = {"copy": Workload(copy_encrypted, check_copy)}
