"""`run.queue`: an input that grows while it runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mapped
import waycairn as wc
from killing import sweep


@pytest.fixture
def store(tmp_path: Path) -> Iterator[wc.Store]:
    with wc.open(tmp_path / "store") as opened:
        yield opened


def links(page: int) -> list[int]:
    """A small web: every page is reached from 1, most of them from several."""
    return [found for found in (page * 2, page * 3 % 97, page + 40) if 0 < found < 120]


def reachable(start: int) -> set[int]:
    met, waiting = {start}, [start]
    while waiting:
        for found in links(waiting.pop()):
            if found not in met:
                met.add(found)
                waiting.append(found)
    return met


def _crawl(run: wc.Run, kind: str) -> list[int]:
    """Every page that is visited, in order."""
    pages = run.queue([1])
    visited = []
    if kind == "map":
        for item in run.map(links, pages, workers=4):
            visited.append(item.value)
            pages.extend(item.result)
    elif kind == "items":
        for item in run.items(pages):
            with item:
                visited.append(item.value)
                pages.extend(links(item.value))
    elif kind == "batch":
        for batch in run.each(pages, batch=4):
            for page in batch:
                visited.append(page)
                pages.extend(links(page))
    else:
        for page in run.each(pages):
            visited.append(page)
            pages.extend(links(page))
    return visited


KINDS = ("map", "items", "batch", "each")


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_is_found_is_done_once(store: wc.Store, kind: str) -> None:
    """Known ones are ignored; it ends when nothing is left; a second entry finds nothing to do."""
    with store.run("crawl") as run:
        visited = _crawl(run, kind)
    assert sorted(visited) == sorted(reachable(1))
    assert len(visited) > 60
    assert store.find("crawl").status == "completed"
    with store.run("crawl") as run:
        assert _crawl(run, kind) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_added_is_committed_with_the_item_that_added_it(tmp_path: Path, kind: str) -> None:
    """Killed at every line of the crawl: resumed, it reaches every page, and folds each exactly once."""

    def program(place: Path) -> Any:
        with wc.open(place / "store") as store, store.run("crawl", pace="3 items") as run:
            out = run.output(place / "visited", append=True)
            pages = run.queue([1])
            if kind == "map":
                for item in run.map(_few_links, pages, workers=2, order="input"):
                    out.write(f"{item.value}\n")
                    pages.extend(item.result)
            elif kind == "items":
                for item in run.items(pages):
                    with item:
                        out.write(f"{item.value}\n")
                        pages.extend(_few_links(item.value))
            elif kind == "batch":
                for batch in run.each(pages, batch=2):
                    for page in batch:
                        out.write(f"{page}\n")
                        pages.extend(_few_links(page))
            else:
                for page in run.each(pages):
                    out.write(f"{page}\n")
                    pages.extend(_few_links(page))
        return sorted((place / "visited").read_text().split())

    done = sweep(program, tmp_path, stride=5)
    assert done.kills >= 6


def _few_links(page: int) -> list[int]:
    return [found for found in (page * 2, page * 3) if found < 30]


def test_what_a_failed_item_added_was_never_added(store: wc.Store) -> None:
    """It is added when the item succeeds, or by another item that finds it."""
    with store.run("other") as run:
        pages = run.queue(["a", "c"])
        seen = []
        for item in run.items(pages):
            with item:
                seen.append(item.value)
                if item.value in {"a", "c"}:
                    assert pages.add("b")
                if item.value == "a":
                    raise ValueError("after adding")
        assert seen == ["a", "c", "b"]
    for fails in (True, False):
        with store.run("crawl") as run:
            pages = run.queue(["a"])
            seen = []
            for item in run.items(pages):
                with item:
                    seen.append(item.value)
                    if item.value == "a":
                        assert pages.add("b")
                        assert not pages.add("b")
                        if fails:
                            raise ValueError("after adding")
            assert seen == (["a"] if fails else ["a", "b"])
    assert store.find("crawl").progress.done == 2


def test_what_an_item_added_that_was_left_open_was_never_added(store: wc.Store) -> None:
    """`break` in a fold, too; the result is not computed again."""
    with store.run("crawl") as run:
        pages = run.queue([1])
        for _ in run.map(links, pages):
            pages.add(999)
            break
    with store.run("crawl") as run:
        pages = run.queue([1])
        assert [item.value for item in run.map(links, pages)] == [1]


@dataclass
class Page:
    url: str
    depth: int


def test_typed_values_with_keys(store: wc.Store) -> None:
    """Known by their key, whatever else differs; they come back as their type."""

    def crawl(stop_after: int | None) -> list[str]:
        met = []
        with store.run("crawl") as run:
            pages = run.queue([Page("/", 0)], key="url", returns=Page)
            for page in run.each(pages):
                assert isinstance(page, Page)
                met.append(page.url)
                if page.depth < 3:
                    pages.extend([Page(f"/{page.depth}", page.depth + 1), Page("/", 99)])
                if stop_after is not None and len(met) == stop_after:
                    run.checkpoint(force=True)
                    stop_after = 0
                elif stop_after == 0:
                    break
        return met

    assert crawl(1) == ["/", "/0"]
    assert crawl(None) == ["/0", "/1", "/2"]


def test_a_queue_and_its_seed_may_overlap(store: wc.Store) -> None:
    """What was added before the seed reaches it is done once."""
    with store.run("crawl") as run:
        pages = run.queue(range(10))
        met = []
        for page in run.each(pages):
            met.append(page)
            if page == 0:
                assert pages.extend([5, 11]) == 2
        assert met == [*range(5), *range(6, 10), 5, 11]


def test_only_the_owner_adds(store: wc.Store) -> None:
    """A worker is told to return what it found."""
    errors = []
    with store.run("crawl") as run:
        pages = run.queue([1])

        def work() -> None:
            try:
                pages.add(2)
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert "by a worker" in errors[0]
        with pytest.raises(ValueError, match="used twice"):
            run.queue([2])
        with pytest.raises(TypeError, match="state"):
            pages.add(object())  # type: ignore[arg-type]


def test_it_waits_for_what_is_on_its_way(store: wc.Store) -> None:
    """Slow items that add at the very end: others do not take the empty queue for the end."""

    def slow(number: int) -> int:
        time.sleep(0.05)
        return number

    with store.run("crawl") as run:
        pages = run.queue([1])
        met = []
        for item in run.map(slow, pages, workers=4):
            met.append(item.result)
            if item.result < 6:
                pages.add(item.result + 1)
        assert met == [1, 2, 3, 4, 5, 6]


def test_in_an_async_run(tmp_path: Path) -> None:
    """`async for` over a map of a queue, and over each."""

    async def job() -> None:
        with wc.open(tmp_path / "store") as store:
            async with store.run("crawl") as run:
                pages = run.queue([1])
                met = []
                async for item in run.map(mapped.square_async, pages, workers=4):
                    met.append(item.value)
                    if item.value < 5:
                        pages.add(item.value + 1)
                assert met == [1, 2, 3, 4, 5]
                others = run.queue([1], name="others")
                met = []
                async for number in run.each(others, name="each"):
                    met.append(number)
                    if number < 5:
                        others.add(number + 1)
                assert met == [1, 2, 3, 4, 5]

    asyncio.run(job())


def test_a_coroutine_adds_nothing_itself(tmp_path: Path) -> None:
    """It runs beside the bodies: which of them it belongs to could not be told."""

    async def job() -> None:
        with wc.open(tmp_path / "store") as store:
            async with store.run("crawl") as run:
                pages = run.queue([1])

                async def fetch(page: int) -> int:
                    pages.add(page + 1)
                    return page

                report = await run.map(fetch, pages).drain()
                assert (report.completed, report.failed) == (0, 1)
            async with store.run("crawl") as run:
                (failure,) = run.ledger.failures()
                assert "by a worker" in failure.message

    asyncio.run(job())


def test_an_open_item_at_the_end_is_noticed(store: wc.Store) -> None:
    """It may add to the queue yet: ending there would lose what it adds."""
    with pytest.raises(wc.errors.ItemsOverlap, match="may add to it"), store.run("crawl") as run:
        for item in run.items(run.queue([1])):
            assert item.value == 1
