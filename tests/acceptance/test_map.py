"""`run.map`: what it computes, records, retries and folds, on threads, processes and coroutines alike."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapped
import waycairn as wc
from waycairn.world.crashpoints import arm, disarm

PLACES = ("threads", "processes", "async")
SQUARE = {"threads": mapped.square, "processes": mapped.square, "async": mapped.square_async}
REPLY = {"threads": mapped.reply, "processes": mapped.reply, "async": mapped.reply_async}
PICK = {"threads": mapped.pick, "processes": mapped.pick, "async": mapped.pick_async}
THIRD = {"threads": mapped.third_time, "processes": mapped.third_time, "async": mapped.third_time_async}
NOTE = {"threads": mapped.note, "processes": mapped.note, "async": mapped.note_async}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(params=PLACES)
def on(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_every_item_is_computed_and_folded_once(store: wc.Store, on: Any) -> None:
    """And again: nothing is left to do; results are in the ledger."""
    with store.run("job") as run:
        folded = {}
        for item in run.map(SQUARE[on], range(300), workers=3, on=on):
            folded[item.value] = item.result
        assert folded == {n: n * n for n in range(300)}
        assert run.ledger.summary().completed == 300
    assert store.find("job").status == "completed"
    with store.run("job") as run:
        again = run.map(SQUARE[on], range(305), workers=3, on=on).drain()
        assert (again.completed, again.failed, again.skipped) == (5, 0, 300)
        assert dict(again.results()) == {n: n * n for n in range(305)}
        assert run.ledger.result(17) == 289


def test_drained_results_come_back_typed(store: wc.Store, on: Any) -> None:
    """By the return annotation while it runs, by `returns` later; the report counts and reads."""
    with store.run("job") as run:
        report = run.map(REPLY[on], range(5), on=on, workers=2).report()
        assert sorted(value.tokens for _, value in report.results()) == [0, 1, 2, 3, 4]
        assert str(report).startswith("5 done, 0 failed, 0 skipped")
    with store.run("job") as run:
        assert run.ledger.result(3, returns=mapped.Reply) == mapped.Reply("reply 3", 3)


def test_failed_items_are_recorded_and_tried_again(store: wc.Store, on: Any) -> None:
    """With type, message, place, traceback; the others go on. A later entry tries them once more, if it may."""
    with store.run("job") as run:
        report = run.map(PICK[on], range(40), workers=2, on=on).drain()
        assert (report.completed, report.failed) == (36, 4)
    with store.run("job") as run:
        failures = sorted(run.ledger.failures(), key=lambda failure: str(failure.key))
        assert [failure.key for failure in failures] == [13, 23, 3, 33]
        assert (failures[0].type, failures[0].message, failures[0].attempts) == ("ValueError", "bad 13", 1)
        assert failures[0].where is not None
        assert failures[0].where.endswith("in pick")
        assert "raise ValueError" in failures[0].traceback
        report = run.map(PICK[on], range(40), on=on, workers=2, retry_failed=False).drain()
        assert (report.completed, report.failed, report.skipped) == (0, 0, 40)
    assert store.find("job").status == "partial"
    with store.run("job") as run:
        report = run.map(SQUARE[on], range(40), on=on, workers=2).drain()
        assert (report.completed, report.skipped) == (4, 36)
    found = store.find("job")
    assert (found.status, found.progress.done, found.progress.failed) == ("completed", 40, 0)


def test_an_item_is_tried_as_often_as_asked(store: wc.Store, on: Any, tmp_path: Path) -> None:
    """Only for the errors that were named; every try counts."""
    log = str(tmp_path / "calls")
    retry = wc.Retry(attempts=3, wait=0.01, on=mapped.Busy)
    with store.run("job") as run:
        report = run.map(THIRD[on], [(log, n) for n in range(5)], key=lambda i: i[1], on=on, workers=2, retry=retry)
        assert report.drain().completed == 5
    assert sorted(mapped.logged(tmp_path / "calls")) == sorted("01234" * 3)
    with store.run("other") as run:
        too_few = wc.Retry(attempts=2, wait=0.01)
        other = str(tmp_path / "other")
        assert run.map(THIRD[on], [(other, 1)], key=lambda i: i[1], on=on, retry=too_few).drain().failed == 1
        wrong = wc.Retry(attempts=5, wait=0.01, on=ConnectionError)
        assert run.map(THIRD[on], [(other, 2)], key=lambda i: i[1], on=on, retry=wrong, name="b").drain().failed == 1
    with store.run("other") as run:
        assert [failure.attempts for failure in run.ledger.failures()] == [1, 2]
    assert mapped.logged(tmp_path / "other") == ["1", "1", "2"]


def test_what_was_computed_is_folded_later_and_not_computed_again(store: wc.Store, on: Any, tmp_path: Path) -> None:
    """`break` in the first body: that item is not done, and none of the results is lost."""
    log = tmp_path / "calls"
    items = [(str(log), n) for n in range(8)]
    with store.run("job") as run:
        for _ in run.map(NOTE[on], items, key=lambda i: i[1], workers=2, on=on):
            _until(lambda: len(mapped.logged(log)) >= 2)
            time.sleep(0.2)
            break
        assert run.ledger.summary().completed == 0
    found = store.find("job")
    assert (found.status, found.progress.done) == ("interrupted", 0)
    before = mapped.logged(log)
    waiting = store.core.catalog.computed(found.id, "items")
    assert len(waiting) >= 1
    with store.run("job") as run:
        folded = [item.result for item in run.map(NOTE[on], items, key=lambda i: i[1], workers=2, on=on)]
    assert sorted(folded) == list(range(8))
    after = mapped.logged(log)[len(before) :]
    assert len(after) == 8 - len(waiting)
    assert list(store.core.catalog.computed(found.id, "items")) == []
    assert store.find("job").status == "completed"


def test_a_fold_belongs_to_the_cut_of_its_item(store: wc.Store, tmp_path: Path) -> None:
    """An exception in a body puts state and output back; the results stay, and the next entry folds them."""
    log, out_path = tmp_path / "calls", tmp_path / "out"
    items = [(str(log), n) for n in range(30)]

    def fold(fails_at: int | None) -> None:
        with store.run("job", pace="7 items") as run:
            state = run.state({"sum": 0, "seen": 0})
            out = run.output(out_path, append=True)
            for item in run.map(mapped.note, items, key=lambda i: i[1], workers=3, order="input"):
                state["sum"] += item.result
                out.write(item.json())
                state["seen"] += 1
                if item.result == fails_at:
                    time.sleep(0.1)  # what is on its way comes back
                    raise RuntimeError("in the body")

    with pytest.raises(RuntimeError, match="in the body"):
        fold(17)
    assert store.find("job").status == "failed"
    assert "17" in store.find("job").error["item"]  # type: ignore[index]
    before = mapped.logged(log)
    assert len(before) >= 18
    fold(None)
    assert sorted(mapped.logged(log)) == sorted(str(n) for n in range(30)), "nothing was computed twice"
    assert out_path.read_text() == "".join(f'{{"key": {n}, "result": {n}}}\n' for n in range(30))
    state = store.core.catalog.latest_checkpoint(store.find("job").id, role="state")
    assert state is not None
    assert store.load(state.id) == {"sum": sum(range(30)), "seen": 30}


@pytest.mark.parametrize("has_state", [True, False])
def test_results_in_no_cut_survive_an_error_in_a_body(store: wc.Store, tmp_path: Path, has_state: bool) -> None:
    """Of items that were folded since the last cut and go back, of those that waited for their body, and of those that
    the owner had not looked at yet: nothing is computed again."""
    log = tmp_path / "calls"
    items = [(str(log), n) for n in range(40)]

    def fold(fails_at: int | None) -> list[int]:
        met = []
        with store.run("job", pace=0) as run:
            state = run.state({"sum": 0}) if has_state else {"sum": 0}
            for item in run.map(mapped.note_slowly, items, key=lambda i: i[1], workers=3, order="input"):
                state["sum"] += item.result
                met.append(item.result)
                if item.result == fails_at:
                    time.sleep(0.2)  # what is on its way comes back
                    raise RuntimeError("in the body")
        return met

    for number in (0, 9):
        with pytest.raises(RuntimeError, match="in the body"):
            fold(number)
    done = store.find("job").progress.done
    assert done == (0 if has_state else 9)
    assert fold(None) == [*range(done, 40)]
    assert sorted(mapped.logged(log)) == sorted(str(n) for n in range(40))


def test_the_order_of_the_input(store: wc.Store, on: Any) -> None:
    """Reproducible, whatever takes how long; failed ones are left out."""
    waits = [0.05 if n % 7 == 0 else 0.0 for n in range(30)]
    function = _second_async if on == "async" else _second
    with store.run("job") as run:
        items = list(enumerate(waits))
        calls = run.map(function, items, key=lambda i: i[0], workers=4, on=on, order="input")
        assert [item.value[0] for item in calls] == [n for n in range(30) if n != 11]


def _second(item: tuple[int, float]) -> str:
    if item[0] == 11:
        raise ValueError("eleven")
    return mapped.slow(item[1])


async def _second_async(item: tuple[int, float]) -> str:
    if item[0] == 11:
        raise ValueError("eleven")
    return await mapped.slow_async(item[1])


def test_results_that_wait_for_a_slow_one_are_committed_at_the_pace(store: wc.Store) -> None:
    """With order="input" the first body waits for the first item; what comes behind it must not wait for a cut."""
    release = threading.Event()
    committed: list[int] = []

    def work(number: int) -> int:
        if number == 0:
            release.wait(20)
        return number

    def look(_: Any) -> None:
        run_id = store.find("job").id
        committed.append(len(store.core.catalog.computed(run_id, "items")))
        if committed[-1] >= 20:
            release.set()

    with store.run("job", pace="every item") as run:
        folded = run.map(work, range(40), workers=4, order="input", on_progress=look)
        assert [item.result for item in folded] == [*range(40)]
    assert max(committed) >= 20


def test_too_slow_items_are_ended(store: wc.Store, on: Any) -> None:
    """A process is killed, a coroutine cancelled, a thread given up; the others are done, and soon."""
    slow = mapped.slow_async if on == "async" else mapped.slow
    started = time.monotonic()
    with store.run("job") as run:
        report = run.map(slow, [0.0, 20.0, 0.01, 0.02, 30.0], workers=2, on=on, timeout=0.4).drain()
        assert (report.completed, report.failed) == (3, 2)
    assert time.monotonic() - started < 10
    with store.run("job") as run:
        assert {failure.type for failure in run.ledger.failures()} == {"TimeoutError"}
        assert all("longer than 0.4 s" in failure.message for failure in run.ledger.failures())


def test_a_worker_in_native_code_is_ended_too(store: wc.Store) -> None:
    """It holds the interpreter's lock: only the end of its process ends it."""
    started = time.monotonic()
    with store.run("job") as run:
        report = run.map(mapped.stuck, range(5), workers=2, on="processes", timeout=1.0).drain()
        assert (report.completed, report.failed) == (4, 1)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("how", ["SIGKILL", "segfault", "exit"])
def test_an_item_that_kills_its_worker_is_poison(store: wc.Store, tmp_path: Path, how: str) -> None:
    """It is tried three times, then recorded with how its worker ended; everything else is done. It is tried again only
    where that is asked for."""
    log = tmp_path / "calls"
    items = [(str(log), n, how) for n in range(12)]
    with store.run("job") as run:
        report = run.map(mapped.deadly, items, key=lambda i: i[1], workers=2, on="processes").drain()
        assert (report.completed, report.failed) == (11, 1)
    assert mapped.logged(log).count("5") == 3
    with store.run("job") as run:
        (failure,) = run.ledger.failures()
        assert failure.type == "WorkerDied"
        expected = {"SIGKILL": "killed by SIGKILL", "segfault": "killed by SIGSEGV", "exit": "exit code 3"}[how]
        assert expected in failure.message
        report = run.map(mapped.deadly, items, key=lambda i: i[1], workers=2, on="processes").drain()
        assert (report.completed, report.failed, report.skipped) == (0, 0, 12)
    assert mapped.logged(log).count("5") == 3
    with store.run("job") as run:
        again = run.map(mapped.deadly, items, key=lambda i: i[1], workers=1, on="processes", retry_failed=True).drain()
        assert again.failed == 1
    assert mapped.logged(log).count("5") == 6


def test_one_among_thousands_is_found(store: wc.Store) -> None:
    """Workers get short items by the hundred, and answer by the hundred: still it is known which one it was."""
    with store.run("job") as run:
        report = run.map(mapped.deadly_among_many, range(9_000), workers=2, on="processes").drain()
        assert (report.completed, report.failed) == (8_999, 1)
        assert run.ledger.summary().failed == 1
    with store.run("job") as run:
        assert [(failure.key, failure.attempts) for failure in run.ledger.failures()] == [(4_555, 3)]


def test_the_rate_is_kept(store: wc.Store, on: Any) -> None:
    """50 a second: 26 items take half a second, and do not come in one burst."""
    with store.run("job") as run:
        started = time.monotonic()
        if on == "processes":
            run.map(SQUARE[on], range(-2, 0), on=on, workers=2, name="warm").drain()
            started = time.monotonic()
        run.map(SQUARE[on], range(26), on=on, workers=4, rate="50/s").drain()
        assert time.monotonic() - started >= 0.48


def test_a_service_that_says_when_to_come_back_is_believed(store: wc.Store, on: Any, tmp_path: Path) -> None:
    """Nothing begins before that time: other items neither, nor those that were handed to workers by the hundred."""
    log = tmp_path / "begun"
    items = [(str(log), n) for n in range(12_000)]  # more than a fast machine does in the 50 ms until all know
    function = mapped.busy_once_async if on == "async" else mapped.busy_once
    with store.run("job") as run:
        calls = run.map(function, items, key=lambda i: i[1], workers=2, on=on, retry=wc.Retry(attempts=2, wait=0.01))
        assert calls.drain().completed == 12_000
    begun = [(float(when), int(number)) for when, _, number in (line.partition(":") for line in mapped.logged(log))]
    told, again = (when for when, number in begun if number == 300)
    assert again >= told + 0.8
    meanwhile = [number for when, number in begun if told + 0.05 < when < told + 0.8]
    assert meanwhile == []
    assert len([1 for when, _ in begun if when > again]) > 100, "there was something left to wait"


def test_the_first_error_can_be_raised(store: wc.Store, on: Any) -> None:
    """With on_error="raise": the item is undone and nothing is recorded against it; what was done stands."""
    kind: Any = wc.errors.ItemFailed if on == "processes" else ValueError
    with pytest.raises(kind, match="bad 3") as caught, store.run("job") as run:
        run.map(PICK[on], range(10), workers=1, on=on, on_error="raise").drain()
    if on == "processes":
        assert "in pick" in caught.value.__notes__[0]
    found = store.find("job")
    assert (found.status, found.progress.failed) == ("failed", 0)
    assert found.error is not None
    assert found.error["item"] == "3"
    assert found.progress.done >= 1
    with store.run("job") as run:
        assert run.map(SQUARE[on], range(10), workers=1, on=on).drain().completed == 10 - found.progress.done


def test_errors_of_the_store_are_no_failures_of_items(store: wc.Store, on: Any) -> None:
    """They leave the run as they are; what a later entry finds is undone, not failed."""
    broken = {"threads": _breaks, "processes": _breaks, "async": _breaks_async}[on]
    with pytest.raises(wc.errors.StoreFull, match="no space"), store.run("job") as run:
        run.map(broken, range(10), workers=1, on=on).drain()
    assert store.find("job").progress.failed == 0


def _breaks(number: int) -> int:
    if number == 4:
        raise wc.errors.StoreFull("no space, says the test")
    return number


async def _breaks_async(number: int) -> int:
    return _breaks(number)


def test_sys_exit_in_an_item_is_its_failure(store: wc.Store, on: Any) -> None:
    """Of a library that thinks it is a program."""
    function = mapped.leaves if on != "async" else _leaves_async
    with store.run("job") as run:
        assert run.map(function, range(3), workers=1, on=on).drain().failed == 1
    with store.run("job") as run:
        (failure,) = run.ledger.failures()
        assert (failure.type, failure.message) == ("SystemExit", "enough")


async def _leaves_async(number: int) -> int:
    return mapped.leaves(number)


def test_an_input_that_raises_half_way_loses_nothing(store: wc.Store, on: Any) -> None:
    """What was handed out before is done, then the error comes; the next entry goes on behind it."""

    def numbers(bad: bool) -> Iterator[int]:
        yield from range(20)
        if bad:
            raise OSError("the network share is gone")
        yield from range(20, 25)

    with pytest.raises(OSError, match="share is gone"), store.run("job") as run:
        run.map(SQUARE[on], numbers(bad=True), workers=2, on=on).drain()
    found = store.find("job")
    assert (found.status, found.progress.done) == ("failed", 20)
    with store.run("job") as run:
        assert run.map(SQUARE[on], numbers(bad=False), workers=2, on=on).drain().completed == 5


def test_a_repeated_key_is_named(store: wc.Store, on: Any) -> None:
    """Also while the first of both is on its way, or failed."""
    for name, items in (("late", [*range(30), 7]), ("at once", [7, 7]), ("failed", [3, *range(10, 20), 3])):
        with pytest.raises(ValueError, match=r"the key \d appears twice"), store.run(name) as run:
            run.map(PICK[on], items, workers=1, on=on).drain()


def test_what_cannot_be_sent_to_a_process_is_said(store: wc.Store) -> None:
    """A function: at once, with the way out. An item: its failure."""
    with store.run("job") as run:
        with pytest.raises(TypeError, match=r'the function cannot be sent to a worker process .* on="threads"'):
            run.map(lambda n: n, range(3), on="processes").drain()
        items = ["a", mapped.Unsendable("b"), "c"]
        report = run.map(mapped.name_of, items, key=mapped.name_of, on="processes", workers=1, name="b").drain()
        assert (report.completed, report.failed) == (2, 1)
    with store.run("job") as run:
        (failure,) = run.ledger.failures()
        assert "cannot be sent to a worker process (it holds a connection)" in failure.message


def test_a_large_function_reaches_its_worker(store: wc.Store) -> None:
    """More than a pipe holds."""
    function = functools.partial(mapped.length_of, bytes(3_000_000))
    with store.run("job") as run:
        assert [item.result for item in run.map(function, range(2), on="processes", workers=2)] == [3_000_000] * 2


def test_no_more_processes_than_items(store: wc.Store) -> None:
    """Each costs half a second of a processor."""
    with store.run("job") as run:
        report = run.map(mapped.who, range(2), on="processes", workers=8).drain()
        assert len({pid for _, pid in report.results()}) <= 2


def test_results_that_cannot_be_stored_or_come_back_are_failures(store: wc.Store, on: Any) -> None:
    """The path is named, and what to do."""
    functions: dict[str, Callable[..., Any]] = {"a": mapped.unstorable, "b": mapped.stranger}
    with store.run("job") as run:
        for name, function in functions.items():
            call = _awaitable(function) if on == "async" else function
            report = run.map(call, range(3), workers=1, on=on, name=name).drain()
            assert report.failed == {"a": 1, "b": 3}[name]
    with store.run("job") as run:
        messages = [failure.message for failure in run.ledger.failures()]
        assert 'state["open"]' in messages[0]
        assert "annotate the return type" in messages[-1]


def _awaitable(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(value: Any) -> Any:
        return function(value)

    return call


def test_arrays_come_from_everywhere(store: wc.Store, on: Any) -> None:
    """Whole, writable, and what the body does to them does not reach the store."""
    function = _array_async if on == "async" else _array
    with store.run("job") as run:
        for item in run.map(function, range(4), workers=2, on=on):
            assert item.result.shape == (50_000,)
            item.result[:] = -1
    with store.run("job") as run:
        for number in range(4):
            np.testing.assert_array_equal(run.ledger.result(number), np.full(50_000, number, np.float32))


def _array(number: int) -> Any:
    return np.full(50_000, number, np.float32)


async def _array_async(number: int) -> Any:
    return _array(number)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"workers": 0}, "workers"),
        ({"timeout": -1.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"rate": "500 a day"}, "rate"),
        ({"rate": 0}, "rate"),
        ({"on": "gpu"}, "on is one of"),
        ({"order": "random"}, "order is one of"),
        ({"on_error": "ignore"}, "on_error is one of"),
        ({"retry": 0}, "at least once"),
        ({"on": "async"}, "plain function"),
        ({"name": ""}, "name of a loop"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(store: wc.Store, how: dict[str, Any], words: str) -> None:
    """ValueError or TypeError that names it."""
    called = []
    with store.run("job") as run:
        with pytest.raises((ValueError, TypeError), match=words):
            run.map(called.append, [1], **how)
        with pytest.raises(TypeError, match="coroutine function"):
            run.map(mapped.square_async, [1], on="threads")
        with pytest.raises(TypeError, match="takes a function"):
            run.map([1], print)  # type: ignore[arg-type]
    assert called == []


def test_a_map_is_used_once(store: wc.Store) -> None:
    """Drained and then iterated, or with a name that is taken: refused."""
    with store.run("job") as run:
        squares = run.map(mapped.square, range(3))
        squares.drain()
        assert squares.report().completed == 3, "a report can be asked for again"
        with pytest.raises(ValueError, match="once"):
            squares.drain()
        with pytest.raises(ValueError, match="used twice"):
            run.map(mapped.square, range(3))


def test_a_map_that_nobody_asks_for_anything_is_noticed(store: wc.Store, caplog: pytest.LogCaptureFixture) -> None:
    """The run is not completed: nothing was done."""
    with caplog.at_level(logging.WARNING, "waycairn"), store.run("job") as run:
        run.map(mapped.square, range(3))
    assert store.find("job").status == "interrupted"
    assert "neither iterated nor drained" in caplog.text


def test_memory_is_bounded_by_what_is_on_its_way(store: wc.Store, on: Any) -> None:
    """A generator is read as fast as results are taken, no faster."""
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for number in range(100_000):
            read = number
            yield number

    with store.run("job") as run:
        for item in run.map(_wait_async if on == "async" else _wait, numbers(), workers=4, on=on):
            assert read < 200, item
            if item.value >= 40:
                break


def _wait(number: int) -> int:
    time.sleep(0.005)
    return number


async def _wait_async(number: int) -> int:
    await asyncio.sleep(0.005)
    return number


def test_slow_bodies_hold_the_input_back(store: wc.Store, on: Any) -> None:
    """Results wait for their body, as many as keep the workers busy, not as many as there are items."""
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for number in range(1_000_000):
            read = number
            yield number

    with store.run("job") as run:
        for folded, _ in enumerate(run.map(SQUARE[on], numbers(), workers=2, on=on)):
            time.sleep(0.002)
            assert read - folded < 2 * 2 * 256 + 300
            if folded == 400:
                break


def test_nothing_runs_on_when_the_run_is_left(store: wc.Store, on: Any) -> None:
    """No thread, no process, no list of running items."""
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError), store.run("job") as run:
        for _ in run.map(SQUARE[on], range(1000), workers=2, on=on):
            raise RuntimeError("body")
    _until(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("waycairn-map")])
    import multiprocessing

    assert multiprocessing.active_children() == []
    assert store.core.scratch is not None
    assert list(store.core.scratch.iterdir()) == []


def test_the_async_face(tmp_path: Path) -> None:
    """The same words: `async for`, awaited drain, asynchronous inputs; coroutines share the caller's event loop."""

    async def job() -> None:
        loop = asyncio.get_running_loop()

        async def ask(number: int) -> int:
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0.001)
            return number * 2

        async def numbers() -> AsyncIterator[int]:
            for number in range(60):
                await asyncio.sleep(0.0005)
                yield number

        with wc.open(tmp_path / "store") as store:
            async with store.run("job", pace="10 items") as run:
                state = run.state({"sum": 0})
                async for item in run.map(ask, numbers(), workers=8):
                    state["sum"] += item.result
                assert state["sum"] == sum(range(60)) * 2
                report = await run.map(mapped.square, range(20), name="threads", workers=2).drain()
                assert report.completed == 20
                report = await run.map(mapped.pick, range(20), name="pool", on="processes", workers=1).drain()
                assert (report.completed, report.failed) == (18, 2)
            assert store.find("job").progress.done == 98
            async with store.run("job") as run:
                assert (await run.map(ask, numbers(), workers=8).report()).skipped == 60

    asyncio.run(job())


def test_leaving_an_async_map_by_break(tmp_path: Path) -> None:
    """The open item is not done; its result stays; no task goes on."""

    async def job() -> None:
        calls: list[int] = []

        async def ask(number: int) -> int:
            calls.append(number)
            await asyncio.sleep(0.001)
            return number

        with wc.open(tmp_path / "store") as store:
            async with store.run("job") as run:
                async for item in run.map(ask, range(10), workers=2):
                    if item.result == 4:
                        break
            assert (store.find("job").status, store.find("job").progress.done) == ("interrupted", 4)
            async with store.run("job") as run:
                folded = [item.result async for item in run.map(ask, range(10), workers=2)]
            assert sorted(folded) == [4, 5, 6, 7, 8, 9]
            assert calls.count(4) == 1

    asyncio.run(job())


def test_an_asynchronous_input_needs_an_async_run(store: wc.Store) -> None:
    """Said, with what to write."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    with store.run("job") as run, pytest.raises(TypeError, match="async with"):
        run.map(mapped.square, numbers()).drain()


class Inline:
    """An executor of one's own: the least that the protocol asks for."""

    is_local = True

    def __init__(self) -> None:
        self.workers = 1
        self.has_ended = False

    def start(self, job: Any, post: Any, flights: Any) -> None:
        self._job, self._post, self._flights = job, post, flights

    def submit(self, tasks: Any) -> None:
        for task in tasks:
            self._flights.begin(0, task.digest)
            self._post([self._job.perform(task.number, task.value)], 0.001)
        self._flights.end(0)

    def tend(self, now: float) -> None:
        pass

    def close(self) -> None:
        self.has_ended = True


def test_an_executor_of_ones_own_is_set_up_by_itself(store: wc.Store) -> None:
    """Its workers and its timeout are its own."""
    with store.run("job") as run:
        for how in ({"workers": 2}, {"timeout": 1.0}):
            with pytest.raises(ValueError, match="executor of your own"):
                run.map(mapped.square, range(3), on=Inline(), **how)  # type: ignore[arg-type]


def test_a_worker_that_breaks_is_told_of(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by an item, by ourselves: the map ends with the error, and does not wait for ever."""
    from waycairn.fanout import FlightLog

    def broken(*_: Any) -> None:
        raise IndexError("out of the file")

    monkeypatch.setattr(FlightLog, "begin", broken)
    for name, function in (("threads", mapped.square), ("async", mapped.square_async)):
        with pytest.raises(IndexError, match="out of the file"), store.run(name) as run:
            run.map(function, range(3), workers=1).drain()


def test_an_executor_of_ones_own(store: wc.Store) -> None:
    """Given as `on`; it is closed at the end, and failures are recorded like any."""
    executor = Inline()
    with store.run("job") as run:
        report = run.map(mapped.pick, range(40), on=executor).drain()
        assert (report.completed, report.failed) == (36, 4)
    assert executor.has_ended
    with store.run("job") as run:
        folded = [item.result for item in run.map(mapped.square, range(44), on=Inline(), order="input")]
    assert folded == [9, 169, 529, 1089, 1600, 1681, 1764, 1849]


def test_a_map_in_a_forked_child_is_refused(store: wc.Store) -> None:
    """It was made by the parent, whose run it is."""
    with store.run("job") as run:
        squares = run.map(mapped.square, range(3))
        pid = os.fork()
        if not pid:
            code = 1
            try:
                squares.drain()
            except wc.errors.UsedAfterFork:
                code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert squares.drain().completed == 3


def test_maps_in_phases(store: wc.Store) -> None:
    """A phase has maps of its own; the second entry calls nothing."""

    def clean(phase: wc.Run, numbers: list[int]) -> int:
        return sum(item.result for item in phase.map(mapped.square, numbers, workers=2))

    for _ in range(2):
        with store.run("job") as run:
            assert run.phase("clean", clean, [1, 2, 3]) == 14


def test_a_damaged_result_is_computed_again(store: wc.Store, tmp_path: Path) -> None:
    """It waited for its fold, and its bytes rotted: the item is computed once more and folded once."""
    log = tmp_path / "calls"
    items = [(str(log), n) for n in range(3)]
    with store.run("job") as run:
        for _ in run.map(mapped.note, items, key=lambda i: i[1], workers=3):
            _until(lambda: len(mapped.logged(log)) == 3)
            time.sleep(0.1)
            break
    found = store.find("job")
    assert len(store.core.catalog.computed(found.id, "items")) >= 1
    store.close()
    import sqlite3

    with sqlite3.connect(tmp_path / "store/catalog.db") as catalog:
        catalog.execute("UPDATE computed SET root = zeroblob(32)")
    catalog.close()
    with wc.open(tmp_path / "store") as again, again.run("job") as run:
        folded = [item.result for item in run.map(mapped.note, items, key=lambda i: i[1], workers=3)]
        assert sorted(folded) == [0, 1, 2]
    with wc.open(tmp_path / "store") as again:
        assert list(again.core.catalog.computed(found.id, "items")) == []
        assert again.find("job").status == "completed"


def test_a_cut_that_fails_takes_nothing_away(store: wc.Store, tmp_path: Path) -> None:
    """The device refuses a commit in the middle: the next entry computes only what was in no cut."""
    log = tmp_path / "calls"
    items = [(str(log), n) for n in range(60)]
    arm("store.begin", 4)
    try:
        with pytest.raises(OSError, match="injected"), store.run("job", pace="5 items") as run:
            for item in run.map(mapped.note, items, key=lambda i: i[1], workers=2):
                assert item.result >= 0
    finally:
        disarm()
    folded = store.find("job").progress.done
    assert folded >= 10
    with store.run("job") as run:
        rest = [item.result for item in run.map(mapped.note, items, key=lambda i: i[1], workers=2)]
    assert len(rest) == 60 - folded
    assert store.find("job").progress.done == 60
    twice = len(mapped.logged(log)) - 60
    assert twice <= 5 + 2 * 2 * 256, "no more than a pace and what was on its way"


def test_keys_are_those_of_each(store: wc.Store) -> None:
    """By entry, by attribute, by content."""
    with store.run("job") as run:
        for item in run.map(lambda d: d["n"], [{"id": "a", "n": 1}, {"id": "b", "n": 2}], key="id"):
            assert item.key == item.value["id"]
            assert re.fullmatch(r'\{"key": "[ab]", "result": [12]\}\n', item.json())
        assert run.ledger.is_done("a")


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


@pytest.mark.parametrize("inner", ["each", "items", "map"])
@pytest.mark.parametrize("outer", ["each", "items", "map"])
def test_a_loop_inside_an_item_is_refused(store: wc.Store, outer: str, inner: str) -> None:
    """Its cuts would hold the outer item half done. The outer item is undone."""

    def begin(run: wc.Run) -> None:
        loop: Any = {
            "each": lambda: run.each([1, 2], name="inner"),
            "items": lambda: run.items([1, 2], name="inner"),
            "map": lambda: run.map(mapped.square, [1, 2], name="inner"),
        }[inner]()
        for _ in loop:
            raise AssertionError("it began")

    with pytest.raises(wc.errors.ItemsOverlap, match="begins inside item 7 of loop 'outer'"), store.run("job") as run:
        if outer == "items":
            for item in run.items([7], name="outer"):
                with item:
                    begin(run)
        elif outer == "each":
            for _ in run.each([7], name="outer"):
                begin(run)
        else:
            for _ in run.map(mapped.square, [7], name="outer"):
                begin(run)
    assert store.find("job").progress.done == 0


def test_two_maps_at_once_are_told_apart(tmp_path: Path) -> None:
    """In two tasks of one run: bodies of both would be open at once, which is refused, not mixed."""

    async def job() -> None:
        with wc.open(tmp_path / "store") as store:
            async with store.run("job") as run:

                async def fold(name: str) -> int:
                    count = 0
                    async for _ in run.map(mapped.square_async, range(5), name=name):
                        await asyncio.sleep(0.01)
                        count += 1
                    return count

                results = await asyncio.gather(fold("one"), fold("two"), return_exceptions=True)
            assert sorted(type(result).__name__ for result in results) in (
                ["ItemsOverlap", "ItemsOverlap"],
                ["ItemsOverlap", "int"],
            )
            async with store.run("job", pace="every item") as run:
                drained = (run.map(mapped.square_async, range(50), name=name).drain() for name in ("one", "two"))
                await asyncio.gather(*drained)
            assert store.find("job").progress.done == 100

    asyncio.run(job())
