"""Jobs that are runs: steps, items, phases, outputs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import waycairn as wc
from crash.common import Acks, Told, Workload, blob, checkpoints, find, line
from waycairn.model.records import RunRecord

# -- steps and a whole output ----------------------------------------------------------------------------------------


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


# -- items folded into a state and a growing output ------------------------------------------------------------------


ITEMS = 9


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


# -- phases ----------------------------------------------------------------------------------------------------------


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


# -- a completed run that gets new items -----------------------------------------------------------------------------


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


WORKLOADS = {
    "steps": Workload(remember_steps, check_steps),
    "fold": Workload(fold_items, check_fold),
    "groups": Workload(fold_in_groups, check_fold),
    "phases": Workload(go_through_phases, check_phases),
    "again": Workload(enter_again, check_again),
}
