"""More workloads, for a device that fails: jobs that do not give up, saves that take threads, commits that are shared.

As in `crash.workloads`; kept apart because they add nothing to a sweep of kills.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import waycairn as wc
from crash.common import check_pages, save_pages
from crash.workloads import Acks, Told, Workload, blob, checkpoints, find, line
from waycairn.errors import StoreError

__all__ = ["WORKLOADS"]

T = TypeVar("T")
PAGES = 8
HUGE = 2_200_000
"""Written around the page cache by several threads."""


def insisting(act: Callable[[], T]) -> T:
    """Call again what failed, as a job does that hopes for room; the last error is raised."""
    for _ in range(3):
        try:
            return act()
        except StoreError:
            continue
    return act()


# -- checkpoints that are tried again within the run ----------------------------------------------------------------


def text_of(pages: int) -> bytes:
    return "".join(line(page) * 400 for page in range(1, pages + 1)).encode()


def insist(store: wc.Store, told: Told) -> None:
    """Output and state grow together; a cut that fails is tried again in the same run, with the same open files."""
    with store.run("insist") as run:
        state = run.state({"page": 0, "data": b""})
        out = run.output("insist.txt", append=True)
        while state["page"] < PAGES:
            state["page"] += 1
            state["data"] = blob(state["page"])
            insisting(lambda: write_all_of(out, state["page"]))
            insisting(lambda: run.checkpoint(force=True, metadata={"page": state["page"]}))
            told(f"page {state['page']}")
        run.step("look", len, state["data"], returns=int)
    told(f"page {PAGES}")


def write_all_of(out: Any, page: int) -> None:
    """What is missing of a page: a write that failed has taken its text all the same."""
    missing = text_of(page)[out.length :]
    if missing:
        out.write(missing)


def check_insist(store: wc.Store, acks: Acks) -> None:
    run = find(store, "insist")
    found = checkpoints(store, "insist", role="state") if run else []
    pages = [store.load(record.id)["page"] for record in found]
    assert max(pages, default=0) >= acks.get("page", 0), f"{acks} acknowledged, {pages} there"
    for record in found:
        state = store.load(record.id)
        assert state["data"] == (blob(state["page"]) if state["page"] else b"")
        length = record.checkpoint.outputs.get("insist.txt", 0)
        assert length == len(text_of(state["page"]))
        assert Path("insist.txt").read_bytes()[:length] == text_of(state["page"]), "the output has other bytes"


# -- saves that are written by threads -----------------------------------------------------------------------------


@cache
def huge(page: int) -> dict[str, Any]:
    return {"page": page, "data": blob(page, HUGE)}


def save_huge(store: wc.Store, told: Told) -> None:
    save_pages(store, told, "huge", huge, 2)


def check_huge(store: wc.Store, acks: Acks) -> None:
    check_pages(store, acks, "huge", huge)


# -- threads that share their commits --------------------------------------------------------------------------------

THREADS = 4


def save_together(store: wc.Store, told: Told) -> None:
    """A thread that fails ends; the error of the first is raised when all have ended."""
    errors: list[BaseException] = []
    threads = [threading.Thread(target=_save_some, args=(store, told, number, errors)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _save_some(store: wc.Store, told: Told, number: int, errors: list[BaseException]) -> None:
    try:
        done = store.latest(f"thread {number}", 0)
        for page in range(done + 1, 6):
            store.save(f"thread {number}", page)
            told(f"thread-{number} {page}")
    except BaseException as error:
        errors.append(error)


def check_together(store: wc.Store, acks: Acks) -> None:
    for number in range(THREADS):
        loaded = [store.load(record.id) for record in reversed(checkpoints(store, f"thread {number}"))]
        assert loaded == [*range(1, len(loaded) + 1)]
        assert len(loaded) >= acks.get(f"thread-{number}", 0), f"{acks} acknowledged, {len(loaded)} there"


WORKLOADS = {
    "insist": Workload(insist, check_insist),
    "huge": Workload(save_huge, check_huge),
    "together": Workload(save_together, check_together),
}
