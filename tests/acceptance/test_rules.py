"""The rules of the cut, each killed between any two lines and resumed (see tests/killing.py)."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import waycairn as wc
from killing import attempt, sweep


@dataclass
class Count:
    total: int = 0
    seen: list[str] = field(default_factory=list)


def told(place: Path, line: str) -> None:
    """A side effect outside: at least once."""
    with (place / "journal").open("a") as journal:
        journal.write(line + "\n")


def journal(place: Path) -> list[str]:
    return (place / "journal").read_text().split("\n")[:-1]


# -- the programs --------------------------------------------------------------------------------------------------


def state_and_output(place: Path) -> Any:
    """Rule 1: items, state and output lengths are one cut."""
    with wc.open(place / "store") as store:
        with store.run("sum", pace="every item") as run:
            state = run.state(Count())
            out = run.output(place / "out.txt", append=True)
            for number in run.each(range(5)):
                state.total += number
                out.write(f"{number} ")
                state.seen.append(str(number))
                out.write(f"{state.total}\n")
        return [state.total, state.seen, (place / "out.txt").read_text()]


def large_output(place: Path) -> Any:
    """Rule 1 where bytes reach the file long before the first cut, behind what was there before."""
    path = place / "out.txt"
    if not path.exists():
        path.write_text("before\n")
    with wc.open(place / "store") as store:
        with store.run("large", pace=0) as run:
            out = run.output(path, append=True)
            for number in run.each(range(3)):
                out.write(f"{number}" * 70_000)
                out.write("\n")
        return [line[:6] for line in path.read_text().split("\n")]


def paced_state_and_output(place: Path) -> Any:
    """Rule 1 with cuts every two items: items since the last cut run again."""
    with wc.open(place / "store") as store:
        with store.run("sum", pace="2 items") as run:
            state = run.state({"total": 0})
            out = run.output(place / "out.txt", append=True)
            for number in run.each(range(5)):
                state["total"] += number
                out.write(f"{number} {state['total']}\n")
        return [state["total"], (place / "out.txt").read_text()]


def steps_inside_items(place: Path) -> Any:
    """Rules 1-3: a step belongs to its item; a checkpoint inside an item is taken at its end."""
    with wc.open(place / "store") as store:
        with store.run("pages", pace=0) as run:
            state = run.state({"texts": []})
            for page in run.each(["a", "b", "c"]):
                text = run.step("read", str.upper, page)
                state["texts"].append(text)
                run.checkpoint(tags=["page"])
                state["texts"].append(text.lower())
        return state["texts"]


def two_loops(place: Path) -> Any:
    """Rule 3: a key belongs to its loop."""
    results: dict[str, int] = {}
    with wc.open(place / "store") as store:
        with store.run("loops", pace="every item") as run:
            state = run.state({"first": [], "second": []})
            for item in run.each(["x", "y", 1, "1"], name="first"):
                state["first"].append(item)
            for item in run.each(["x", "y", 1, "1"], name="second"):
                state["second"].append(item)
        results.update({name: len(items) for name, items in state.items()})
        return [results, state]


def steps_before_state(place: Path) -> Any:
    """Rule 5: the cursor pattern; steps before the state, then a while loop with checkpoints."""
    with wc.open(place / "store") as store:
        with store.run("nightly") as run:
            rows = run.step("rows", lambda: list(range(4)), returns=list[int])
            state = run.state({"page": 0, "sum": 0})
            while state["page"] < len(rows):
                state["sum"] += rows[state["page"]]
                state["page"] += 1
                run.checkpoint(force=True)
        return state


def accumulating_steps(place: Path) -> Any:
    """Rule 5: step results added to the state outside a loop are right, or refused; never counted twice."""
    with wc.open(place / "store") as store:
        with store.run("days") as run:
            state = run.state({"total": 0})
            for day in range(1, 4):
                state["total"] += run.step(f"day-{day}", lambda day=day: day, returns=int)
                run.checkpoint(force=True)
        return state["total"]


def phases(place: Path) -> Any:
    """Rule 9: a phase has its own state, items and steps; a completed one returns its result."""

    def count(phase: wc.Run, words: list[str]) -> dict[str, int]:
        state = phase.state({"words": {}})
        for word in phase.each(words, key=lambda word: word):
            state["words"][word] = len(word)
        return state["words"]  # type: ignore[no-any-return]

    def longest(phase: wc.Run, counts: dict[str, int]) -> str:
        inner = phase.phase("inner", lambda _, n: n + 1, len(counts), returns=int)
        return f"{max(counts, key=lambda word: counts[word])}{inner}"

    with wc.open(place / "store") as store:
        with store.run("book", pace="every item") as run:
            counts = run.phase("count", count, ["to", "be", "or", "not"])
            word = run.phase("longest", longest, counts)
            out = run.output(place / "report.json")
            out.write(json.dumps([counts, word]))
        return json.loads((place / "report.json").read_text())


def kinds(place: Path) -> Any:
    """Rule 10: a checkpoint with a kind is never paced away."""
    with wc.open(place / "store") as store:
        with store.run("model", pace=0) as run:
            state = run.state({"epoch": 0})
            while state["epoch"] < 3:
                state["epoch"] += 1
                run.checkpoint("model_state", iteration=state["epoch"], tags=["best"], ttl=3600)
            run.save("scores", [0.5, 0.25])
        kept = sorted({c.checkpoint.iteration or 0 for c in store.checkpoints("model", kind="model_state")})
        return [state, kept, run.id == store.find("model").id]


def batches(place: Path) -> Any:
    """Rule 2: a batch is done as a whole."""
    with wc.open(place / "store") as store:
        with store.run("batches", pace="every item") as run:
            state = run.state({"batches": []})
            for batch in run.each(range(7), batch=3):
                state["batches"].append(batch)
        return state["batches"]


def completed_again(place: Path) -> Any:
    """Rule 7: a completed run entered again does what is new."""
    with wc.open(place / "store") as store:
        with store.run("photos", pace="every item") as run:
            state = run.state({"names": []})
            for name in run.each(["a", "b"]):
                state["names"].append(name)
        with store.run("photos", pace="every item") as run:
            state = run.state({"names": []})
            for name in run.each(["a", "b", "c"]):
                state["names"].append(name)
        return state["names"]


# -- the tests -----------------------------------------------------------------------------------------------------

PROGRAMS = [
    state_and_output,
    large_output,
    paced_state_and_output,
    steps_inside_items,
    two_loops,
    steps_before_state,
    phases,
    kinds,
    batches,
    completed_again,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_kill_between_any_two_lines_changes_nothing(program: Any, tmp_path: Path) -> None:
    """Killed at every second line and resumed, a job ends as if it had never been killed."""
    swept = sweep(program, tmp_path, stride=2)
    print(f"{program.__name__}: {swept.kills} kills, 0 wrong")


@pytest.mark.parametrize("program", [state_and_output, phases], ids=lambda program: program.__name__)
def test_a_second_kill_during_the_resumed_run_changes_nothing(program: Any, tmp_path: Path) -> None:
    """Recovery may be killed too."""
    swept = sweep(program, tmp_path, twice=True, stride=3)
    assert swept.kills > 10


def test_accumulating_step_results_is_right_or_refused(tmp_path: Path) -> None:
    """Rule 5: never a wrong total; StateAhead where it would be one."""
    swept = sweep(accumulating_steps, tmp_path, may_refuse="StateAhead")
    assert swept.refused > 0
    assert swept.refused < swept.kills


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")])
def test_a_signal_takes_the_cut_and_stops(number: int, code: str, tmp_path: Path) -> None:
    """Rule 8: asked to stop inside an item, the job ends that item, takes the cut and raises Interrupted."""
    tmp_path.joinpath("journal").touch()
    stopped = attempt(slow_items, tmp_path, kill_at=12, act=number)
    assert stopped.code == 1
    assert code in stopped.error
    before = journal(tmp_path)
    last = attempt(slow_items, tmp_path)
    assert last.result == [0, 1, 2, 3, 4]
    assert journal(tmp_path)[len(before) :] == [str(n) for n in range(len(before), 5)]


def slow_items(place: Path) -> Any:
    """Counts, with a pace that never asks for a cut: only the signal does."""
    with wc.open(place / "store") as store:
        with store.run("slow", pace=0) as run:
            state = run.state({"seen": []})
            for number in run.each(range(5)):
                told(place, str(number))
                state["seen"].append(number)
        return state["seen"]
