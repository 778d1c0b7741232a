"""What a store must hold after each act, as plain values; and what it does hold, in the same form.

An act is done by the library and planned here: the plan lists all that an outsider may find if the process dies
somewhere in the act, from nothing of it to all of it.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import waycairn as wc
from waycairn.codec.keys import keys_of, single_key
from waycairn.errors import CheckpointPinned, RunNotCompleted, RunNotFound
from waycairn.model.records import CheckpointFilter, CheckpointRecord, RunFilter, RunRecord

__all__ = ["JOBS", "Act", "Clear", "Delete", "Discard", "Facts", "Pin", "Remove", "Save", "Work", "observe"]

Facts = dict[str, Any]
"""`values`: name to [value, is pinned], oldest first. `runs`: name to what `fresh_run` has."""
Told = Callable[[str], None]
"""Called when something was acknowledged."""
JOBS = ("each", "items", "map")
FINISHED = frozenset({"completed", "discarded"})


class Act(Protocol):
    def perform(self, store: wc.Store, told: Told) -> None: ...

    def plan(self, facts: Facts) -> Iterator[Facts]:
        """What may be there, in the order in which it comes."""
        ...


def content(number: int) -> Any:
    """A value, some of them too large to ride in the catalog."""
    return {"number": number, "data": hashlib.shake_128(b"%d" % number).digest(150_000 if number % 5 == 4 else 40)}


def changed(facts: Facts) -> Facts:
    return copy.deepcopy(facts)


# -- plain values ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Save:
    name: str
    number: int

    def perform(self, store: wc.Store, told: Told) -> None:
        store.save(self.name, content(self.number))
        told("all")

    def plan(self, facts: Facts) -> Iterator[Facts]:
        yield facts
        after = changed(facts)
        after["values"].setdefault(self.name, []).append([self.number, False])
        yield after


@dataclass(frozen=True)
class Pin:
    """Or let it go again."""

    name: str
    place: int
    pinned: bool

    def perform(self, store: wc.Store, told: Told) -> None:
        found = _value_at(store, self.name, self.place)
        if found is not None:
            store.pin(found.id, self.pinned)
        told("all")

    def plan(self, facts: Facts) -> Iterator[Facts]:
        yield facts
        after = changed(facts)
        if kept := after["values"].get(self.name):
            kept[self.place % len(kept)][1] = self.pinned
        yield after


@dataclass(frozen=True)
class Delete:
    name: str
    place: int

    def perform(self, store: wc.Store, told: Told) -> None:
        found = _value_at(store, self.name, self.place)
        if found is not None:
            with suppress(CheckpointPinned):
                store.delete(found.id)
        told("all")

    def plan(self, facts: Facts) -> Iterator[Facts]:
        yield facts
        after = changed(facts)
        kept = after["values"].get(self.name)
        if kept and not kept[self.place % len(kept)][1]:
            del kept[self.place % len(kept)]
        yield after


@dataclass(frozen=True)
class Clear:
    name: str

    def perform(self, store: wc.Store, told: Told) -> None:
        with suppress(RunNotFound):
            store.clear(self.name)
        told("all")

    def plan(self, facts: Facts) -> Iterator[Facts]:
        yield facts
        after = changed(facts)
        if self.name in after["values"]:
            after["values"][self.name] = [one for one in after["values"][self.name] if one[1]]
        yield after


def _value_at(store: wc.Store, name: str, place: int) -> CheckpointRecord | None:
    with suppress(RunNotFound):
        found = list(reversed(store.checkpoints(name)))
        return found[place % len(found)] if found else None
    return None


# -- runs ------------------------------------------------------------------------------------------------------------


class Failed(Exception):
    """Of a job's own making."""


def fresh_run() -> Facts:
    return {"status": "running", "done": {}, "failed": [], "state": [], "output": "", "steps": [], "marks": []}


def line(number: int) -> str:
    return f"{number} and {number * number}\n"


def square(number: int, bad: frozenset[int] = frozenset()) -> int:
    if number in bad:
        raise Failed(f"bad {number}")
    return number * number


@dataclass(frozen=True)
class Work:
    """Enter a run, new or not, do its items, and leave it in some way."""

    job: str
    """How its items are done: `each`, `items` or `map`."""
    count: int
    bad: frozenset[int] = frozenset()
    stop: int = -1
    """The item at which it is left."""
    how: str = "break"
    fresh: bool = False

    def perform(self, store: wc.Store, told: Told) -> None:
        with suppress(Failed, RunNotCompleted):
            for _ in self.walk(store, told):
                pass
        told("all")

    def walk(self, store: wc.Store, told: Told) -> Iterator[int]:
        """Yields in the midst of each item."""
        with store.run(self.job, pace="every item", fresh=self.fresh) as run:
            state = {"seen": []} if self.job == "items" else run.state({"seen": []})
            out = run.output(f"{self.job}.{run.id}.txt", append=True)
            body = _Body(run, state["seen"], out, told)
            if self.job == "items":
                yield from self._walk_items(run, body)
                return
            for value in self._values(run):
                told(f"items {len(body.seen)}")
                if self._stops(value):
                    break
                body.do(value)
                if value in self.bad:
                    raise Failed(f"bad {value}")
                yield value

    def _values(self, run: wc.Run) -> Iterator[int]:
        if self.job == "each":
            yield from run.each(range(self.count))
            return
        compute = functools.partial(square, bad=self.bad)
        for item in run.map(compute, range(self.count), workers=1, order="input"):
            yield item.value

    def _walk_items(self, run: wc.Run, body: _Body) -> Iterator[int]:
        for item in run.items(range(self.count)):
            if self._stops(item.value):
                break
            with item:
                body.out.write("bad\n")
                item.result = square(item.value, self.bad)
                body.out.cut_back(body.out.length - 4)
                body.do(item.value)
                yield item.value

    def _stops(self, number: int) -> bool:
        if number == self.stop and self.how == "raise":
            raise Failed(f"stopped at {number}")
        return number == self.stop

    def plan(self, facts: Facts) -> Iterator[Facts]:
        yield facts
        now = changed(facts)
        run = now["runs"].get(self.job)
        if self.fresh and run is not None and run["status"] not in FINISHED:
            return
        if run is None or run["status"] == "discarded" or self.fresh:
            run = now["runs"][self.job] = fresh_run()
        run["status"] = "running"
        yield changed(now)
        yield from self._plan_items(now, run)

    def _plan_items(self, now: Facts, run: Facts) -> Iterator[Facts]:
        left, cut = "", run["failed"]
        for number in range(self.count):
            if number in run["done"]:
                continue
            fails = number in self.bad and self.job == "each"
            has_step = number % 4 == 1 and number not in run["steps"] and number != self.stop
            if has_step and (fails or number not in self.bad):
                run["steps"].append(number)
                # A step is committed by itself, items that failed before it with the next cut.
                failed, run["failed"] = run["failed"], cut
                yield changed(now)
                run["failed"] = failed
                yield changed(now)
            if number == self.stop or fails:
                left = "failed" if fails or self.how == "raise" else "interrupted"
                break
            if number in self.bad:
                run["failed"] = sorted({*run["failed"], number})
            else:
                self._note_done(run, number)
                cut = run["failed"]
            yield changed(now)
        run["status"] = left if left == "failed" else "partial" if run["failed"] else left or "completed"
        yield now

    def _note_done(self, run: Facts, number: int) -> None:
        run["done"][number] = None if self.job == "each" else square(number)
        run["failed"] = [one for one in run["failed"] if one != number]
        run["output"] += line(number)
        if self.job != "items":
            run["state"].append(number)
        if number % 3 == 2:
            run["marks"].append([str(number), None if self.job == "items" else list(run["state"])])


@dataclass
class _Body:
    """What is done with each item."""

    run: wc.Run
    seen: list[int]
    out: Any
    told: Told

    def do(self, number: int) -> None:
        self.seen.append(number)
        self.out.write(line(number))
        if number % 4 == 1:
            self.run.step("look", square, number, returns=int)
            self.told(f"step {number}")
        if number % 3 == 2:
            self.run.checkpoint(kind="mark", tags=[str(number)], ttl=TTL)


TTL = 1000.0


@dataclass(frozen=True)
class Discard:
    job: str

    def perform(self, store: wc.Store, told: Told) -> None:
        with suppress(RunNotFound):
            store.discard(self.job)
        told("all")

    def plan(self, facts: Facts) -> Iterator[Facts]:
        yield facts
        after = changed(facts)
        if self.job in after["runs"]:
            after["runs"][self.job]["status"] = "discarded"
        yield after


@dataclass(frozen=True)
class Remove:
    job: str

    def perform(self, store: wc.Store, told: Told) -> None:
        with suppress(RunNotFound):
            store.remove(self.job)
        told("all")

    def plan(self, facts: Facts) -> Iterator[Facts]:
        yield facts
        after = changed(facts)
        after["runs"].pop(self.job, None)
        yield after


# -- what there is ---------------------------------------------------------------------------------------------------


def observe(store: wc.Store) -> Facts:
    """All of it, read back and checked against itself."""
    catalog = store.core.catalog
    facts: Facts = {"values": {}, "runs": {}}
    for run in catalog.list_runs(RunFilter()):
        if run.key == "value":
            kept = catalog.list_checkpoints(CheckpointFilter(run=run.id))
            facts["values"][run.name] = [[_number(store.load(one.id)), one.pinned] for one in reversed(kept)]
        elif catalog.find_run(None, run.name, run.key) == run:
            facts["runs"][run.name] = _observe_run(store, run)
    return facts


def _number(value: Any) -> int:
    assert value == content(value["number"]), "a value came back otherwise"
    return int(value["number"])


def _observe_run(store: wc.Store, run: RunRecord) -> Facts:
    catalog = store.core.catalog
    done = dict(_done(store, run))
    failed = sorted(single_key(one.key, one.digest) for one in catalog.failures(run.id))
    assert (run.progress.done, run.progress.failed) == (len(done), len(failed)), "counts are of the same cut"
    for waiting in catalog.computed(run.id, "items"):
        key = single_key(waiting.key, waiting.digest)
        assert key not in done, "computed, or folded"
        assert store.core.load(waiting.result) == square(key)
    newest = catalog.latest_checkpoint(run.id, role="state")
    state = store.load(newest.id) if newest else None
    marks = list(reversed(catalog.list_checkpoints(CheckpointFilter(run=run.id, kind="mark"))))
    assert all(one.checkpoint.expires == one.created + TTL for one in marks)
    return {
        "status": run.status.value,
        "done": done,
        "failed": failed,
        "state": state["seen"] if state else [],
        "output": "".join(_committed(one.path, one.length) for one in catalog.outputs(run.id).values()),
        "steps": [store.core.load(one.step.result) ** 0.5 for one in catalog.list_steps(run.id)],
        "marks": [[one.checkpoint.tags[0], _seen(store.load(one.id))] for one in marks],
    }


def _seen(state: Any) -> Any:
    return state and state["seen"]


def _done(store: wc.Store, run: RunRecord) -> Iterator[tuple[Any, Any]]:
    for block in store.core.catalog.done_items(run.id, "items"):
        keys = keys_of(block)
        results = store.core.load_results(block.results) if block.results else [None] * len(keys)
        for key, result in zip(keys, results, strict=True):
            yield key, result and result.load()


def _committed(path: str, length: int) -> str:
    text = Path(path).read_bytes()
    assert len(text) >= length, "a committed output is there"
    return text[:length].decode()
