"""What the small jobs of this folder have in common: what they save, and how what they left is looked up."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import waycairn as wc
from waycairn import catalog
from waycairn.codec.keys import unpack_keys
from waycairn.errors import RunNotFound
from waycairn.model.records import CheckpointRecord, RunRecord

Told = Callable[[str], None]
OPEN_CATALOG = catalog.open_catalog
Acks = Mapping[str, int]
"""The highest number told for each word."""

STORE = "store"
ADDRESS, DEADLINE = "WAYCAIRN_STORE", "WAYCAIRN_JOB_DEADLINE"
"""Environment of a job: a server instead of the directory STORE (the packs stay there), and how long it may be silent."""
LARGE = 150_000
"""More than rides inline in the catalog: goes to a pack."""


def open_store(*, create: bool = True) -> wc.Store:
    """The store that the jobs work on: in the working directory, or on the server that the environment names."""
    address = os.environ.get(ADDRESS, "")
    if "://" not in address:
        return wc.open(STORE, create=create)
    deadline = os.environ.get(DEADLINE)
    if deadline:
        catalog.open_catalog = functools.partial(OPEN_CATALOG, deadline=float(deadline))
    return wc.open(address, packs=Path(STORE, "packs"), create=create)


def looking() -> tempfile.TemporaryDirectory[str]:
    """A folder for whoever looks: elsewhere, since where the job works may be no room, and in memory, if there is such a place."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="waycairn-look-", dir=memory if memory.is_dir() else None)


def blob(number: int, size: int = LARGE) -> bytes:
    """Bytes that cannot be compressed and are the same in every run."""
    return hashlib.shake_128(b"%d" % number).digest(size)


def flush(path: Path) -> None:
    """A file, or the names in a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save_pages(store: wc.Store, told: Told, name: str, value: Callable[[int], Any], last: int) -> None:
    """A value a page, from where the last one died."""
    done = store.latest(name, {"page": 0})["page"]
    for page in range(done + 1, last + 1):
        store.save(name, value(page))
        told(f"page {page}")


def check_pages(store: wc.Store, acks: Acks, name: str, value: Callable[[int], Any]) -> None:
    loaded = [store.load(record.id) for record in reversed(checkpoints(store, name))]
    assert loaded == [value(page) for page in range(1, len(loaded) + 1)], [one["page"] for one in loaded]
    assert len(loaded) >= acks.get("page", 0), f"{acks} acknowledged, {len(loaded)} there"
    if loaded:
        assert store.latest(name) == loaded[-1]


def read_acks(lines: list[str]) -> Acks:
    """From lines such as `page 3`."""
    acks: dict[str, int] = {}
    for line in lines:
        word, number = line.split()
        acks[word] = max(int(number), acks.get(word, 0))
    return acks


def line(number: int) -> str:
    return f"{number} squared is {number * number}\n" * (1 + number % 3)


def nothing(_: wc.Store) -> None:
    """A store is looked at as it is."""


@dataclass(frozen=True, slots=True)
class Workload:
    run: Callable[[wc.Store, Told], None]
    check: Callable[[wc.Store, Acks], None]
    is_flushed: bool = True
    """Whether every commit survives a power cut; else it may lose the newest, all of a batch together."""
    first: Callable[[wc.Store], None] = nothing
    """What a person does before he looks: of a job that does damage."""


def find(store: wc.Store, name: str) -> RunRecord | None:
    with suppress(RunNotFound):
        return store.find(name)
    return None


def checkpoints(store: wc.Store, name: str, **which: Any) -> list[CheckpointRecord]:
    """Newest first; every one of them intact."""
    run = find(store, name)
    listed = list(store.checkpoints(run.id, **which)) if run else []
    assert all(record.status == "valid" for record in listed)
    return listed


def results_of(store: wc.Store, run: RunRecord) -> dict[str, Any]:
    """Of the loop `items`, by key."""
    found = {}
    for block in store.core.catalog.done_items(run.id, "items"):
        if block.results is not None:
            parts = store.core.load_results(block.results)
            found |= {str(key): part.load() for key, part in zip(unpack_keys(block.keys), parts, strict=True) if part}
    return found
