"""Jobs around encrypted stores: a store that is copied into an encrypted one, keys that are changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import waycairn as wc
from crash.common import STORE, Acks, Told, Workload, check_pages, save_pages
from crash.saving import value
from waycairn.crypto.locksmith import Locksmith
from waycairn.crypto.sources import Source, from_text
from waycairn.errors import CopyUnfinished, StoreNotFound
from waycairn.upkeep import invariants
from waycairn.upkeep.copying import copy_store
from waycairn.upkeep.keys import opened_keys, rotate_way_in
from waycairn.upkeep.rotating import rotate_data_key
from waycairn.wiring import open_core
from waycairn.work.store import Store
from waycairn.world import history

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


@contextmanager
def unwatched() -> Iterator[None]:
    """What is acknowledged in another store than that of the job is not looked for there; what is told, is."""
    log, tell = history._log, history.tell

    def tell_all_the_same(word: str, number: int) -> None:
        if log is not None:
            log.write(history.Told(word=word, number=number))

    history._log, history.tell = None, tell_all_the_same
    try:
        yield
    finally:
        history._log, history.tell = log, tell


# -- keys that are changed -----------------------------------------------------------------------------------------------

SEALED = f"{STORE}/sealed"
MORE = 6


def change_keys(_: wc.Store, told: Told) -> None:
    """Pages before and after the data key is replaced, then another way in."""
    with unwatched(), opened(SEALED, 1, 2, create=True) as store:
        save_pages(store, told, "cursor", value, PAGES)
        if store.core.catalog.wrapped_keys()[-1].generation == 1:
            rotate_data_key(store.core)
        else:
            rotate_data_key(store.core, begin=False)
        told("rotated 1")
        ring = opened_keys(store.core)
        if ring.source.where == "key 1":
            rotate_way_in(store.core, key(2))
        told("renewed 1")
        save_pages(store, told, "cursor", value, MORE)
        store.sweep(grace=0)


def check_keys(_: wc.Store, acks: Acks) -> None:
    """Everything can be read by a key that was acknowledged, or the one before; the old data key goes last."""
    if not Path(SEALED, "catalog.db").exists():
        assert not acks
        return
    try:
        store = opened(SEALED, *([2] if acks.get("renewed") else [1, 2]))
    except StoreNotFound:
        assert not acks
        return
    with store:
        check_pages(store, acks, "cursor", value)
        keys = opened_keys(store.core).data_keys
        if acks.get("rotated"):
            assert list(keys.by_generation) == [2], "what was replaced is gone"
        assert not invariants.verify(store.core)


WORKLOADS = {"copy": Workload(copy_encrypted, check_copy), "rotate": Workload(change_keys, check_keys)}
