"""Jobs whose items fail, are computed apart, or are shared between parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import waycairn as wc
from crash.common import Acks, Told, Workload, blob, find, results_of
from waycairn.codec.keys import unpack_keys

# -- items that fail, and results ------------------------------------------------------------------------------------


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


# -- a map over a queue, folded into a state and a file --------------------------------------------------------------


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


# -- a batch in two parts --------------------------------------------------------------------------------------------


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


WORKLOADS = {
    "batch": Workload(work_through_a_batch, check_batch),
    "walk": Workload(walk_a_map, check_walk),
    "parts": Workload(do_two_parts, check_parts),
}
