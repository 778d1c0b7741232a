"""Jobs that go on otherwise: a fork from an earlier cut, and a run that is cut back and done again."""

from __future__ import annotations

from pathlib import Path

import waycairn as wc
from crash.common import Acks, Told, Workload, find, line
from waycairn.model.records import RunRecord
from waycairn.upkeep.audit_chain import check as check_chain

TRUNK, BRANCH = 6, 8
"""Items of the run, and of its fork or of the run once it was cut back."""
AT = 3


def square(number: int) -> int:
    return number * number


def go(store: wc.Store, told: Told, name: str, last: int, word: str = "") -> None:
    """To the item `last`: a step, a line and a number in the state each; a mark at the third."""
    with store.run(name, pace="every item") as run:
        state = run.state({"sum": 0, "seen": []})
        out = run.output("numbers.txt", append=True)
        for number in run.each(range(1, last + 1)):
            state["sum"] += run.step("square", square, number)
            state["seen"].append(number)
            out.write(line(number))
            run.log(number, square=number * number)
            if number == AT:
                run.checkpoint("mark", tags=["three"])
    told(f"{word or name} {last}")


def fork_and_go_on(store: wc.Store, told: Told) -> None:
    if find(store, "branch") is None:
        go(store, told, "trunk", TRUNK)  # completed or not: so it lies where this folder is now, after a cut elsewhere
        store.fork("trunk", marked(store, "trunk"), "branch")
        told("fork 1")
    go(store, told, "branch", BRANCH)


def go_back_and_on(store: wc.Store, told: Told) -> None:
    if not has_gone_back(store):
        go(store, told, "retraced", TRUNK)
        store.rewind("retraced", marked(store, "retraced"))
        told("back 1")
    go(store, told, "retraced", BRANCH, "second")


def marked(store: wc.Store, name: str) -> str:
    (found,) = store.checkpoints(name, tag="three", status="valid")
    return found.id


def has_gone_back(store: wc.Store) -> bool:
    """By the audit log, which is of one transaction with it."""
    return count_acts(store, "run.rewind") > 0


def count_acts(store: wc.Store, act: str) -> int:
    rows = store.core.catalog.audit_after(0)
    return sum(1 for row in rows if (row.entry.act, row.entry.outcome) == (act, "done"))


# -- what must hold ----------------------------------------------------------------------------------------------------


def check_fork(store: wc.Store, acks: Acks) -> None:
    trunk, branch = find(store, "trunk"), find(store, "branch")
    if trunk is not None:
        check_run(store, trunk, "numbers.txt", least=acks.get("trunk", 0))
    assert branch is not None or not acks.get("fork"), "the fork was acknowledged and is not there"
    assert (branch is not None) == (count_acts(store, "run.fork") == 1), (
        "a fork and its row in the log are of one commit"
    )
    if branch is not None:
        assert trunk is not None
        assert branch.origin == marked(store, "trunk")
        assert trunk.status == "completed"
        check_run(store, branch, "numbers.branch.txt", least=max(AT, acks.get("branch", 0)))
    assert check_chain(store.core).misfits == []


def check_rewind(store: wc.Store, acks: Acks) -> None:
    run = find(store, "retraced")
    if run is None:
        assert not acks
        return
    went_back = has_gone_back(store)
    assert went_back or not acks.get("back"), "the rewind was acknowledged and is undone"
    aside = list(store.checkpoints(run.id, status="set-aside"))
    assert went_back == bool(aside), "a rewind, what it sets aside, and its row in the log are of one commit"
    least = max(AT, acks.get("second", 0)) if went_back else acks.get("retraced", 0)
    check_run(store, run, "numbers.txt", least=least)
    for record in aside:
        assert len(store.load(record.id)["seen"]) > AT
    assert check_chain(store.core).misfits == []


def check_run(store: wc.Store, run: RunRecord, path: str, *, least: int) -> None:
    """Items, state, steps, file and what was logged are of one cut."""
    rows = store.core.catalog
    done = rows.loops(run.id).get("items", 0)
    assert done >= least, f"{least} items of {run.name} acknowledged, {done} there"
    newest = rows.latest_checkpoint(run.id, role="state")
    seen = store.load(newest.id)["seen"] if newest else []
    assert seen == list(range(1, done + 1)), "items and state are of one cut"
    steps = sorted(store.core.load(one.step.result) for one in rows.list_steps(run.id))
    assert [number for number in steps if number <= done * done] == [square(n) for n in range(1, done + 1)]
    assert len(steps) - done in {0, 1}, "the step of an open item may be there before the item"
    logged = [point.step for cut in rows.metrics(run.id) for point in cut.points]
    assert logged == seen
    committed = rows.outputs(run.id).get(path)
    text = "".join(map(line, seen)).encode()
    assert (committed.length if committed else 0) == len(text)
    file = Path(path)
    assert (file.read_bytes() if file.exists() else b"")[: len(text)] == text


WORKLOADS: dict[str, Workload] = {
    "fork": Workload(fork_and_go_on, check_fork),
    "rewind": Workload(go_back_and_on, check_rewind),
}
