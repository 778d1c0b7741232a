"""`part=(i, n)`: several processes, started by hand, do the items of one batch."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapped
import waycairn as wc
from commands import document
from killing import attempt


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


def _do(
    store: wc.Store, part: tuple[int, int] | None, items: Any = range(100), kind: str = "each", **how: Any
) -> list[int]:
    with store.run("job", part=part, **how) as run:
        if kind == "each":
            return list(run.each(items))
        if kind == "batch":
            return [number for batch in run.each(items, batch=7) for number in batch]
        if kind == "map":
            return [item.value for item in run.map(mapped.square, items, workers=2)]
        met = []
        for item in run.items(items):
            with item:
                met.append(item.value)
        return met


@pytest.mark.parametrize("kind", ["each", "batch", "items", "map"])
def test_every_item_belongs_to_one_part(store: wc.Store, kind: str) -> None:
    """Whatever the loop; about as many to each; a second round finds nothing; the last one completes the batch."""
    shares = []
    for index in range(4):
        assert index == 0 or store.find("job").status == "interrupted"
        shares.append(_do(store, (index, 4), kind=kind))
    assert Counter(number for share in shares for number in share) == Counter(range(100))
    assert all(10 <= len(share) <= 40 for share in shares)
    whole = store.find("job")
    assert (whole.status, whole.progress.done) == ("completed", 100)
    for index in range(4):
        assert _do(store, (index, 4), kind=kind) == []
    assert _do(store, (1, 4), range(140), kind) == [
        n for n in _do(store, None, range(140), kind, key="all") if n >= 100 and n in _own(1)
    ]
    assert store.find("job").progress.done == 100 + len(_own(1) & set(range(100, 140)))


def _own(index: int) -> set[int]:
    from waycairn.work.sharing import Share

    return {number for number in range(140) if Share(index, 4).holds(number)}


def test_parts_run_at_once_and_are_held_one_by_one(store: wc.Store) -> None:
    """Each has an owner of its own; the same part twice is refused."""
    with store.run("job", part=(0, 2)) as first, store.run("job", part=(1, 2)) as second:
        with pytest.raises(wc.RunIsHeld, match="job"):
            store.run("job", part=(1, 2)).__enter__()
        done = [*first.each(range(20)), *second.each(range(20))]
        assert sorted(done) == [*range(20)]
        assert second.id != first.id
    assert store.find("job").status == "completed"


def test_failed_items_make_the_batch_partial(store: wc.Store) -> None:
    """Of one part: until it is entered again and they succeed."""
    for index in range(3):
        with store.run("job", part=(index, 3)) as run:
            run.map(mapped.pick, range(30), workers=2).drain()
    whole = store.find("job")
    assert (whole.status, whole.progress.done, whole.progress.failed) == ("partial", 27, 3)
    for index in range(3):
        with store.run("job", part=(index, 3)) as run:
            run.map(mapped.square, range(30), workers=2).drain()
    whole = store.find("job")
    assert (whole.status, whole.progress.done, whole.progress.failed) == ("completed", 30, 0)


@pytest.mark.parametrize(
    ("before", "now"), [((0, 2), (0, 3)), ((0, 2), None), (None, (0, 2))], ids=["other-count", "as-one", "as-parts"]
)
def test_a_batch_is_split_once(store: wc.Store, before: Any, now: Any) -> None:
    """Otherwise items would be done twice or by nobody; giving the batch up is the way out."""
    _do(store, before)
    with pytest.raises(ValueError, match=r"(begun|done) (as one|in 2 parts).*Nothing was changed"):
        _do(store, now)
    store.discard("job")
    met = _do(store, now)
    assert set(met) <= set(range(100))
    assert len(met) > 10


def test_what_was_given_up_is_done_again_by_every_part(store: wc.Store) -> None:
    """The runs of the old parts are replaced when their part is entered."""
    first = [_do(store, (index, 2)) for index in range(2)]
    store.discard("job")
    assert [_do(store, (index, 2)) for index in range(2)] == first
    assert store.find("job").status == "completed"


def test_fresh_parts(store: wc.Store) -> None:
    """fresh=True replaces a completed batch; the other parts join; an unfinished one is not replaced."""
    for index in range(2):
        _do(store, (index, 2))
    assert len(_do(store, (0, 2), fresh=True)) > 30
    with pytest.raises(wc.errors.RunNotCompleted, match="all of its parts"):
        _do(store, (0, 2), fresh=True)
    assert len(_do(store, (1, 2), fresh=True)) > 30
    assert store.find("job").progress.done == 100


def test_the_fingerprint_is_that_of_the_batch(store: wc.Store) -> None:
    """A part with another one is refused."""
    _do(store, (0, 2), fingerprint={"model": 1})
    with pytest.raises(wc.errors.FingerprintMismatch):
        _do(store, (1, 2), fingerprint={"model": 2})


@pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 0), "0/2", (0,), (0.0, 2)])
def test_a_part_that_cannot_be(store: wc.Store, part: Any) -> None:
    """Refused before anything is entered."""
    with pytest.raises(ValueError, match="part is"):
        store.run("job", part=part)
    assert store.runs() == []


def test_a_part_has_no_queue(store: wc.Store) -> None:
    """What it adds may belong to another part."""
    with store.run("job", part=(0, 2)) as run, pytest.raises(ValueError, match="another part"):
        run.queue([1])


def test_phases_of_parts_and_the_async_face(tmp_path: Path) -> None:
    """Loops inside a phase are shared out too; so are asynchronous inputs."""

    def clean(phase: wc.Run, numbers: Any) -> list[int]:
        return list(phase.each(numbers))

    async def numbers() -> AsyncIterator[int]:
        for number in range(40):
            yield number

    async def part(store: wc.Store, index: int) -> tuple[list[int], list[int], list[int]]:
        async with store.run("later", part=(index, 2)) as run:
            walked = [number async for number in run.each(numbers())]
            folded = [item.value async for item in run.map(mapped.square_async, numbers(), name="map")]
            with_items = []
            async for item in run.items(numbers(), name="one by one"):
                with item:
                    with_items.append(item.value)
        return walked, folded, with_items

    with wc.open(tmp_path / "store") as store:
        cleaned = []
        for index in range(2):
            with store.run("job", part=(index, 2)) as run:
                cleaned += run.phase("clean", clean, range(40))
        assert sorted(cleaned) == [*range(40)]
        both = [asyncio.run(part(store, index)) for index in range(2)]
        for one, other in zip(*both, strict=True):
            assert sorted([*one, *other]) == [*range(40)]
            assert one
            assert other


JOB = """
import sys, time
import waycairn as wc
with wc.open(sys.argv[1]) as store, store.run("job", part=(int(sys.argv[2]), 3), pace="5 items") as run:
    out = run.output(f"{sys.argv[1]}-{sys.argv[2]}.txt", append=True)
    for number in run.each(range(600)):
        time.sleep(0.001)
        out.write(f"{number}\\n")
"""


def test_three_processes_of_which_one_is_killed(tmp_path: Path) -> None:
    """At once on one store; the killed part goes on; every item once; the command line sees batch and parts."""
    script = tmp_path / "job.py"
    script.write_text(JOB)

    def start(index: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, script, tmp_path / "store", str(index)])

    parts = [start(index) for index in range(3)]
    out = tmp_path / "store-1.txt"
    while not (out.exists() and out.stat().st_size > 100):
        assert parts[1].poll() is None
    parts[1].kill()
    assert [part.wait(60) for part in parts] == [0, -signal.SIGKILL, 0]
    with wc.open(tmp_path / "store") as store:
        assert store.find("job").status == "interrupted"
        assert store.find("job", key="part 1 of 3").status == "running"
    assert start(1).wait(60) == 0
    lines = [int(line) for index in range(3) for line in (tmp_path / f"store-{index}.txt").read_text().split()]
    assert Counter(lines) == Counter(range(600))
    listed = document("runs", "--store", tmp_path / "store", at=tmp_path)["runs"]
    found = {run["key"]: (run["status"], run["progress"]["done"]) for run in listed}
    assert found[None] == ("completed", 600)
    assert sorted(key for key in found if key) == ["part 0 of 3", "part 1 of 3", "part 2 of 3"]


def test_killed_at_every_line(tmp_path: Path) -> None:
    """A part dies wherever it may; entered again, the batch comes to the same."""

    def program(place: Path) -> Any:
        with wc.open(place / "store") as store:
            met = []
            for index in range(2):
                with store.run("job", part=(index, 2)) as run:
                    met += list(run.each(range(6)))
            whole = store.find("job")
            return [whole.status, whole.progress.done]

    golden = tmp_path / "golden"
    golden.mkdir()
    lines = attempt(program, golden).lines
    kills = 0
    for line in range(1, lines + 1):
        place = tmp_path / str(line)
        place.mkdir()
        kills += attempt(program, place, line).code == -signal.SIGKILL
        assert attempt(program, place).result == ["completed", 6]
    assert kills == lines


def test_a_part_that_ends_while_another_one_counts(store: wc.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the slower one writes about the batch is out of date by then, and it notices."""
    catalog = store.core.catalog
    change = type(catalog).change_run
    others = [(1, 2)]

    def slowly(self: Any, run: Any, epoch: int, now: float, **columns: Any) -> None:
        if "done" in columns and others:
            _do(store, others.pop())
        change(self, run, epoch, now, **columns)

    with store.run("job", part=(0, 2)) as run:
        assert len(list(run.each(range(100)))) > 30
        monkeypatch.setattr(type(catalog), "change_run", slowly)
    assert others == []
    whole = store.find("job")
    assert (whole.status, whole.progress.done) == ("completed", 100)


def test_two_parts_that_end_at_once(store: wc.Store) -> None:
    """Each sees only itself ended when it counts: the batch is completed all the same."""
    from concurrent.futures import ThreadPoolExecutor

    for number in range(10):

        def work(index: int, name: str = f"job {number}") -> int:
            with store.run(name, part=(index, 4)) as run:
                return len(list(run.each(range(40))))

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(work, range(4))) == 40
        assert store.find(f"job {number}").status == "completed"
