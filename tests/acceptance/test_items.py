"""`run.items`: items that fail, and results that are kept."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import waycairn as wc
from commands import document, waycairn
from killing import sweep
from waycairn.work.pending import PendingItems
from waycairn.world.crashpoints import arm, disarm


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


@dataclass
class Reply:
    text: str
    tokens: int


def square(run: wc.Run, numbers: Any, bad: tuple[int, ...] = (), **how: Any) -> list[int]:
    """One pass; returns what was tried."""
    tried = []
    for item in run.items(numbers, **how):
        with item:
            tried.append(item.value)
            if item.value in bad:
                raise ValueError(f"bad {item.value}")
            item.result = item.value**2
    return tried


def test_a_failed_item_is_recorded_and_the_others_go_on(store: wc.Store) -> None:
    """Type, message, place, traceback, attempts; the run is partial. Again: only the failed one is tried, and done."""
    with store.run("job") as run:
        assert square(run, range(10), bad=(3,)) == [*range(10)]
        summary = run.ledger.summary()
        assert (summary.completed, summary.failed, summary.pending) == (9, 1, 0)
    assert store.find("job").status == "partial"
    with store.run("job") as run:
        (failure,) = run.ledger.failures()
        assert (failure.key, failure.type, failure.message, failure.attempts) == (3, "ValueError", "bad 3", 1)
        assert failure.where is not None
        assert failure.where.endswith("in square")
        assert 'raise ValueError(f"bad {item.value}")' in failure.traceback
        assert failure.first == failure.last
        assert str(failure) == "3: ValueError: bad 3"
        assert square(run, range(10), bad=(3,)) == [3]
    with store.run("job") as run:
        (failure,) = run.ledger.failures("items")
        assert failure.attempts == 2
        assert failure.last > failure.first
        assert square(run, range(10)) == [3]
    found = store.find("job")
    assert (found.status, found.progress.done, found.progress.failed) == ("completed", 10, 0)
    with store.run("job") as run:
        assert list(run.ledger.failures()) == []
        assert square(run, range(10)) == []


def test_failed_items_can_be_left_alone(store: wc.Store) -> None:
    """retry_failed=False does the pending ones only; the failed ones stand."""
    with store.run("job") as run:
        square(run, range(5), bad=(1, 4))
    with store.run("job") as run:
        assert square(run, range(8), retry_failed=False) == [5, 6, 7]
        assert sorted(failure.key for failure in run.ledger.failures()) == [1, 4]
    assert store.find("job").progress.failed == 2


def test_results_come_back(store: wc.Store) -> None:
    """By key and streamed, committed and not yet, of every type that a state may have; arrays too."""
    array = np.arange(200_000, dtype=np.float32)
    given = {"a": Reply("hello", 2), "b": None, "c": array, "d": {"nested": [1, (2, 3)]}, "e": "x" * 50_000}
    with store.run("job", pace="2 items") as run:
        for item in run.items(given, key=str):
            with item:
                item.result = given[item.value]
                if item.value == "c":
                    item.result = array.copy()
            if item.value == "c":
                item.result[0] = -1  # behind the end of its block: too late
                assert run.ledger.result("c")[0] == 0
        assert run.ledger.result("a", returns=Reply) == Reply("hello", 2)
        assert run.ledger.result("b", default="none given") == "none given"
        assert run.ledger.result("nobody") is None
    with store.run("job") as run:
        results = dict(run.ledger.results(returns=Reply))
        assert list(results) == ["a", "c", "d", "e"]
        assert results["a"] == given["a"]
        np.testing.assert_array_equal(results["c"], array)
        assert (results["d"], results["e"]) == (given["d"], given["e"])


def test_a_result_that_cannot_be_stored_is_a_failure_of_its_item(store: wc.Store) -> None:
    """The path is named; the others go on."""
    with store.run("job") as run:
        for item in run.items([1, 2]):
            with item:
                item.result = {"handle": object()} if item.value == 1 else "fine"
        assert run.ledger.result(2) == "fine"
    with store.run("job") as run:
        (failure,) = run.ledger.failures()
        assert failure.type == "TypeError"
        assert 'state["handle"]' in failure.message


def test_a_failed_item_leaves_no_trace(store: wc.Store, tmp_path: Path) -> None:
    """State (with arrays) and growing output are as at its beginning, not as at the last cut."""
    out_path = tmp_path / "out.txt"
    with store.run("job", pace=0) as run:
        state = run.state({"sum": 0, "seen": [], "array": np.zeros(50_000)})
        out = run.output(out_path, append=True)
        for item in run.items(range(6)):
            with item:
                state["sum"] += item.value
                state["seen"].append(item.value)
                state["array"][item.value] = 1
                out.write(f"{item.value}\n")
                if item.value in {2, 5}:
                    raise RuntimeError("no")
        assert (state["sum"], state["seen"]) == (8, [0, 1, 3, 4])
        assert state["array"][:6].tolist() == [1, 1, 0, 1, 1, 0]
    assert out_path.read_text() == "0\n1\n3\n4\n"


def test_what_stops_a_run_is_no_failure_of_an_item(store: wc.Store) -> None:
    """Errors of the store, of the use of waycairn, and requests to stop leave the item undone and go on."""
    for error in (wc.errors.StoreFull("full"), KeyboardInterrupt(), SystemExit(3)):
        with pytest.raises(type(error)), store.run("job", key=str(type(error))) as run:
            for item in run.items(range(3)):
                with item:
                    if item.value == 1:
                        raise error
        with store.run("job", key=str(type(error))) as run:
            assert list(run.ledger.failures()) == []
            assert next(item.value for item in run.items(range(3))) in {0, 1}


def test_a_commit_that_fails_gives_the_items_back(store: wc.Store) -> None:
    """Done and failed items of a cut that could not be written are in the next one, once."""
    with store.run("job", pace=0) as run:
        square(run, range(4), bad=(2,), name="first")
        arm("store.begin", 1, "RAISE")
        loop = run.items(range(4, 8), name="second")
        with pytest.raises(OSError, match="injected"):
            for item in loop:
                with item:
                    if item.value == 5:
                        raise ValueError("bad")
                    item.result = item.value
                if item.value == 6:
                    run.checkpoint(force=True)
        disarm()
        assert (run.ledger.summary().completed, run.ledger.summary().failed) == (5, 2)
        run.checkpoint(force=True)
        assert sorted(failure.key for failure in run.ledger.failures()) == [2, 5]
        assert [key for key, _ in run.ledger.results(loop="second")] == [4, 6]
    found = store.find("job")
    assert (found.progress.done, found.progress.failed) == (5, 2)


def test_items_may_be_done_by_threads(store: wc.Store) -> None:
    """Handed to a pool, several open at once; each is counted once, whichever thread ends it."""

    def work(item: Any) -> None:
        with item:
            if item.value % 10 == 3:
                raise ValueError("three")
            item.result = item.value * 2

    with store.run("job", pace="20 items") as run, ThreadPoolExecutor(8) as pool:
        for item in run.items(range(500)):
            pool.submit(work, item)
    found = store.find("job")
    assert (found.status, found.progress.done, found.progress.failed) == ("partial", 450, 50)
    with store.run("job") as run:
        assert dict(run.ledger.results()) == {number: number * 2 for number in range(500) if number % 10 != 3}
        assert len({failure.key for failure in run.ledger.failures()}) == 50


def test_an_item_that_ends_while_a_cut_is_taken_is_counted(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread ends it in the very moment: counts and blocks of a cut hold the same items."""
    with store.run("job", pace=0) as run:
        loop = iter(run.items(range(3)))
        first, second = next(loop), next(loop)
        with first:
            pass
        second.__enter__()
        take = PendingItems.take

        def end_and_take(pending: PendingItems) -> Any:
            monkeypatch.undo()
            second.__exit__(None, None, None)
            return take(pending)

        monkeypatch.setattr(PendingItems, "take", end_and_take)
        run.checkpoint(force=True)
        next(loop)  # takes the cut
        found = store.find("job")
        assert (found.progress.done, store.core.catalog.loops(run.id)) == (2, {"items": 2})


def test_beside_a_state_items_are_done_one_at_a_time(store: wc.Store) -> None:
    """A second open item is refused, with the way out; the first is not harmed."""
    with (
        pytest.raises(wc.errors.ItemsOverlap, match="one item at a time"),
        store.run("job") as run,
    ):
        run.state({"n": 0})
        loop = iter(run.items(range(3)))
        one, two = next(loop), next(loop)
        with one, two:
            pass


def test_an_item_that_was_handed_out_and_never_ended_is_pending(store: wc.Store) -> None:
    """Nobody entered its block: the run is interrupted, and the item comes again."""
    with store.run("job") as run:
        for item in run.items(range(3)):
            if item.value != 1:
                with item:
                    pass
    assert store.find("job").status == "interrupted"
    with store.run("job") as run:
        assert square(run, range(3)) == [1]
    assert store.find("job").status == "completed"


def test_a_repeated_key_is_named(store: wc.Store) -> None:
    """Also when the first one failed, and when it is still open."""
    for bad in ((), (1,)):
        with pytest.raises(ValueError, match="the key 1 appears twice"), store.run("job", key=str(bad)) as run:
            square(run, [0, 1, 1], bad=bad)


def test_a_signal_stops_after_the_cut(store: wc.Store) -> None:
    """Also while items are open in other threads."""
    with pytest.raises(wc.Interrupted), store.run("job") as run:
        loop = iter(run.items(range(100)))
        with next(loop):
            pass
        open_one = next(loop).__enter__()
        signal.raise_signal(signal.SIGTERM)
        next(loop)
    assert open_one.key == 1
    found = store.find("job")
    assert (found.status, found.progress.done) == ("interrupted", 1)


def test_the_async_face_does_the_same(tmp_path: Path) -> None:
    """Tasks that overlap; failures and results as from the other face."""

    async def job() -> None:
        async with wc.run("job", store=wc.open(tmp_path / "store"), pace="7 items") as run:
            tasks: list[asyncio.Task[None]] = []

            async def work(item: Any) -> None:
                with item:
                    await asyncio.sleep(0)
                    if item.value == 5:
                        raise ValueError("five")
                    item.result = item.value + 1

            async for item in run.items(range(40)):
                tasks.append(asyncio.create_task(work(item)))
                if item.value % 8 == 7:
                    await asyncio.gather(*tasks)
            await asyncio.gather(*tasks)
            assert run.ledger.summary().failed == 1

    asyncio.run(job())
    with wc.open(tmp_path / "store") as store:
        assert (store.find("job").status, store.find("job").progress.done) == ("partial", 39)
        with store.run("job") as run:
            assert dict(run.ledger.results()) == {n: n + 1 for n in range(40) if n != 5}


def test_large_results_do_not_pile_up(store: wc.Store) -> None:
    """With no cut by the pace, 64 MiB of results take one."""
    with store.run("job", pace=0) as run:
        for item in run.items(range(20)):
            with item:
                item.result = np.full(2**20, item.value, dtype=np.float64)
        assert store.find("job").sequence >= 2
        assert [float(result[0]) for _, result in run.ledger.results()] == [*range(20)]


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize(
    "order",
    [
        [*range(3000)],
        [*range(2999, -1, -1)],
        [*range(1, 3000), 0],
        [-1, *range(3000)],
        [*range(1000), *range(1500, 3000), *range(1000, 1500)],
        [*range(0, 3000, 2), *range(1, 3000, 2)],
    ],
    ids=["same", "reversed", "first last", "new first", "moved", "even first"],
)
def test_what_is_done_is_skipped_in_any_order(store: wc.Store, order: list[int], kind: Any) -> None:
    """With holes in it, in the order of the first time and in any other; a repeated key is noticed all the same."""
    holes = {5, 1000, 1001, 2999, 3000}
    with store.run("job") as run:
        square(run, range(3000), bad=tuple(holes))
    with store.run("job") as run:
        loop = run.items(kind([*order, 3000]))
        tried = [item.value for item in loop]
        assert sorted(tried) == sorted({*holes, *order, 3000} - ({*range(3000)} - holes))
        assert loop.skipped == 3000 - 4
    for repeated in (order[0], order[-1], order[1500]):
        with pytest.raises(ValueError, match="appears twice"), store.run("job") as run:
            list(run.items(kind([*order, repeated])))


def test_a_slow_input_is_not_read_ahead(store: wc.Store) -> None:
    """An input that waits for work hands its items out at once, also beside many that are done."""
    with store.run("job") as run:
        square(run, range(1000))
    taken: list[int] = []

    def slow() -> Iterator[int]:
        for number in range(995, 1010):
            time.sleep(0.001)
            taken.append(number)
            yield number

    with store.run("job") as run:
        for item in run.items(slow()):
            assert taken[-1] == item.value
            with item:
                pass


# -- killed --------------------------------------------------------------------------------------------------------


def items_with_failures(place: Path) -> Any:
    """Results, failures and counts are of one cut with the items."""
    with wc.open(place / "store") as store:
        with store.run("batch", pace="2 items") as run:
            for item in run.items(range(6)):
                with item:
                    if item.value in {1, 4}:
                        raise ValueError(f"bad {item.value}")
                    item.result = {"square": item.value**2}
            failures = sorted((failure.key, failure.message) for failure in run.ledger.failures())
            results = dict(run.ledger.results())
        progress = store.find("batch").progress
        return [failures, results, progress.done, progress.failed, store.find("batch").status]


def items_folded(place: Path) -> Any:
    """Beside a state and an output a failed item leaves no trace, wherever the process dies."""
    with wc.open(place / "store") as store:
        with store.run("fold", pace="every item") as run:
            state = run.state({"sum": 0})
            out = run.output(place / "out.txt", append=True)
            for item in run.items(range(5)):
                with item:
                    state["sum"] += item.value
                    out.write(f"{item.value} ")
                    if item.value == 2:
                        raise ValueError("two")
                    out.write("ok\n")
        return [state["sum"], (place / "out.txt").read_text(), store.find("fold").progress.failed]


@pytest.mark.parametrize("program", [items_with_failures, items_folded], ids=lambda program: program.__name__)
def test_a_kill_between_any_two_lines_changes_nothing(program: Any, tmp_path: Path) -> None:
    """Nothing lost, nothing counted twice."""
    swept = sweep(program, tmp_path, stride=2)
    assert swept.kills > 20


# -- from a shell --------------------------------------------------------------------------------------------------


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A store with a run of which some items failed."""
    with wc.open(tmp_path / ".waycairn") as store, store.run("job") as run:
        for item in run.items(range(12)):
            with item:
                if item.value % 5 == 1:
                    raise ValueError("equal" if item.value < 10 else f"number {item.value}\x1b[31m")
                item.result = {"square": item.value**2, "raw": b"\0\1"}
    return tmp_path


def test_items_are_listed(batch: Path) -> None:
    """Failed ones first; chosen, cut short, as JSON; control characters of an error never reach the terminal."""
    everything = document("items", "job", at=batch)["items"]
    assert sorted(item["key"] for item in everything if item["status"] == "failed") == ["1", "11", "6"]
    assert [item["key"] for item in everything if item["status"] == "done"] == [*"02345789", "10"]
    done = document("items", "job", "--status", "done", "--limit", "1", at=batch)["items"]
    assert done[0]["result"]["square"] == 0
    (eleven,) = [item for item in everything if item["key"] == "11"]
    assert (eleven["attempts"], eleven["error"]["type"], eleven["loop"]) == (1, "ValueError", "items")
    told = waycairn("items", "job", "--status", "failed", "--traceback", at=batch)
    assert told.returncode == 0
    assert "Traceback (most recent call last)" in told.stdout
    assert "\x1b" not in told.stdout
    assert document("items", "job", "--loop", "other", at=batch)["items"] == []
    wrong = waycairn("items", "job", "--status", "bad", at=batch)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_show_groups_equal_failures(batch: Path) -> None:
    """Equal errors once, the most frequent first."""
    groups = document("show", "job", at=batch)["run"]["failures"]
    assert [(group["count"], group["message"][:6]) for group in groups] == [(2, "equal"), (1, "number")]
    told = waycairn("show", "job", at=batch).stdout
    assert "2 items, such as" in told
    assert "ValueError: equal" in told


JOB = """
import sys, waycairn as wc
with wc.open(".waycairn") as store, store.run("job") as run:
    for item in run.items(range(6)):
        with item:
            print(item.value, flush=True)
            if item.value % 2:
                raise ValueError("odd")
"""


@pytest.mark.parametrize(
    ("option", "tried"), [("--retry-failed", [1, 3, 5]), ("--only-pending", []), (None, [1, 3, 5])]
)
def test_resume_tries_failed_items_or_leaves_them(tmp_path: Path, option: str | None, tried: list[int]) -> None:
    """As the command says, else they are tried."""
    (tmp_path / "job.py").write_text(JOB)
    subprocess.run([sys.executable, "job.py"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    told = waycairn("resume", "job", *([option] if option else []), at=tmp_path)
    assert told.returncode == 0, told.stderr
    assert [int(line) for line in told.stdout.split()] == tried
    assert document("runs", at=tmp_path)["runs"][0]["progress"]["failed"] == 3


def test_a_setting_that_is_neither_is_named(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """WAYCAIRN_RETRY_FAILED is 0 or 1; what the code says comes first."""
    monkeypatch.setenv("WAYCAIRN_RETRY_FAILED", "maybe")
    with pytest.raises(ValueError, match="0 or 1, not 'maybe'"):
        wc.open(store.url)
    monkeypatch.setenv("WAYCAIRN_RETRY_FAILED", "0")
    with wc.open(store.url) as again, again.run("job") as run:
        assert square(run, [1], retry_failed=True) == [1]


def test_poison_is_left_alone_by_items_too(store: wc.Store) -> None:
    """It was recorded by a map of that name; asked for, it is tried."""
    with store.run("job") as run:
        run._execution.cutter.items.fail(
            "items", 3, {"type": "ProcessDied", "message": ""}, 1.0, had_failed=False, poison=True
        )
        assert square(run, range(3)) == [0, 1, 2]
    with store.run("job") as run:
        assert square(run, range(5)) == [4]
    with store.run("job") as run:
        assert square(run, range(5), retry_failed=True) == [3]
    assert store.find("job").status == "completed"
