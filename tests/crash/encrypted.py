"""A job on an encrypted store: whenever it dies, what is there opens, and nothing of it lies in the clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import waycairn as wc
from crash.common import STORE, Acks, Told, Workload, blob, check_pages, find, save_pages
from crash.keeping_keys import unwatched
from waycairn.errors import StoreNotFound
from waycairn.model.keys import DataKeys
from waycairn.wiring import open_core

KEYS = DataKeys(1, {1: bytes(range(32))})
PLACE = Path(STORE, "encrypted")
MARK = "planted where nobody may find it"
LAST = 4


def secret(page: int) -> dict[str, Any]:
    """Small ones ride in a row, each second one goes to a pack."""
    return {"page": page, MARK: f"{MARK} {page}", "data": blob(page) if page % 2 == 0 else b"small"}


def keep_secrets(store: wc.Store, told: Told) -> None:
    with unwatched(), wc.Store(open_core(PLACE, keys=KEYS)) as hidden:
        save_pages(hidden, told, "secrets", secret, LAST)
        with hidden.run("job", key=MARK, tags=[MARK], pace="every item") as run:
            for item in run.each([f"{MARK} {number}" for number in range(3)]):
                run.step(item[-1], blob, int(item[-1]), 10, returns=bytes)
        told("job 1")
        # What the job ends with, where the harnesses compare it.
        read = hidden.latest("secrets")
        done = hidden.core.catalog.loops(hidden.find("job", key=MARK).id)
    store.save("read", {"page": read["page"], "data": read["data"], "done": dict(done)})


def check_secrets(_: wc.Store, acks: Acks) -> None:
    for path in PLACE.rglob("*"):
        assert path.is_dir() or MARK.encode() not in path.read_bytes(), f"{path} holds what is secret"
    try:
        hidden = wc.Store(open_core(PLACE, create=False, keys=KEYS))
    except StoreNotFound:
        assert not acks, f"the encrypted store is gone with {acks} acknowledged"
        return
    with hidden:
        for record in hidden.checkpoints():
            hidden.core.verify(record.checkpoint.stored)
        check_pages(hidden, acks, "secrets", secret)
        if acks.get("job"):
            run = hidden.find("job", key=MARK)
            assert run.tags == (MARK,)
            assert len(hidden.core.catalog.list_steps(run.id)) == 3
        assert find(hidden, "nobody") is None


WORKLOADS = {"encrypted": Workload(keep_secrets, check_secrets)}
