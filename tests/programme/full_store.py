"""A small store that holds one of everything a store can hold, and all that can be read from it.

The job that made it can be run again: `finish` ends what was left undone. Its last run was killed for real, in the
middle of an item, so an owner file, a list of running items and a log of SQLite lie there as after a power-on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import waycairn as wc
from waycairn.codec import decode
from waycairn.codec.keys import Key, keys_of, single_key
from waycairn.errors import WaycairnError
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, RunFilter, RunRecord, Stored
from waycairn.store import StoreCore

__all__ = ["Reading", "build", "finish", "outcome", "read"]

STORE = "store"
LARGE = 140_000
"""More than rides inline in the catalog: goes to a pack."""
ITEMS = 9
FATAL = 7
"""The item that the process dies in, while it computes the next one."""


def noise(number: int, size: int) -> bytes:
    """Bytes that cannot be compressed and are the same in every run."""
    return hashlib.shake_128(b"%d" % number).digest(size)


def text(number: int, size: int) -> str:
    """Text that compresses well and differs with its number."""
    return " ".join(f"{number} and {place * number % 7919}" for place in range(size // 10))


def numbers(page: int) -> Any:
    """16 bits each, of few high bytes; from page to page a few low bits are others."""
    found = (np.frombuffer(noise(4, 20_000), np.uint8).astype("<u2") & 0x0FFF) | 0x3C00
    found[page::50] ^= 1
    return found


def comparable(value: Any) -> Any:
    """An array, which is no truth when it is compared, as what it is made of."""
    return (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


# -- the job ---------------------------------------------------------------------------------------------------------


def save_values(store: wc.Store) -> None:
    for page in range(4):
        store.save("cursor", {"page": page, "where": (1, b"two", 3.5)}, tags=["small"], description=f"page {page}")
    store.save("table", {"rows": [text(number, 3000) for number in range(9)]})
    store.save("blob", noise(1, LARGE))
    store.save("blob", noise(2, LARGE))
    for page in range(2):  # as planes, and as the difference to it
        store.save("numbers", numbers(page), compress="delta")
    first = store.checkpoints("cursor")[-1]
    store.pin(first.id)


def fold(store: wc.Store) -> None:
    with store.run(
        "fold", fingerprint={"model": "m-7"}, tags=["nightly"], metadata={"who": "me"}, pace="2 items"
    ) as run:
        state = run.state({"sum": 0, "seen": []})
        out = run.output("fold.txt", append=True)
        report = run.output("report.txt")
        run.step("index", text, 3, 4000, returns=str)
        for number in run.each(range(1, ITEMS + 1), key=lambda number: ("item", number)):
            state["sum"] += number
            state["seen"].append(text(number, 300))
            out.write(f"{number}\n" * 9)
            if number == 5:
                run.step("look up", noise, 5, 300, returns=bytes)
                run.checkpoint(
                    kind="milestone", tags=["five"], description="half of it", metadata={"at": 5}, iteration=5
                )
        report.write(f"{state['sum']}\n")
        run.save("note", {"late": True}, ttl=86400.0)
        run.complete({"sum": state["sum"]})


def batch(store: wc.Store) -> None:
    with store.run("batch", pace="3 items") as run:
        for item in run.items([f"photo {number}" for number in range(10)]):
            with item:
                if item.value in {"photo 2", "photo 5"}:
                    raise ValueError(f"bad {item.value}")
                item.result = {"size": len(item.value), "data": noise(len(item.value), 900)}


def clean(phase: wc.Run, count: int) -> list[int]:
    state = phase.state({"kept": []})
    for number in phase.each(range(count), name="numbers"):
        state["kept"].append(number * number)
    return list(state["kept"])


def phases(store: wc.Store) -> None:
    with store.run("phases", key="2026-11-21") as run:
        numbers = run.phase("clean", clean, 6)
        run.phase("count", lambda phase, numbers: phase.step("sum", sum, numbers, returns=int), numbers, returns=int)


def parts(store: wc.Store) -> None:
    for index in range(2):
        with store.run("parts", part=(index, 2)) as run:
            for _ in run.each(range(8)):
                pass


def neighbours(page: int) -> list[int]:
    return [found for found in (2 * page, 2 * page + 1) if found < 24]


def walk(store: wc.Store, *, stop: bool) -> None:
    """Left in the middle: what was computed and what was added wait in the store."""
    with store.run("walk", pace="2 items") as run:
        state = run.state({"sum": 0})
        out = run.output("walk.txt", append=True)
        pages = run.queue([1])
        for item in run.map(neighbours, pages, workers=1, order="input"):
            if stop and item.value == 9:
                break
            state["sum"] += item.value
            out.write(f"{item.value} {item.result}\n")
            pages.extend(item.result)


def measure(number: int, fatal: int) -> int:
    if fatal >= 0:
        # Long enough for each result to be told by itself; the last one is under way when the process dies.
        time.sleep(10.0 if number == fatal + 1 else 0.02)
    return number * number


def tally(store: wc.Store, *, fatal: int) -> None:
    """Killed in the middle. Its state is large, and each checkpoint of it shares most chunks with the one before."""
    with store.run("tally", pace="2 items") as run:
        state = run.state({"sum": 0, "blob": noise(3, LARGE), "seen": [text(n, 4000) for n in range(6)]})
        for item in run.map(lambda number: measure(number, fatal), range(ITEMS), workers=1, order="input"):
            if item.value == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            state["sum"] += item.result
            state["seen"].append(text(item.value, 5000))
            if item.value in {1, 3}:
                run.checkpoint(force=True, metadata={"at": item.value})


def _job(folder: Path) -> None:
    os.chdir(folder)
    with wc.open(STORE) as store:
        for run in (save_values, fold, batch, phases, parts):
            run(store)
        walk(store, stop=True)
        tally(store, fatal=FATAL)


def build(folder: Path) -> None:
    """Make the store, in a process that dies in its last run."""
    folder.mkdir(parents=True)
    child = os.fork()
    if child == 0:
        try:
            _job(folder)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, f"the job was to be killed, and ended with {code}"


def finish(store: wc.Store) -> None:
    """Run the job again, to its end, in its folder."""
    for run in (fold, batch, phases, parts):
        run(store)
    walk(store, stop=False)
    tally(store, fatal=-2)


# -- all that can be read from it ------------------------------------------------------------------------------------


class Reading:
    """What was found, record by record, and what was refused on the way."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], dict[str, Any]] = {}
        """By table and by what it is there; `value` is what was saved."""
        self.refused: list[str] = []

    def note(self, table: str, of: str, **fields: Any) -> None:
        self.records.setdefault((table, of), {}).update(fields)

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """What is refused here by one of our errors spares the other parts."""
        try:
            yield
        except WaycairnError as error:
            self.refused.append(f"{type(error).__name__}: {error}")


def read(core: StoreCore) -> Reading:
    """Everything, each value loaded."""
    found = Reading()
    with found.part():
        for run in core.catalog.list_runs(RunFilter(roots_only=False)):
            with found.part():
                _read_run(core, run, found)
    with found.part():
        for record in core.catalog.list_checkpoints(CheckpointFilter()):
            fields = {name: getattr(record.checkpoint, name) for name in _OF_CHECKPOINT}
            managed = {name: getattr(record, name) for name in ("epoch", "created", "pinned", "status", "damage")}
            found.note("checkpoints", record.id, **fields, **managed)
            _load(core, record.checkpoint.stored, ("checkpoints", record.id), found)
    return found


_OF_CHECKPOINT = ("kind", "role", "iteration", "tags", "description", "metadata", "expires", "reason", "outputs")
_OF_RUN = (
    *("root", "parent", "name", "key", "status", "epoch", "sequence", "owner", "lease_until", "fingerprint", "task"),
    *("tags", "metadata", "launch", "progress", "error", "created", "updated", "entered"),
)


def _load(core: StoreCore, stored: Stored, of: tuple[str, str], found: Reading) -> None:
    with found.part():
        encoded = core.load_encoded(stored)
        views = encoded.buffers
        found.note(*of, value=comparable(decode(encoded.document, lambda number: views[number], strict=False)))


def _load_parts(core: StoreCore, stored: Stored) -> list[Any]:
    return [part and part.load(strict=False) for part in core.load_results(stored)]


def _read_run(core: StoreCore, run: RunRecord, found: Reading) -> None:
    catalog = core.catalog
    found.note("runs", run.id, **{name: getattr(run, name) for name in _OF_RUN})
    for step in catalog.list_steps(run.id):
        of = f"{run.id} {step.step.scope} {step.step.name}"
        found.note("steps", of, sequence=step.sequence, arguments=step.step.arguments, took=step.step.took)
        _load(core, step.step.result, ("steps", of), found)
    for path, output in catalog.outputs(run.id).items():
        found.note("outputs", f"{run.id} {path}", length=output.length)
    for failed in catalog.failures(run.id):
        with found.part():
            fields = {name: getattr(failed, name) for name in ("attempts", "first", "last", "poison", "error")}
            found.note("failures", f"{run.id} {failed.loop} {single_key(failed.key, failed.digest)!r}", **fields)
    for loop, count in catalog.loops(run.id).items():
        with found.part():
            found.note("items", f"{run.id} {loop}", count=count, order=list(_read_items(core, run.id, loop, found)))
    for name in catalog.waiting(run.id):
        _read_waiting(core, run.id, name, found)


def _read_items(core: StoreCore, run: RunId, loop: str, found: Reading) -> Iterator[Key]:
    for done in core.catalog.done_items(run, loop):
        keys = keys_of(done)
        results = _load_parts(core, done.results) if done.results else [None] * len(keys)
        for key, result in zip(keys, results, strict=True):
            found.note("items", f"{run} {loop} {key!r}", value=result)
        yield from keys


def _read_waiting(core: StoreCore, run: RunId, name: str, found: Reading) -> None:
    for waiting in core.catalog.computed(run, name):
        with found.part():
            _load(
                core, waiting.result, ("computed", f"{run} {name} {single_key(waiting.key, waiting.digest)!r}"), found
            )
    with found.part():
        added = [value for stored in core.catalog.queued(run, name) for value in _load_parts(core, stored)]
        found.note("queued", f"{run} {name}", order=added)
        for value in added:
            found.note("queued", f"{run} {name} {value!r}")


def outcome(store: wc.Store) -> dict[str, Any]:
    """How the job ended, but for ids and times: what a user gets."""
    told: dict[str, Any] = {}
    for name in ("cursor", "table", "blob"):
        told[name] = store.latest(name)
    for name in ("fold.txt", "report.txt", "walk.txt"):
        told[name] = Path(name).read_text()
    for name, loop in (("fold", "items"), ("batch", "items"), ("walk", "items"), ("tally", "items")):
        run = store.find(name)
        newest = store.core.catalog.latest_checkpoint(run.id, role="state")
        results = {
            str(key): part and part.load()
            for block in store.core.catalog.done_items(run.id, loop)
            for key, part in zip(
                keys_of(block), store.core.load_results(block.results) if block.results else (), strict=False
            )
        }
        told[name] = (run.status, run.progress.done, results, newest and comparable(store.load(newest.id)))
    return told
