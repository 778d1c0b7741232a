"""Tensors saved behind the loop, saved durably, saved again, loaded cold: beside torch's own, and the raw floor, in one run.

    python bench/tensors.py [--mib 1024] [--rounds 5] [--only stall,durable,small,again,load,loop] [--dir DIR]

stall     how long a training loop stands still for a save behind it, how long until it is durable, and how much slower
          its steps are meanwhile: `store.save(wait=False)` beside `dcp.async_save` (thread). `first` is the first save.
durable   `store.save`, `dcp.save` and `torch.save` (both flushed), and the same bytes written raw (preallocated, O_DIRECT,
          two threads, flushed): 64 tensors; `small`: 3,000 of 64 KiB.
again     bytes of a second save, 6 of 64 tensors changed.
load      into existing tensors, pages dropped first.
loop      a loop with a state of a quarter of --mib, saved at the automatic pace, beside the bare loop.
Prints a line of JSON for each; times in seconds, medians; ratios are ours over theirs, of the same run.
"""

import functools
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arrays import MIB, drop, floor_write, warm_buffer
from measuring import arguments, median, report, scratch, skip

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

try:
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
except ImportError:
    skip("tensors", "torch is not installed (pip install torch==2.13.0)")
    raise SystemExit from None

import waycairn as wc  # noqa: E402

Tensors = dict[str, torch.Tensor]


def big(mib: int) -> Tensors:
    return {f"w{number:02}": torch.randn(mib * MIB // 64 // 4) for number in range(64)}


def small() -> Tensors:
    return {f"w{number:04}": torch.randn(16 * 1024) for number in range(3000)}


def size_of(state: Tensors) -> int:
    return sum(tensor.nbytes for tensor in state.values())


def timed(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def flush_tree(place: Path) -> None:
    for path in [place, *place.rglob("*")]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def bytes_in(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def flushed_dcp(state: Tensors, place: Path) -> None:
    dcp.save(state, checkpoint_id=place)
    flush_tree(place)


def flushed_torch(state: Tensors, place: Path) -> None:
    place.mkdir()
    torch.save(state, place / "model.pt")
    flush_tree(place)


class Bench:
    def __init__(self) -> None:
        options = arguments()
        self.mib = 1024 if options.mib == 128 else options.mib
        self.rounds = options.rounds
        self.place = scratch("tensors")
        self.stores = 0

    def fresh(self, name: str) -> Path:
        path = self.place / name
        shutil.rmtree(path, ignore_errors=True)
        os.sync()
        return path

    def open(self) -> wc.Store:
        """A new store: nothing is found again."""
        self.stores += 1
        shutil.rmtree(self.place / f"store-{self.stores - 1}", ignore_errors=True)
        return wc.open(self.place / f"store-{self.stores}")

    # -- behind the loop ---------------------------------------------------------------------------------------------

    def stall(self) -> None:
        state = big(self.mib)
        matrix = torch.randn(512, 512)

        def step() -> float:
            started = time.perf_counter()
            for _ in range(8):
                torch.mm(matrix, matrix)
            for _ in range(2000):
                pass
            return time.perf_counter() - started

        def fly(begin: Callable[[], Any]) -> tuple[float, float, float]:
            os.sync()
            quiet = median([step() for _ in range(200)])
            started = time.perf_counter()
            flight = begin()
            stall = time.perf_counter() - started
            steps = []
            while not flight.done():
                steps.append(step())
            flight.result()
            return stall, time.perf_counter() - started, (sum(steps) / len(steps) / quiet) if steps else 1.0

        ours, theirs = [], []
        with self.open() as store:
            store.reserve(state)
            time.sleep(2)  # as long as a loop needs for its first steps
            for turn in range(self.rounds + 1):
                for tensor in state.values():
                    tensor.add_(0.001)
                ours.append(fly(lambda: store.save("model", state, wait=False)))
                theirs.append(fly(functools.partial(dcp.async_save, state, checkpoint_id=self.fresh("dcp"))))
                if turn % 2:
                    store.remove("model")
        figures: dict[str, Any] = {}
        for name, rows in (("ours", ours), ("dcp_async", theirs)):
            figures[name] = {
                "first_stall": round(rows[0][0], 4),
                "stall": round(median([row[0] for row in rows[1:]]), 4),
                "durable": round(median([row[1] for row in rows[1:]]), 3),
                "steps_slower": round(median([row[2] for row in rows[1:]]), 3),
            }
        ratios = {key: round(figures["ours"][key] / figures["dcp_async"][key], 3) for key in ("first_stall", "stall")}
        report("tensors.stall", mib=self.mib, **figures, ratio=ratios)

    # -- durable -----------------------------------------------------------------------------------------------------

    def durable(self, name: str, state: Tensors) -> None:
        pool = warm_buffer(-(-size_of(state) // 8192) * 8192)
        times: dict[str, list[float]] = {}
        for _ in range(self.rounds + 1):
            raw = self.fresh("raw")
            times.setdefault("floor", []).append(timed(functools.partial(floor_write, raw, pool)))
            raw.unlink()
            with self.open() as store:
                store.save("warm", 1)
                os.sync()
                times.setdefault("ours", []).append(timed(functools.partial(store.save, "model", state)))
            times.setdefault("dcp", []).append(timed(functools.partial(flushed_dcp, state, self.fresh("dcp"))))
            times.setdefault("torch_save", []).append(
                timed(functools.partial(flushed_torch, state, self.fresh("torch")))
            )
            self.fresh("torch")
        middle = {key: round(median(rows[1:]), 4) for key, rows in times.items()}
        ratios = {key: round(middle["ours"] / middle[key], 3) for key in ("floor", "dcp", "torch_save")}
        report(f"tensors.{name}", mib=size_of(state) // MIB, **middle, ratio=ratios)

    def again(self) -> None:
        state = big(self.mib)
        with self.open() as store:
            first = store.checkpoint(store.save("model", state)).checkpoint.stored.new_bytes
            for number in range(6):
                state[f"w{number * 10:02}"].add_(1)
            second = store.checkpoint(store.save("model", state)).checkpoint.stored.new_bytes
        place = self.fresh("dcp")
        dcp.save(state, checkpoint_id=place)
        peer = bytes_in(place)
        report("tensors.again", first=first, second=second, dcp_second=peer, ratio=round(second / peer, 4))

    def load(self) -> None:
        state = big(self.mib)
        target = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
        place = self.fresh("dcp")
        dcp.save(state, checkpoint_id=place)
        times: dict[str, list[float]] = {}
        with self.open() as store:
            saved = store.save("model", state)
            folder = Path(store.url)

            def ours() -> None:
                store.load(saved, into=target)

            def theirs() -> None:
                dcp.load(target, checkpoint_id=place)

            for _ in range(self.rounds + 1):
                for name, act, where in (("ours", ours, folder), ("dcp", theirs, place)):
                    for tensor in target.values():
                        tensor.zero_()
                    drop(where)
                    times.setdefault(name, []).append(timed(act))
                    assert all(torch.equal(target[key], state[key]) for key in list(state)[::9])
        middle = {key: round(median(rows[1:]), 4) for key, rows in times.items()}
        report("tensors.load", mib=self.mib, **middle, ratio=round(middle["ours"] / middle["dcp"], 3))

    # -- a whole loop ------------------------------------------------------------------------------------------------

    def loop(self) -> None:
        """Steps of a bare loop and of one that saves, in turns of some seconds, so that both see the same machine."""
        state = big(self.mib // 4)
        matrix = torch.randn(1024, 1024)

        def work(step: int) -> None:
            for _ in range(6):
                torch.mm(matrix, matrix)
            state[f"w{step % 64:02}"].add_(1e-3)

        seconds, turn = 240, 20
        with self.open() as store, store.run("loop", progress="off") as run:
            run.track(model=state, rng=True)
            bare = saving = 0.0
            began = time.perf_counter()
            marked = began
            for step in run.steps(10**9):
                work(step)
                if step % turn == turn - 1:
                    now = time.perf_counter()
                    saving += now - marked
                    for number in range(turn):
                        work(number)
                    marked = time.perf_counter()
                    bare += marked - now
                    if marked - began > seconds:
                        break
            saves = len(store.checkpoints("loop", role="state")), run.ledger.summary().completed
        report("tensors.loop", mib=self.mib // 4, bare=round(bare, 2), saving=round(saving, 2), kept_and_steps=saves,
               ratio=round(saving / bare, 4))  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29621", RANK="0", WORLD_SIZE="1")
    dist.init_process_group("gloo", rank=0, world_size=1)
    bench = Bench()
    parts: dict[str, Callable[[], None]] = {
        "stall": bench.stall,
        "durable": lambda: bench.durable("durable", big(bench.mib)),
        "small": lambda: bench.durable("small", small()),
        "again": bench.again,
        "load": bench.load,
        "loop": bench.loop,
    }
    wanted = arguments().only.split(",") if arguments().only else list(parts)
    for name in wanted:
        parts[name]()
    dist.destroy_process_group()
    shutil.rmtree(bench.place, ignore_errors=True)


if __name__ == "__main__":
    main()
