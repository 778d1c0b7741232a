"""Training loops without torch: tracked objects, steps, saves behind the loop, what is left when it is killed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import killing
import waycairn as wc
from waycairn.errors import StoreFull
from waycairn.model.states import CheckpointStatus
from waycairn.store import StoreCore
from waycairn.world.crashpoints import arm, disarm

np = pytest.importorskip("numpy", reason="numpy is not installed")

STEPS = 9


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


def train(place: Path, steps: int = STEPS, *, size: int = 40_000) -> dict[str, Any]:
    """A model with momentum, noise of two generators and of one of its own, and a file of losses. Large enough for packs."""
    random.seed(7)
    np.random.seed(7)
    weights = {"w": np.zeros(size, np.float32), "b": np.zeros(3)}
    momentum = np.zeros(size, np.float32)
    own = np.random.default_rng(5)
    with wc.open(place / "store") as store, store.run("train", progress="off") as run:
        losses = run.output(place / "losses.csv", append=True)
        run.track(weights=weights, momentum=momentum, own=own, rng=True)
        for step in run.steps(steps, save_every=2):
            gradient = np.float32(random.random()) + np.random.rand(size).astype(np.float32) * own.random(
                dtype=np.float32
            )
            momentum *= np.float32(0.9)
            momentum += gradient
            weights["w"] -= momentum
            weights["b"][step % 3] += 1
            losses.write(f"{step},{float(weights['w'].sum())!r}\n")
    digest = hashlib.sha256(weights["w"].tobytes() + weights["b"].tobytes() + momentum.tobytes()).hexdigest()
    return {"weights": digest, "losses": (place / "losses.csv").read_text()}


def test_a_training_that_is_killed_anywhere_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Weights, momentum, losses and the order of random numbers are the same to the bit after a SIGKILL at any line,
    and after a second one while it resumes."""
    done = killing.sweep(train, tmp_path, twice=True, stride=4)
    assert done.kills >= 20


def test_a_kill_within_a_save_behind_the_loop_leaves_the_one_before(tmp_path: Path) -> None:
    """At every durability step of the thread that writes: old or new, and the end is the same."""
    golden = tmp_path / "golden"
    golden.mkdir()
    expected = killing.attempt(train, golden).result
    for point in ("saving.begin", "store.chunks", "store.committed", "cut.committed", "saving.end"):
        place = tmp_path / point
        place.mkdir()
        killed = killing.attempt(
            lambda where, at=point: train(where) if arm(at, 2, "KILL") is not None else None, place
        )
        assert killed.code == -signal.SIGKILL, f"no kill at {point}"
        assert killing.attempt(train, place).result == expected, point


def test_what_was_saved_behind_the_job_is_what_it_was_at_the_call(store: wc.Store) -> None:
    """The job goes on changing its arrays at once; nothing of that is in the save, of any size."""
    state = {"large": np.arange(3_000_000), "small": np.arange(5), "text": "a", "empty": np.zeros((0, 3))}
    store.reserve(state)
    for turn in range(3):
        saving = store.save("model", state, wait=False)
        expected = {name: np.copy(value) for name, value in state.items() if name != "text"}
        for name in ("large", "small"):
            state[name][:] = -turn
        saved = saving.result()
        assert saving.done()
        loaded = store.load(saved)
        assert all((loaded[name] == value).all() for name, value in expected.items())
        state = {
            "large": np.arange(turn, 3_000_000 + turn),
            "small": np.arange(5),
            "text": "a",
            "empty": np.zeros((0, 3)),
        }


def test_a_state_alone_has_a_name(store: wc.Store) -> None:
    """run.save(state, wait=False): no name was given, so it is that of models; a name alone is a mistake."""
    with store.run("alone", progress="off") as run:
        saving = run.save({"w": np.arange(9)}, wait=False)
        assert saving.result() == run.checkpoints("model_state")[0].id
        assert list(run.latest("model_state")["w"]) == list(range(9))
        with pytest.raises(TypeError, match="gives none"):
            run.save("w")


def test_an_error_behind_the_job_is_raised_at_the_next_call(store: wc.Store) -> None:
    """Once: where it is asked for, at the next save, at the next step, or where the run is left."""
    state = {"w": np.random.rand(1_000_000)}
    arm("pack.write", act="ENOSPC")
    try:
        failing = store.save("model", state, wait=False)
        failing.wait()
        with pytest.raises(StoreFull):
            store.save("model", {"w": 1})
        arm("pack.write", act="ENOSPC")
        failing = store.save("model", state, wait=False)
        with pytest.raises(StoreFull):
            failing.result()
    finally:
        disarm()
    assert store.load(store.save("model", {"w": 1})) == {"w": 1}, "it was told, and is not told again"

    def loop() -> None:
        with store.run("failing", progress="off") as run:
            run.track(w=state["w"])
            for step in run.steps(100, save_every=3):
                state["w"] += step
                time.sleep(0.002)

    arm("pack.write", 3, "ENOSPC")
    try:
        with pytest.raises(StoreFull):
            loop()
    finally:
        disarm()
    assert store.find("failing").status == "running", "what a failing store has of a run stands"
    loop()
    assert store.find("failing").progress.done == 100


def test_left_with_an_error_behind_it_the_run_is_not_completed(store: wc.Store) -> None:
    """The last chance to tell it is the end of the block."""
    values = np.random.rand(1_000_000)
    arm("pack.write", act="ENOSPC")
    try:
        with pytest.raises(StoreFull), store.run("last", progress="off") as run:
            run.save("values", values, wait=False)
    finally:
        disarm()
    assert store.find("last").status != "completed"


def test_break_counts_the_open_step_and_completes_on_request(store: wc.Store) -> None:
    """What a step did to the weights cannot be taken out again: it is done, and the run goes on behind it."""
    weights = np.zeros(10)

    def enter(stop_at: int, *, complete: bool = False) -> list[int]:
        seen = []
        with store.run("early", progress="off") as run:
            run.track(weights=weights)
            for step in run.steps(10, save_every=100):
                weights[step] += 1
                seen.append(step)
                if step == stop_at:
                    if complete:
                        run.complete({"best": step})
                    break
        return seen

    assert enter(3) == [0, 1, 2, 3]
    assert store.find("early").status == "interrupted"
    weights[:] = -5
    assert enter(6, complete=True) == [4, 5, 6]
    assert store.find("early").status == "completed"
    assert list(weights) == [1] * 7 + [0] * 3


def test_after_an_exception_the_last_save_stands(store: wc.Store) -> None:
    """The steps since then run again, from the weights of then; where it failed is recorded without the weights."""
    weights = np.zeros(300_000)

    def enter(fail_at: int) -> list[int]:
        seen = []
        with store.run("failing", progress="off") as run:
            run.track(weights=weights, rng=True)
            for step in run.steps(8, save_every=2):
                weights[0] += step
                seen.append(step)
                if step == fail_at:
                    raise RuntimeError("broken")
        return seen

    with pytest.raises(RuntimeError):
        enter(5)
    found = store.find("failing")
    assert (found.status, found.error["item"]) == ("failed", "5")
    (failed,) = store.checkpoints("failing", role="error")
    assert failed.checkpoint.stored.raw_bytes < 10_000
    assert enter(-1) == [4, 5, 6, 7]
    assert weights[0] == sum(range(8))
    assert store.find("failing").progress.done == 8


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_is_used(
    store: wc.Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Steps, weights and outputs go back together, and the reason stands with the damaged one."""
    weights = np.zeros(300_000)

    def enter(fail_at: int) -> list[int]:
        seen = []
        with store.run("damaged", progress="off") as run:
            run.track(weights=weights)
            for step in run.steps(8, save_every=2):
                if step == fail_at:
                    raise RuntimeError("broken")
                weights[:] = np.random.rand(weights.size)
                weights[step] = step
                seen.append(step)
        return seen

    with pytest.raises(RuntimeError):
        enter(6)
    newest, older, *_ = store.checkpoints("damaged", role="state")
    assert (newest.checkpoint.iteration, older.checkpoint.iteration) == (6, 4)
    _damage_pack_of(store, newest)
    with caplog.at_level(logging.WARNING):
        assert enter(-1) == [4, 5, 6, 7]
    assert "is damaged and is not used" in caplog.text
    assert "went back to checkpoint" in caplog.text
    found = store.checkpoint(newest.id)
    assert found.status is CheckpointStatus.DAMAGED
    assert found.damage
    assert store.find("damaged").progress.done == 8


def _damage_pack_of(store: wc.Store, record: Any) -> None:
    """Flip a bit in every pack that only this checkpoint needs: the newest one."""
    newest = max((path for path in Path(store.url).rglob("packs/??/*")), key=lambda path: path.stat().st_mtime_ns)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)


def test_names_that_differ_are_refused_before_anything_is_lost(store: wc.Store) -> None:
    """A part that is missing in the checkpoint, one that nobody tracks, names twice, and `strict=False`."""

    def enter(strict: bool = True, **objects: Any) -> None:
        with store.run("named", progress="off") as run:
            run.track(strict=strict, **objects)
            for _ in run.steps(run.ledger.summary().completed + 1):
                pass

    first, second = np.arange(4), np.arange(4)
    enter(first=first)
    with pytest.raises(ValueError, match="holds no second"):
        enter(first=first, second=second)
    enter(strict=False, first=first, second=second)
    with pytest.raises(ValueError, match="also holds second"):
        enter(first=first)
    enter(strict=False, first=first)
    with store.run("named", progress="off") as run:
        with pytest.raises(ValueError, match="'steps' is taken"):
            run.track(steps=first)
        with pytest.raises(TypeError, match="has no state_dict"):
            run.track(data=[1, 2, 3])
        with pytest.raises(TypeError, match="changed in place"):
            run.track(first=3)
        run.track(first=first)
        with pytest.raises(ValueError, match="tracked already"):
            run.track(first=first)
        with pytest.raises(ValueError, match="number of steps from 1 up"):
            run.steps(3, save_every=0)


def test_what_does_not_fit_says_so(store: wc.Store) -> None:
    """An array of another shape: nothing is committed, and the stored state stays what it was."""
    with store.run("shape", progress="off") as run:
        run.track(w=np.arange(6))
        list(run.steps(1))
    with pytest.raises(ValueError, match="'w' does not fit"), store.run("shape", progress="off") as run:
        run.track(w=np.arange(7))
    with store.run("shape", progress="off") as run:
        again = np.zeros(6, np.int64)
        run.track(w=again)
    assert list(again) == list(range(6))


@dataclass
class Notes:
    seen: list[int] = field(default_factory=list)


def test_all_kinds_of_objects_come_back_in_place(store: wc.Store) -> None:
    """Containers, dataclasses, generators, several stateful ones, an object of one's own, beside run.state."""

    class Own:
        def __init__(self) -> None:
            self.value, self.table = 1, {"a": np.arange(3)}

    class Stateful:
        def __init__(self) -> None:
            self.count = 0

        def state_dict(self) -> dict[str, int]:
            return {"count": self.count}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.count = state["count"]

    def enter(draws: int) -> tuple[Any, ...]:
        own, notes, chance, generator = Own(), Notes(), random.Random(3), np.random.default_rng(3)
        many, state = [Stateful(), Stateful()], {"total": 0}
        with store.run("kinds", progress="off") as run:
            run.state(state)
            run.track(own=own, notes=notes, chance=chance, generator=generator, many=many)
            for step in run.steps(draws):
                own.value += chance.randrange(100)
                own.table["a"] += int(generator.integers(10))
                notes.seen.append(step)
                many[step % 2].count += 1
                state["total"] += step
        return own.value, list(own.table["a"]), notes.seen, [one.count for one in many], state

    enter(3)
    split = enter(8)
    store.remove("kinds")
    assert split == enter(8)
    assert split[2] == list(range(8))
    newest = store.checkpoints("kinds", limit=1)[0]
    assert store.load(newest.id, only="notes", strict=False)
    assert store.load(newest.id, only="steps") == {"steps": 8}


def test_tracked_in_two_calls_or_by_nobody(store: wc.Store) -> None:
    """run.state first, run.track twice; a loop of steps without anything tracked counts, too."""
    first, second, state = np.zeros(3), np.zeros(3), {"n": 0}

    def enter(count: int) -> None:
        with store.run("twice", progress="off") as run:
            run.state(state)
            run.track(first=first)
            run.track(second=second)
            for step in run.steps(count):
                first[0] += step
                second[0] -= step
                state["n"] += 1

    enter(3)
    first[:], second[:], state["n"] = 7, 7, 7
    enter(5)
    assert (first[0], second[0], state["n"]) == (10, -10, 5)
    for count, expected in ((2, [0, 1]), (4, [2, 3])):
        with store.run("bare", progress="off") as run:
            assert list(run.steps(count)) == expected


def test_random_numbers_go_on_whatever_was_tracked_first(store: wc.Store) -> None:
    """rng=True in a later call than run.state and other objects: the draws after a resume are those that would have come."""

    def enter(count: int) -> list[float]:
        state, weights = {"drawn": []}, np.zeros(2)
        with store.run("drawn", progress="off") as run:
            run.state(state)
            run.track(weights=weights)
            run.track(rng=True)
            for _ in run.steps(count):
                state["drawn"].append(random.random())
        return state["drawn"]

    random.seed(4)
    enter(3)
    random.seed(99)
    drawn = enter(6)
    chance = random.Random(4)
    assert drawn == [chance.random() for _ in range(6)]


def test_a_second_loop_goes_on_with_what_is_there(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the job changes between two loops stays, and a loop that begins does not read the checkpoint once more."""
    weights = np.zeros(300_000)
    reads: list[Any] = []
    verify = StoreCore.verify
    monkeypatch.setattr(StoreCore, "verify", lambda core, stored: (reads.append(stored), verify(core, stored))[1])

    def enter(count: int) -> float:
        with store.run("two", progress="off") as run:
            run.track(weights=weights)
            for _ in run.steps(count, name="warm"):
                weights[0] += 1
            weights[1] = 7
            for _ in run.steps(count, name="main"):
                weights[0] += weights[1]
        return float(weights[0])

    assert enter(2) == 2 + 14
    assert enter(3) == 2 + 14 + 1 + 7
    assert reads == []


def test_items_beside_what_is_tracked_go_back_with_it(store: wc.Store) -> None:
    """`each` over epochs: left by break, the open epoch is undone, and the model is as it was before it."""
    weights = np.zeros(300_000)
    random.seed(1)
    with store.run("epochs", progress="off") as run:
        run.track(weights=weights, rng=True)
        for epoch in run.each(range(4)):
            weights += random.random()
            if epoch == 0:
                break
    assert weights[0] == 0
    assert random.random() == random.Random(1).random(), "and so are the random numbers"
    with store.run("epochs", progress="off") as run:
        run.track(weights=weights, rng=True)
        for _ in run.each(range(4)):
            weights += 1
    assert weights[0] == 4


def test_phases_train_each_on_their_own(store: wc.Store) -> None:
    """Steps and tracked objects belong to the phase."""
    seen = []

    def part(phase: wc.Run, name: str) -> float:
        weights = np.zeros(4)
        phase.track(weights=weights)
        for step in phase.steps(5, save_every=2):
            seen.append((name, step))
            weights += 1
            if len(seen) == 8:
                raise RuntimeError("broken")
        return float(weights.sum())

    def enter() -> list[float]:
        with store.run("phases", progress="off") as run:
            return [run.phase(name, part, name) for name in ("warm", "main")]

    with pytest.raises(RuntimeError):
        enter()
    assert enter() == [20.0, 20.0]
    assert seen[8:] == [("main", step) for step in (2, 3, 4)]


def test_awaited_the_same(tmp_path: Path) -> None:
    """`async for` over steps, a value saved behind it and awaited."""

    async def enter(count: int) -> tuple[float, list[int]]:
        weights, seen = np.zeros(200_000), []
        with wc.open(tmp_path / "store") as store:
            async with store.run("async", progress="off") as run:
                run.track(weights=weights, rng=True)
                async for step in run.steps(count, save_every=2):
                    await asyncio.sleep(0)
                    weights += step
                    seen.append(step)
                    saving = await run.save("copy", weights, wait=False)
                assert await saving
                assert (await run.latest("copy") == weights).all()
        return float(weights[0]), seen

    assert asyncio.run(enter(4)) == (6.0, [0, 1, 2, 3])
    assert asyncio.run(enter(6)) == (15.0, [4, 5])


JOB = """
import os, sys, time, numpy as np, waycairn as wc
weights = np.zeros(int(sys.argv[2]))
with wc.open(sys.argv[1]) as store, store.run("stopped", progress="off") as run:
    run.track(weights=weights)
    for step in run.steps(10_000, save_every=sys.argv[3]):
        weights += 1
        if step == 30:
            print("here", flush=True)
        time.sleep(0.005)
"""


@pytest.mark.parametrize(("grace", "text"), [("25", "its cut was taken"), ("0", "stands|is durable|cut was taken")])
def test_sigterm_ends_the_loop_with_a_save(tmp_path: Path, grace: str, text: str) -> None:
    """Exit code 143, and the next start goes on behind the last step; without time for it, from the last save."""
    with subprocess.Popen(
        [sys.executable, "-c", JOB, str(tmp_path / "store"), "400000", "10ms"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WAYCAIRN_GRACE": grace},
    ) as job:
        assert job.stdout.readline() == "here\n"
        job.send_signal(signal.SIGTERM)
        _, said = job.communicate(timeout=30)
    assert job.returncode == 143, said
    with wc.open(tmp_path / "store") as store:
        newest = store.checkpoints("stopped", role="state", limit=1)[0]
        weights = np.zeros(400_000)
        with store.run("stopped", progress="off") as run:
            run.track(weights=weights)
            step = next(iter(run.steps(10_000)))
            assert step == weights[0]
            if grace == "25":
                assert step >= 31
                assert newest.checkpoint.reason == "signal"


def test_a_save_waits_for_the_one_before_or_leaves_itself_out(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every N steps, on a slow disk: with "wait" none is left out, with "skip" the loop never waits."""
    commit = StoreCore.commit

    def slow_commit(core: StoreCore, draft: Any) -> Any:
        time.sleep(0.1)
        return commit(core, draft)

    monkeypatch.setattr(StoreCore, "commit", slow_commit)

    def saved(when_busy: Any) -> list[int | None]:
        name = f"busy-{when_busy}"
        slow = np.random.rand(20_000)
        with store.run(name, progress="off") as run:
            run.track(slow=slow)
            for _ in run.steps(12, save_every=2, when_busy=when_busy, keep=None):
                slow[:] = np.random.rand(slow.size)
        return [record.checkpoint.iteration for record in store.checkpoints(name, kind="model_state")]

    assert saved("wait") == [12, 12, 10, 8, 6, 4, 2]
    skipping = saved("skip")
    assert set(skipping) < {2, 4, 6, 8, 10, 12}
    assert skipping[0] == 12, "the end of the run is saved in any case"


def test_left_to_itself_it_saves_at_a_pace_that_it_can_afford(store: wc.Store) -> None:
    """ "auto": soon for the first time, then so that saving takes about a hundredth of the time."""
    weights = np.random.rand(500_000)
    with store.run("auto", progress="off") as run:
        run.track(weights=weights)
        for _ in run.steps(120, save_every="auto", keep=None):
            time.sleep(0.01)
            weights += 1
        saved = [row.created for row in store.checkpoints("auto", kind="model_state")][::-1]
        assert 1 <= len(saved) <= 30, "of 120 steps"


def test_what_stays_is_said_by_number_and_by_metric(store: wc.Store) -> None:
    """The newest, the best by what was logged, pinned ones and those that were asked for; the bytes of the others come back."""
    weights = np.zeros(300_000)
    with store.run("kept", progress="off") as run:
        run.track(weights=weights)
        for step in run.steps(20, save_every=2, keep="last 2, best 1 by loss"):
            weights[:] = np.random.rand(weights.size)
            run.log(loss=abs(step - 7))
            if step == 9:
                run.checkpoint(kind="asked", tags=["mine"])
    rows = store.checkpoints("kept", role="state")
    assert [row.checkpoint.iteration for row in rows] == [20, 20, 10, 8]
    assert rows[2].checkpoint.kind == "asked"
    store.sweep(grace=0)
    packs = sum(path.stat().st_size for path in Path(store.url).rglob("packs/??/*"))
    assert packs < 4.2 * weights.nbytes, "three states, and what the headers of packs take"
    assert all(store.load(row.id)["weights"].any() for row in rows)
    with pytest.raises(ValueError, match="not understood"), store.run("kept", progress="off") as run:
        run.steps(3, keep="the best")


def test_differences_outlive_what_they_are_differences_to(store: wc.Store) -> None:
    """Small changes of large arrays take a part of their bytes; the save before is replaced and swept, and all of it is
    still there to the bit."""
    weights = np.random.default_rng(0).standard_normal(600_000).astype(np.float32)
    with store.run("small", progress="off") as run:
        run.track(weights=weights, compress="delta")
        for step in run.steps(9, save_every=1, keep=1):
            weights *= np.float32(1 + 1e-6 * (step + 1))
            if step % 3 == 2:
                store.sweep(grace=0)
    store.sweep(grace=0)
    newest = store.checkpoints("small", role="state", limit=1)[0]
    assert (store.load(newest.id)["weights"] == weights).all()
    assert (
        min(row.checkpoint.stored.new_bytes for row in store.checkpoints("small", role="state")) < 0.9 * weights.nbytes
    )
    store.core.verify(newest.checkpoint.stored)


def test_the_program_waits_for_a_save_that_nobody_waits_for(tmp_path: Path) -> None:
    """The end of the program is no kill: what is on its way is written."""
    code = textwrap.dedent("""
        import sys, numpy as np, waycairn as wc
        store = wc.open(sys.argv[1])
        store.save("model", {"w": np.arange(2_000_000)}, wait=False)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "store")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with wc.open(tmp_path / "store") as store:
        assert store.latest("model")["w"][-1] == 1_999_999
