"""The async face: the same words, the same promises."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import waycairn as wc
from killing import attempt, sweep
from waycairn.errors import Interrupted


def public(face: type) -> set[str]:
    return {name for name in dir(face) if not name.startswith("_")}


def test_both_faces_have_the_same_words() -> None:
    """Nothing can be done in one face only, and neither is large."""
    assert public(wc.AsyncRun) == public(wc.Run)
    assert len(public(wc.Run)) <= 20


@pytest.mark.parametrize("name", sorted(name for name in public(wc.Run) if callable(getattr(wc.Run, name))))
def test_both_faces_take_the_same_arguments(name: str) -> None:
    """What is passed on whole (`**how`) counts as the same."""
    wanted = inspect.signature(getattr(wc.Run, name)).parameters
    given = inspect.signature(getattr(wc.AsyncRun, name)).parameters
    if any(one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) for one in given.values()):
        given = {key: one for key, one in given.items() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
        assert set(given) <= set(wanted)
    else:
        assert list(given) == list(wanted)


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


async def fetch(page: int) -> str:
    await asyncio.sleep(0)
    return f"page {page}"


def job(place: Path) -> Any:
    """A state, steps, a phase, an output and an asynchronous input."""

    async def double(phase: wc.AsyncRun, count: int) -> int:
        state = phase.state({"sum": 0})
        async for number in phase.each(numbers(count)):
            state["sum"] += 2 * number
        return state["sum"]  # type: ignore[no-any-return]

    async def main() -> Any:
        with wc.open(place / "store") as store:
            async with store.run("job", pace="every item") as run:
                first = await run.step("fetch", fetch, 1, returns=str)
                state = run.state({"seen": []})
                out = run.output(place / "out.txt", append=True)
                async for number in run.each(numbers(4)):
                    state["seen"].append(await run.step("page", fetch, number, returns=str))
                    out.write(f"{number}\n")
                doubled = await run.phase("double", double, 3, returns=int)
                await run.save("scores", [first])
                await run.checkpoint(tags=["end"])
            return [state, doubled, first, (place / "out.txt").read_text()]

    return asyncio.run(main())


def test_a_kill_between_any_two_lines_changes_nothing(tmp_path: Path) -> None:
    """Killed at any line and resumed, an async job ends as if it had never been killed."""
    swept = sweep(job, tmp_path, stride=3)
    print(f"async: {swept.kills} kills, 0 wrong")


def batches(place: Path) -> Any:
    async def main() -> Any:
        with wc.open(place / "store") as store:
            async with store.run("job", pace="every item") as run:
                return [batch async for batch in run.each(numbers(7), batch=3)]

    return asyncio.run(main())


def test_batches_of_an_asynchronous_input(tmp_path: Path) -> None:
    """Lists of at most n, as in the sync face."""
    done = attempt(batches, tmp_path)
    assert done.result == [[0, 1, 2], [3, 4, 5], [6]], done.error


def test_a_loop_left_by_break_is_left_at_once(tmp_path: Path) -> None:
    """A checkpoint right behind a `break` is taken, not deferred to the end of an item that never ends."""

    async def main(store: wc.Store) -> Any:
        async with store.run("job", pace=0) as run:
            state = run.state({"n": 0})
            async for number in run.each(numbers(5)):
                state["n"] += 1
                if number == 2:
                    break
            taken = await run.checkpoint(force=True)
            assert taken
            return store.load(taken)

    with wc.open(tmp_path / "store") as store:
        assert asyncio.run(main(store)) == {"n": 0}
        assert store.find("job").progress.done == 0


def test_other_tasks_run_while_a_cut_is_written(tmp_path: Path) -> None:
    """The event loop is not blocked by the disk, and what they change meanwhile is not in the cut."""

    async def main() -> tuple[int, int]:
        ticks = 0

        async def tick(state: dict[str, Any]) -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1
                state["ticks"] = ticks

        with wc.open(tmp_path / "store") as store:
            async with store.run("job") as run:
                state = run.state({"ticks": 0, "blob": b""})
                other = asyncio.create_task(tick(state))
                await asyncio.sleep(0)
                state["blob"] = bytes(range(256)) * 40_000
                before = ticks
                taken = await run.checkpoint(force=True)
                other.cancel()
                assert taken
                return store.load(taken)["ticks"] - before, ticks - before

    inside, meanwhile = asyncio.run(main())
    assert inside == 0
    assert meanwhile > 0


def test_arrays_are_not_torn(tmp_path: Path) -> None:
    """An array that another task changes while it is written is saved as it was at the cut."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")

    async def main() -> Any:
        with wc.open(tmp_path / "store") as store:
            async with store.run("job") as run:
                state = run.state({"weights": numpy.zeros(4_000_000, numpy.float32)})

                async def train() -> None:
                    while True:
                        await asyncio.sleep(0)
                        state["weights"] += 1

                other = asyncio.create_task(train())
                await asyncio.sleep(0.01)
                taken = await run.checkpoint(force=True)
                saved = await run.save("copy", state["weights"])
                other.cancel()
                assert taken
                return [store.load(taken)["weights"], store.load(saved)]

    for weights in asyncio.run(main()):
        assert (weights == weights[0]).all()


def test_plain_for_over_an_asynchronous_input_is_refused(tmp_path: Path) -> None:
    """The error says which words to use."""
    with pytest.raises(TypeError, match="async with"), wc.open(tmp_path / "s") as store, store.run("job") as run:
        list(run.each(numbers(3)))


def test_a_signal_stops_an_async_job_at_the_next_cut(tmp_path: Path) -> None:
    """Interrupted is raised through asyncio."""

    async def main(store: wc.Store) -> None:
        async with store.run("job", pace=0) as run:
            async for number in run.each(numbers(100)):
                if number == 3:
                    signal.raise_signal(signal.SIGTERM)

    with wc.open(tmp_path / "store") as store:
        with pytest.raises(Interrupted):
            asyncio.run(main(store))
        assert store.find("job").progress.done == 4


def test_steps_of_tasks_may_overlap(tmp_path):
    """`asyncio.gather` over steps, saves and checkpoints: each is committed, in turn; a second entry calls nothing."""
    calls = []

    async def fetch(number: int) -> int:
        calls.append(number)
        await asyncio.sleep(0.001)
        return number

    async def job() -> list[int]:
        with wc.open(tmp_path / "store") as store:
            async with store.run("job") as run:
                state = run.state({"n": 0})
                state["n"] += 1
                found = await asyncio.gather(
                    *(run.step(f"fetch {number}", fetch, number) for number in range(20)),
                    *(run.save(f"value {number}", number) for number in range(20)),
                    *(run.checkpoint(force=True) for _ in range(5)),
                    *(run.progress(number) for number in range(5)),
                )
            assert store.find("job").status == "completed"
        return found[:20]

    assert asyncio.run(job()) == [*range(20)]
    assert len(calls) == 20
    assert asyncio.run(job()) == [*range(20)]
    assert len(calls) == 20
