"""Small jobs that touch every durability step, what must hold at any instant of them, and what they end with.

Each job is written as a user would write it: the same call again goes on from where the last one died. `told` is
called when something was acknowledged: from then on it must survive. Jobs run with their folder as the working
directory, and everything they compute is a function of small numbers, so that every saved value can be foretold.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import waycairn as wc
from waycairn import catalog
from waycairn.codec.keys import unpack_keys
from waycairn.errors import RunNotFound, StoreNotFound
from waycairn.model.records import CheckpointRecord, RunRecord
from waycairn.process import FileOwnership

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


def blob(number: int, size: int = LARGE) -> bytes:
    """Bytes that cannot be compressed and are the same in every run."""
    return hashlib.shake_128(b"%d" % number).digest(size)


def read_acks(lines: list[str]) -> Acks:
    """From lines such as `page 3`."""
    acks: dict[str, int] = {}
    for line in lines:
        word, number = line.split()
        acks[word] = max(int(number), acks.get(word, 0))
    return acks


# -- 1 plain values ----------------------------------------------------------------------------------------------


def value(page: int) -> dict[str, Any]:
    return {"page": page, "data": blob(page) if page % 3 == 0 else "small"}


def save_values(store: wc.Store, told: Told) -> None:
    done = store.latest("cursor", {"page": 0})["page"]
    for page in range(done + 1, 8):
        store.save("cursor", value(page))
        told(f"page {page}")


def check_values(store: wc.Store, acks: Acks) -> None:
    loaded = [store.load(record.id) for record in reversed(checkpoints(store, "cursor"))]
    assert loaded == [value(page) for page in range(1, len(loaded) + 1)], [one["page"] for one in loaded]
    assert len(loaded) >= acks.get("page", 0), f"{acks} acknowledged, {len(loaded)} there"
    if loaded:
        assert store.latest("cursor") == loaded[-1]


# -- 2 steps and a whole output ------------------------------------------------------------------------------------


def fetch(number: int) -> dict[str, Any]:
    return {"number": number, "data": blob(number) if number == 2 else list(range(number))}


def remember_steps(store: wc.Store, told: Told) -> None:
    with store.run("steps") as run:
        report = run.output("report.json")
        results = []
        for number in range(5):
            results.append(run.step(f"fetch {number}", fetch, number, returns=dict[str, Any]))
            told(f"step {number + 1}")
        report.write(json.dumps([hashlib.sha256(repr(one).encode()).hexdigest() for one in results]))
        run.complete(len(results))
    told("completed 1")


def check_steps(store: wc.Store, acks: Acks) -> None:
    run = find(store, "steps")
    steps = store.core.catalog.list_steps(run.id) if run else []
    found = {one.step.name: store.core.load(one.step.result) for one in steps}
    assert found == {f"fetch {number}": fetch(number) for number in range(len(found))}
    assert len(found) >= acks.get("step", 0), f"{acks} acknowledged, {len(found)} there"
    if acks.get("completed"):
        assert run is not None
        assert run.status == "completed"
        assert Path("report.json").exists()
    if Path("report.json").exists():
        assert len(json.loads(Path("report.json").read_text())) == 5, "a whole output is there whole or not at all"


# -- 3 items folded into a state and a growing output --------------------------------------------------------------

ITEMS = 9


def line(number: int) -> str:
    return f"{number} squared is {number * number}\n" * (1 + number % 3)


def lines(count: int) -> bytes:
    return "".join(line(number) for number in range(1, count + 1)).encode()


def fold(count: int) -> dict[str, Any]:
    return {"sum": sum(range(1, count + 1)), "seen": list(range(1, count + 1))}


def fold_items(store: wc.Store, told: Told) -> None:
    _fold(store, told, "fold", "every item")


def fold_in_groups(store: wc.Store, told: Told) -> None:
    _fold(store, told, "groups", "4 items")


def _fold(store: wc.Store, told: Told, name: str, pace: str) -> None:
    with store.run(name, pace=pace) as run:
        state = run.state({"sum": 0, "seen": []})
        out = run.output(f"{name}.txt", append=True)
        for number in run.each(range(1, ITEMS + 1)):
            if pace == "every item":
                told(f"item {len(state['seen'])}")
            state["sum"] += number
            state["seen"].append(number)
            out.write(line(number))
            if number == 5:
                run.step("look up", fetch, 2, returns=dict[str, Any])
            if number == 6:
                run.checkpoint(kind="milestone", tags=["six"])
    told(f"item {ITEMS}")


def check_fold(store: wc.Store, acks: Acks) -> None:
    for name in ("fold", "groups"):
        run = find(store, name)
        if run is not None:
            _check_fold(store, run)
            done = store.core.catalog.loops(run.id).get("items", 0)
            assert done >= acks.get("item", 0), f"{acks} acknowledged, {done} there"
            return
    assert not acks.get("item")


def _check_fold(store: wc.Store, run: RunRecord) -> None:
    for record in checkpoints(store, run.id, role="state"):
        state = store.load(record.id)
        count = len(state["seen"])
        assert state == fold(count)
        assert record.checkpoint.outputs == {f"{run.name}.txt": len(lines(count))}
    newest = store.core.catalog.latest_checkpoint(run.id, role="state")
    done = store.core.catalog.loops(run.id).get("items", 0)
    assert done == (len(store.load(newest.id)["seen"]) if newest else 0), "items and state are of one cut"
    committed = store.core.catalog.outputs(run.id).get(f"{run.name}.txt")
    length = committed.length if committed else 0
    assert length == len(lines(done)), "items and output are of one cut"
    text = Path(f"{run.name}.txt")
    assert (text.read_bytes() if text.exists() else b"")[:length] == lines(done)


# -- 4 checkpoints of a changing state -----------------------------------------------------------------------------


def page_state(page: int) -> dict[str, Any]:
    return {"page": page, "blob": blob(page, 1000) + blob(page // 2, LARGE)}


def take_checkpoints(store: wc.Store, told: Told) -> None:
    with store.run("pages") as run:
        state = run.state({"page": 0, "blob": b""})
        while state["page"] < 6:
            state.update(page_state(state["page"] + 1))
            if run.checkpoint(force=True, metadata={"page": state["page"]}):
                told(f"page {state['page']}")


def check_checkpoints(store: wc.Store, acks: Acks) -> None:
    found = [
        (record.checkpoint.metadata["page"], store.load(record.id))
        for record in reversed(checkpoints(store, "pages", role="state"))
        if record.checkpoint.metadata
    ]
    assert found == [(page, page_state(page)) for page in range(1, len(found) + 1)], [page for page, _ in found]
    assert len(found) >= acks.get("page", 0), f"{acks} acknowledged, {len(found)} there"


# -- 5 phases ------------------------------------------------------------------------------------------------------


def clean(phase: wc.Run, count: int) -> list[int]:
    out = phase.output("clean.txt", append=True)
    state = phase.state({"kept": []})
    for number in phase.each(range(count), name="numbers"):
        if number % 2:
            state["kept"].append(number)
            out.write(line(number))
    return state["kept"]


def count_up(phase: wc.Run, numbers: list[int]) -> int:
    return phase.step("sum", sum, numbers, returns=int)


def go_through_phases(store: wc.Store, told: Told) -> None:
    with store.run("phases", pace="2 items") as run:
        numbers = run.phase("clean", clean, 7)
        told("phase 1")
        total = run.phase("count", count_up, numbers)
        told("phase 2")
        run.output("total.txt").write(f"{total}\n")
        run.complete({"total": total})
    told("completed 1")


def check_phases(store: wc.Store, acks: Acks) -> None:
    run = find(store, "phases")
    below = {phase.name: phase for phase in store.phases(run.id)} if run else {}
    for number, (name, result) in enumerate([("clean", [1, 3, 5]), ("count", 9)], start=1):
        if acks.get("phase", 0) >= number:
            assert below[name].status == "completed"
            kept = store.core.catalog.latest_checkpoint(below[name].id, role="result")
            assert kept is not None
            assert store.load(kept.id) == result
    if acks.get("completed"):
        assert run is not None
        assert run.status == "completed"
        assert Path("total.txt").read_text() == "9\n"


# -- 6 a completed run that gets new items -------------------------------------------------------------------------


def enter_again(store: wc.Store, told: Told) -> None:
    for count in (2, 5):
        with store.run("again") as run:
            out = run.output("again.txt", append=True)
            for number in run.each(range(count)):
                out.write(line(number))
        told(f"item {count}")


def check_again(store: wc.Store, acks: Acks) -> None:
    run = find(store, "again")
    done = store.core.catalog.loops(run.id).get("items", 0) if run else 0
    assert done >= acks.get("item", 0), f"{acks} acknowledged, {done} there"
    expected = "".join(line(number) for number in range(done)).encode()
    committed = store.core.catalog.outputs(run.id).get("again.txt") if run else None
    assert (committed.length if committed else 0) == len(expected)
    assert not expected or Path("again.txt").read_bytes()[: len(expected)] == expected


# -- 7 deleting ----------------------------------------------------------------------------------------------------


def forget_values(store: wc.Store, told: Told) -> None:
    while not store.latest("forgotten"):
        done = store.latest("old", {"page": 0})["page"]
        for page in range(done + 1, 5):
            store.save("old", value(page), tags=[f"page {page}"])
        for record in store.checkpoints("old", tag="page 2"):
            store.pin(record.id)
        told("pinned 1")
        store.clear("old")
        told("cleared 1")
        store.save("forgotten", True)
        told("forgotten 1")


def check_forgotten(store: wc.Store, acks: Acks) -> None:
    found = {record.sequence: (record.pinned, store.load(record.id)) for record in checkpoints(store, "old")}
    for _, loaded in found.values():
        assert loaded == value(loaded["page"])
    pinned = [loaded["page"] for is_pinned, loaded in found.values() if is_pinned]
    if acks.get("pinned"):
        assert pinned == [2], "a pinned checkpoint is never deleted"
    if acks.get("forgotten"):
        assert len(found) == 1, "what was deleted does not come back"


# -- 9 items that fail, and results --------------------------------------------------------------------------------

BAD = {2, 5}


def given(number: int) -> dict[str, Any]:
    return {"number": number, "data": blob(number) if number in {3, 4} else "small"}


def work_through_a_batch(store: wc.Store, told: Told) -> None:
    with store.run("batch", pace="2 items") as run:
        for item in run.items(range(8)):
            with item:
                if item.value in BAD:
                    raise ValueError(f"bad {item.value}")
                item.result = given(item.value)
    told("left 1")


def check_batch(store: wc.Store, acks: Acks) -> None:
    run = find(store, "batch")
    if run is None:
        assert not acks
        return
    results = results_of(store, run)
    assert all(result == given(int(key)) for key, result in results.items())
    failures = {unpack_keys(failed.key)[0]: failed.error["message"] for failed in store.core.catalog.failures(run.id)}
    assert failures.keys() <= BAD
    assert all(message == f"bad {number}" for number, message in failures.items())
    counts = (run.progress.done, run.progress.failed)
    assert counts == (len(results), len(failures)), "items, results, failures and counts are of one cut"
    if acks.get("left"):
        assert counts == (6, 2)
        assert run.status == "partial"


def results_of(store: wc.Store, run: RunRecord) -> dict[str, Any]:
    """Of the loop `items`, by key."""
    found = {}
    for block in store.core.catalog.done_items(run.id, "items"):
        if block.results is not None:
            parts = store.core.load_results(block.results)
            found |= {str(key): part.load() for key, part in zip(unpack_keys(block.keys), parts, strict=True) if part}
    return found


# -- 10 a map over a queue, folded into a state and a file ------------------------------------------------------------


def neighbours(page: int) -> list[int]:
    return [found for found in (2 * page, 2 * page + 1) if found < 12]


def walk_a_map(store: wc.Store, told: Told) -> None:
    with store.run("walk", pace="2 items") as run:
        state = run.state({"sum": 0})
        out = run.output("walk.txt", append=True)
        pages = run.queue([1])
        for item in run.map(neighbours, pages, workers=1, order="input"):
            state["sum"] += item.value
            out.write(f"{item.value} {item.result}\n")
            pages.extend(item.result)
    told("left 1")


def check_walk(store: wc.Store, acks: Acks) -> None:
    run = find(store, "walk")
    if run is None:
        assert not acks
        return
    folded = results_of(store, run)
    assert all(result == neighbours(int(page)) for page, result in folded.items())
    assert run.progress.done == len(folded)
    for waiting in store.core.catalog.computed(run.id, "items"):
        (page,) = unpack_keys(waiting.key)
        assert str(page) not in folded, "computed, or folded"
        assert store.core.load(waiting.result) == neighbours(page)
    committed = store.core.catalog.outputs(run.id).get("walk.txt")
    expected = "".join(f"{page} {result}\n" for page, result in folded.items()).encode()
    assert (committed.length if committed else 0) == len(expected), "the file is of the same cut"
    assert not expected or Path("walk.txt").read_bytes()[: len(expected)] == expected
    newest = store.core.catalog.latest_checkpoint(run.id, role="state")
    if newest is not None:
        assert store.load(newest.id)["sum"] == sum(map(int, folded)), "the state is of the same cut"
    if acks.get("left"):
        assert sorted(map(int, folded)) == [*range(1, 12)]


# -- 11 a batch in two parts ----------------------------------------------------------------------------------------


def do_two_parts(store: wc.Store, told: Told) -> None:
    for index in range(2):
        with store.run("parts", part=(index, 2), pace="2 items") as run:
            for number in run.each(range(9)):
                assert number < 9
        told(f"part {index + 1}")


def check_parts(store: wc.Store, acks: Acks) -> None:
    whole = find(store, "parts")
    if whole is None:
        assert not acks
        return
    done = {run.key: run.progress.done for run in store.runs(name="parts") if run.key}
    if whole.status == "completed":
        assert sum(done.values()) == whole.progress.done == 9
    if acks.get("part", 0) >= 2:
        assert sum(done.values()) == 9


# -- all of them ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workload:
    run: Callable[[wc.Store, Told], None]
    check: Callable[[wc.Store, Acks], None]


WORKLOADS = {
    "values": Workload(save_values, check_values),
    "steps": Workload(remember_steps, check_steps),
    "fold": Workload(fold_items, check_fold),
    "groups": Workload(fold_in_groups, check_fold),
    "pages": Workload(take_checkpoints, check_checkpoints),
    "phases": Workload(go_through_phases, check_phases),
    "again": Workload(enter_again, check_again),
    "forget": Workload(forget_values, check_forgotten),
    "batch": Workload(work_through_a_batch, check_batch),
    "walk": Workload(walk_a_map, check_walk),
    "parts": Workload(do_two_parts, check_parts),
}


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


def verify(workload: str, acks: Acks) -> bool:
    """What must hold at any instant, in the working directory: the database is sound, everything that is listed reads
    back whole, and the workload's own promises. False if there is no store yet (then nothing was acknowledged)."""
    try:
        store = open_store(create=False)
    except StoreNotFound:
        assert not acks, f"the store is gone with {acks} acknowledged"
        return False
    with store:
        for record in store.checkpoints():
            store.core.verify(record.checkpoint.stored)
        WORKLOADS[workload].check(store, acks)
        if Path(STORE, "catalog.db").exists():
            with closing(sqlite3.connect(f"file:{STORE}/catalog.db?mode=ro", uri=True)) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    return True


def outcome() -> dict[str, Any]:
    """All that a finished job leaves in the working directory, but for ids and times: equal after every crash."""
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path().rglob("*")
        if path.is_file() and path.parts[0] != STORE
    }
    runs = {}
    with open_store(create=False) as store:
        rows = store.core.catalog
        for root in store.runs():
            for run in (root, *store.phases(root.id)):
                newest = {role: rows.latest_checkpoint(run.id, role=role) for role in ("state", "value", "result")}
                runs[f"{root.name}/{run.name}"] = {
                    "status": run.status.value,
                    "done": run.progress.done,
                    "failed": [run.progress.failed, sorted(repr(one.key) for one in rows.failures(run.id))],
                    "results": repr(results_of(store, run)),
                    "loops": dict(rows.loops(run.id)),
                    "steps": sorted((one.step.scope, one.step.name) for one in rows.list_steps(run.id)),
                    "outputs": {one.path: one.length for one in rows.outputs(run.id).values()},
                    "newest": {role: repr(store.load(one.id)) for role, one in newest.items() if one},
                }
        if isinstance(store.core.ownership, FileOwnership):
            store.core.ownership.sweep()
    owners = sorted(path.name for path in Path(STORE, "owners").glob("*"))
    return {"files": files, "runs": runs, "owners": owners}
