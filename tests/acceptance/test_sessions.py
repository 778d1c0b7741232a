"""`run.log` and `run.session`: iterations with their states, rules, patterns, through kills and resumes."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import waycairn as wc
from killing import sweep
from waycairn.errors import CheckpointNotFound, Damaged, RunNotFound, StoreFull, StoreNotFound
from waycairn.world.crashpoints import arm, disarm


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


@dataclass
class Workflow:
    stage: str = "begin"
    weights: Any = None
    done: list[str] = field(default_factory=list)


def numbers(run: wc.Run) -> list[int]:
    return [one.number for one in run.session.iterations()]


def logged(store: wc.Store, name: str) -> list[tuple[int, dict[str, float]]]:
    cuts = store.core.catalog.metrics(store.find(name).id)
    return [(point.step, point.values) for cut in cuts for point in cut.points]


# -- log -----------------------------------------------------------------------------------------------------------


def test_what_is_logged_is_committed_with_the_next_cut(store: wc.Store) -> None:
    """Nothing before it; steps count on, also after a resume; a given step goes on from there."""
    with store.run("job", pace=wc.Pace(seconds=3600)) as run:
        run.log(loss=np.float32(0.5), done=True)
        run.log(loss=0.25)
        assert logged(store, "job") == []
        run.checkpoint(force=True)
        assert logged(store, "job") == [(0, {"loss": 0.5, "done": 1.0}), (1, {"loss": 0.25})]
        run.log(7, loss=1)
    with store.run("job") as run:
        run.log(loss=2)
        run.log(step=3, loss=3)
        run.log(loss=4)
    assert [step for step, _ in logged(store, "job")] == [0, 1, 7, 8, 3, 9]


def test_a_metric_that_is_no_number_is_refused(store: wc.Store) -> None:
    """By name; the run goes on without it."""
    with store.run("job") as run, pytest.raises(TypeError, match="metric 'text'"):
        run.log(loss=1, text="high")
    assert logged(store, "job") == []


def test_an_undone_item_takes_back_what_it_logged(store: wc.Store) -> None:
    """As it does with the state: it runs again and logs again."""
    for attempt in range(2):
        with store.run("job") as run:
            for item in run.each(range(5)):
                run.log(item, value=item)
                run.session.rule(f"r{item}", score=2, baseline=1)
                if item == 3 and not attempt:
                    break
    assert logged(store, "job") == [(item, {"value": float(item)}) for item in range(5)]
    assert [rule.rule for rule in store.core.catalog.rules(store.find("job").id)] == [f"r{item}" for item in range(5)]


def test_a_failed_item_takes_back_what_it_logged(store: wc.Store) -> None:
    """The others stand."""
    with store.run("job") as run:
        for item in run.items(range(4)):
            with item:
                run.log(item.value, value=item.value)
                if item.value == 2:
                    raise ValueError("odd")
    assert [step for step, _ in logged(store, "job")] == [0, 1, 3]


def test_logs_survive_an_error(store: wc.Store) -> None:
    """Of a run without a state: what was logged before it happened."""

    def fail() -> None:
        with store.run("job") as run:
            run.log(loss=1)
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert logged(store, "job") == [(0, {"loss": 1.0})]


def test_a_failed_commit_keeps_what_was_logged(store: wc.Store) -> None:
    """The next cut has it, once; an iteration whose commit failed was never recorded and gets its number again."""
    with store.run("job") as run:
        run.log(loss=1)
        arm("catalog.commit", 1, "ENOSPC")
        try:
            with pytest.raises(StoreFull):
                run.session.iteration(metrics={"a": 1})
        finally:
            disarm()
        assert numbers(run) == []
        run.session.iteration(metrics={"a": 2})
        assert numbers(run) == [1]
    assert logged(store, "job") == [(0, {"loss": 1.0})]


# -- iterations ----------------------------------------------------------------------------------------------------


def test_iterations_are_durable_and_their_states_exact(store: wc.Store) -> None:
    """Everything that was given comes back, in another entry; each state as it was, of its types."""
    kept: list[Workflow] = []
    with store.run("job") as run:
        for number in range(1, 4):
            state = Workflow(f"stage {number}", np.arange(1000.0) / number, [f"{number}"])
            kept.append(Workflow(state.stage, state.weights.copy(), list(state.done)))
            error = ValueError("odd") if number == 2 else None
            metrics = {"accuracy": number / 10, "loss": math.nan}
            rules = [{"rule_id": "trim", "score": number, "baseline": 1.0, "parameters": {"n": number}}]
            patterns = [{"pattern_id": "p", "effectiveness": 0.5, "data": {"words": ["a"]}}]
            saved = run.session.iteration(
                metrics=metrics,
                improvement=0.1,
                state=state,
                rules=rules,
                patterns=patterns,
                error=error,
                description=f"the {number}.",
            )
            assert saved is not None
            record = store.checkpoint(saved).checkpoint
            assert (record.kind, record.iteration, record.metadata["metrics"]["accuracy"]) == (
                "iteration",
                number,
                number / 10,
            )
            state.weights[:] = 0
    with store.run("job") as run:
        first, second, third = run.session.iterations()
        assert (first.number, first.improvement, first.description, first.epoch) == (1, 0.1, "the 1.", 1)
        assert (third.metrics["accuracy"], math.isnan(third.metrics["loss"])) == (0.3, True)
        assert second.error is not None
        assert (second.error["type"], second.error["message"]) == ("ValueError", "odd")
        assert [rule.is_promoted for rule in run.session.rules()] == [False, True, True]
        assert [pattern.data for pattern in run.session.patterns()] == [{"words": ["a"]}] * 3
        assert {rule.iteration for rule in run.session.rules()} == {1, 2, 3}
        for number, expected in enumerate(kept, start=1):
            state = run.session.state(number, returns=Workflow)
            assert (state.stage, state.done) == (expected.stage, expected.done)
            assert state.weights.tobytes() == expected.weights.tobytes()
        assert run.session.state(returns=Workflow).stage == "stage 3"
    (best,) = store.rules()
    assert (best.rule, best.score, best.parameters, best.name) == ("trim", 3.0, {"n": 3}, "job")
    assert len(store.patterns()) == 3


def test_the_state_of_the_run_is_what_an_iteration_holds(store: wc.Store) -> None:
    """And beside it another one is refused, with nothing recorded."""
    with store.run("job") as run:
        state = run.state({"n": 0})
        for n in range(1, 4):
            state["n"] = n
            run.session.iteration()
        with pytest.raises(ValueError, match="Leave state= out"):
            run.session.iteration(state={"n": 9})
        assert numbers(run) == [1, 2, 3]
        assert [run.session.state(number) for number in (1, 2, 3)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    with store.run("job") as run:
        assert run.state({"n": 0}) == {"n": 3}


def test_numbers_are_given_once(store: wc.Store) -> None:
    """A number that is there is refused; one that was given leads on; they go on after a resume."""
    with store.run("job") as run:
        run.session.iteration()
        run.session.iteration(5)
        for number in (1, 5):
            with pytest.raises(ValueError, match=f"iteration {number} of this run is recorded already"):
                run.session.iteration(number)
    with store.run("job") as run:
        run.session.iteration()
        assert numbers(run) == [1, 5, 6]


def test_a_number_that_was_undone_is_free_again(store: wc.Store) -> None:
    """A damaged newest state takes the run back to the one before, and its iteration with it."""
    with store.run("job") as run:
        state = run.state({"n": 0})
        for n in range(1, 4):
            state["n"] = n
            run.log(n, n=n)
            run.session.iteration(metrics={"n": n}, rules=[{"rule_id": "r", "score": n + 1, "baseline": 1}])
    newest = store.checkpoints("job", role="state")[0]
    with sqlite3.connect(Path(store.url, "catalog.db")) as database:
        database.execute("UPDATE checkpoints SET root = zeroblob(32) WHERE sequence = ?", (newest.sequence,))
    with store.run("job") as run:
        state = run.state({"n": 0})
        assert state == {"n": 2}
        assert numbers(run) == [1, 2]
        assert [rule.score for rule in store.rules()] == [3.0]
        state["n"] = 3
        run.session.iteration(3, metrics={"n": 33})
        assert [one.metrics["n"] for one in run.session.iterations()] == [1, 2, 33]
        assert run.session.mirror.wait()
    assert [step for step, _ in logged(store, "job")] == [1, 2]


def test_inside_an_item_it_waits_for_the_end_of_it(store: wc.Store) -> None:
    """With its state as it was; an item that is left undone never recorded it."""
    with store.run("job") as run:
        for item in run.each(range(3)):
            state = {"item": item}
            assert run.session.iteration(metrics={"item": item}, state=state) is None
            with pytest.raises(ValueError, match="waits for the end"):
                run.session.iteration(state=state)
            run.checkpoint("other", tags=["tag"])
            assert store.core.catalog.find_iteration(run.id, item + 1) is None
            state["item"] = 99
            if item == 2:
                break
    with store.run("job") as run:
        assert [one.metrics["item"] for one in run.session.iterations()] == [0, 1]
        assert [run.session.state(number) for number in (1, 2)] == [{"item": 0}, {"item": 1}]
        for _ in run.each(range(3)):
            run.session.iteration()
        assert numbers(run) == [1, 2, 3]


def test_a_damaged_state_is_passed_over(store: wc.Store, caplog: pytest.LogCaptureFixture) -> None:
    """The newest intact one is given and the log says why; asked for by number, the damage is told."""
    with store.run("job") as run:
        saved = [run.session.iteration(state={"n": n}) for n in range(3)]
        with sqlite3.connect(Path(store.url, "catalog.db")) as database:
            database.execute("UPDATE checkpoints SET root = zeroblob(32) WHERE sequence = 3")
        with caplog.at_level(logging.WARNING, "waycairn"):
            assert run.session.state() == {"n": 1}
        assert "the state of iteration 2 is used instead of a newer one" in caplog.text
        assert str(saved[2]) in caplog.text
        with pytest.raises(Damaged):
            run.session.state(3)
        with pytest.raises(CheckpointNotFound, match="no iteration 9"):
            run.session.state(9)
        assert run.session.state(1) == {"n": 0}
    with store.run("empty") as run:
        assert run.session.state(default="none") == "none"


def test_the_best_iteration(store: wc.Store) -> None:
    """The first with that value; NaN is none; None if no iteration has it."""
    with store.run("job") as run:
        for value in (0.5, math.nan, 0.9, 0.1, 0.9):
            run.session.iteration(metrics={"a": value})
        run.session.iteration(metrics={"b": 1})
        best, worst = run.session.best("a"), run.session.best("a", "min")
        assert best is not None
        assert worst is not None
        assert (best.number, worst.number) == (3, 4)
        assert run.session.best("c") is None
        with pytest.raises(ValueError, match="'max' or 'min'"):
            run.session.best("a", "most")  # type: ignore[arg-type]


# -- rules ---------------------------------------------------------------------------------------------------------


def test_a_rule_is_promoted_over_ten_percent(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at 10 % itself; as configured; as the environment says; with a baseline of 0 or below it too."""
    with store.run("job") as run:
        session = run.session
        cases = [("ten", 1.1, 1.0), ("more", 1.11, 1.0), ("zero", 0.5, 0), ("same", 0, 0), ("below", -0.5, -1.0)]
        trials = [session.rule(name, score=score, baseline=baseline) for name, score, baseline in cases]
        assert [round(trial.improvement, 6) for trial in trials] == [0.1, 0.11, math.inf, 0.0, 0.5]
        session.configure(promote_over=0.5)
        session.rule("large", score=1.4, baseline=1)
        with pytest.raises(ValueError, match="cannot be compared"):
            session.rule("nan", score=math.nan, baseline=1)
        with pytest.raises(TypeError, match="the parameters of rule 'x' cannot be kept as JSON"):
            session.rule("x", score=1, baseline=1, parameters={"a": object()})
        with pytest.raises(ValueError, match="share"):
            session.configure(promote_over=-1)
    monkeypatch.setenv("WAYCAIRN_PROMOTE_OVER", "30%")
    with wc.open(store.url) as again, again.run("job") as run:
        run.session.rule("third", score=1.33, baseline=1)
        run.session.rule("quarter", score=1.25, baseline=1)
    assert [rule.rule for rule in store.rules()] == ["below", "more", "third", "zero"]
    monkeypatch.setenv("WAYCAIRN_PROMOTE_OVER", "much")
    with pytest.raises(ValueError, match="WAYCAIRN_PROMOTE_OVER"):
        wc.open(store.url)


# -- async ---------------------------------------------------------------------------------------------------------


def test_the_same_awaited(store: wc.Store) -> None:
    """An iteration is awaited, its state is as it was when it was recorded; the rest is plain."""

    async def main() -> None:
        async with store.run("job") as run:
            state = {"w": np.zeros(100_000)}
            for number in range(3):
                run.log(loss=number)
                run.session.rule("r", score=number + 2, baseline=1)
                state["w"][:] = number
                writing = asyncio.ensure_future(run.session.iteration(state=state))
                await asyncio.sleep(0)
                state["w"][:] = 99
                assert await writing is not None
            assert [one.number for one in run.session.iterations()] == [1, 2, 3]
            assert [run.session.state(number)["w"][0] for number in (1, 2, 3)] == [0, 1, 2]

    asyncio.run(main())
    assert [step for step, _ in logged(store, "job")] == [0, 1, 2]
    assert [rule.score for rule in store.rules()] == [4.0]


# -- kills ---------------------------------------------------------------------------------------------------------


def training(place: Path) -> Any:
    with wc.open(place / "store") as store:
        with store.run("job", pace="every item") as run:
            state = run.state({"total": 0})
            for item in run.each(range(4)):
                state["total"] += item
                run.log(item, total=state["total"])
                run.session.rule("trim", score=item + 2, baseline=1)
                run.session.iteration(
                    metrics={"total": state["total"]}, patterns=[{"pattern_id": "p", "effectiveness": item}]
                )
        rows, run_id = store.core.catalog, store.find("job").id
        return {
            "iterations": [[one.number, dict(one.metrics)] for one in rows.iterations(run_id)],
            "rules": [[one.score, one.is_promoted] for one in rows.rules(run_id)],
            "best": [[one.rule, one.score] for one in store.rules()],
            "patterns": [one.effectiveness for one in rows.patterns(run_id)],
            "logged": [[step, values] for step, values in logged(store, "job")],
            "status": store.find("job").status,
        }


def test_killed_at_any_line_it_ends_the_same(tmp_path: Path) -> None:
    """Iterations once each, rules promoted once, points once: what an uninterrupted run leaves."""
    assert sweep(training, tmp_path, stride=4).kills >= 10
    told = training(tmp_path / "golden")
    assert [number for number, _ in told["iterations"]] == [1, 2, 3, 4]
    assert told["rules"] == [[2.0, True], [3.0, True], [4.0, True], [5.0, True]]
    assert (told["best"], told["status"]) == ([["trim", 5.0]], "completed")


def test_killed_at_random_moments_iterations_have_no_gap(tmp_path: Path) -> None:
    """A workflow without a loop, killed again and again: numbers one after the other, each with its own state."""
    chance = random.Random(6)
    kills = done = 0
    while kills < 12 or done < 5:
        assert kills < 120, "no process came to anything"
        child = forked(tmp_path / "store", rounds=100_000)
        time.sleep(chance.uniform(0.02, 0.12) * (1 + kills // 6))  # a busy machine needs longer to begin
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        kills += 1
        done = iterations_in(tmp_path / "store")
    last = forked(tmp_path / "store", rounds=done + 5)
    assert os.waitstatus_to_exitcode(os.waitpid(last, 0)[1]) == 0
    with wc.open(tmp_path / "store") as store:
        run = store.find("flow").id
        found = store.core.catalog.iterations(run)
        numbers = [*range(1, done + 6)]
        assert [one.number for one in found] == numbers
        for one in found:
            assert store.load(f"{run}.{one.sequence}") == {"round": one.number, "data": "x" * one.number}
        assert [one.score for one in store.core.catalog.rules(run)] == [1 + number for number in numbers]
        assert [one.score for one in store.rules()] == [1 + numbers[-1]]


def iterations_in(place: Path) -> int:
    with suppress(StoreNotFound, RunNotFound), wc.open(place, create=False) as store:
        return len(store.core.catalog.iterations(store.find("flow").id))
    return 0


def forked(place: Path, rounds: int) -> int:
    """The pid of a process that works; it ends with 1 if it fails."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        workflow(place, rounds)
        code = 0
    finally:
        os._exit(code)


def workflow(place: Path, rounds: int) -> None:
    with wc.open(place) as store, store.run("flow") as run:
        session = run.session
        state = session.state(default={"round": 0})
        for number in range(state["round"] + 1, rounds + 1):
            state = {"round": number, "data": "x" * number}
            session.iteration(state=state, rules=[{"rule_id": "r", "score": 1 + number, "baseline": 1}])
