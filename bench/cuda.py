"""A training on a GPU whose state is saved behind it: how long the host stands still, how much longer the steps take, and
how fast the state gets durable. Beside torch.distributed.checkpoint.async_save with a reused pinned stager, and torch.save.

A state of 8 GiB (1 GiB with --quick): weights and the two moments of AdamW, in 16 layers. All work on the same model in
turn. `stall_s`: what the host waits in the call, and before the step of the optimizer where the contender must be waited
for there. `delta_s`: how much longer STEPS steps with a save take than without, on the device, the call included.
`persist_gb_s`: bytes by the time from the call until the save is durable.
"""

import os
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measuring import arguments, median, report, scratch, skip

import waycairn as wc
from waycairn.work.request import Request

LAYERS = 16
STEPS = 8
BATCH = 4096


class Job:
    def __init__(self, device: str, size: int) -> None:
        import torch

        self.torch = torch
        self.device = device
        width = int((size / (3 * LAYERS * 4)) ** 0.5) // 64 * 64
        self.model = torch.nn.Sequential(
            *(torch.nn.Linear(width, width, bias=False, device=device) for _ in range(LAYERS))
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, fused=True)
        self.inputs = torch.randn(min(BATCH, width), width, device=device)
        self.size = 3 * 4 * sum(weight.numel() for weight in self.model.parameters())
        self.step()

    def step(self, before_change: Callable[[], float] = lambda: 0.0) -> float:
        """Gives the seconds that the contender needed before the weights may change."""
        self.optimizer.zero_grad()
        with self.torch.autocast(self.device, dtype=self.torch.bfloat16):
            loss = self.model(self.inputs).square().mean()
        loss.backward()
        waited = before_change()
        self.optimizer.step()
        return waited

    def synchronize(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def state(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}


class Ours:
    def __init__(self, stack: ExitStack, job: Job, place: Path) -> None:
        store = stack.enter_context(wc.open(place))
        run = stack.enter_context(store.run("bench", progress="off"))
        run.track(model=job.model, optimizer=job.optimizer)
        self.cutter = run._execution.cutter
        self.cutter.behind.reserve(self.cutter.state)

    def save(self, _number: int) -> None:
        self.saving = self.cutter.take_behind(Request(kind="model_state"))

    def before_change(self) -> float:
        return 0.0

    def finish(self) -> None:
        self.saving.result()


class Dcp:
    def __init__(self, stack: ExitStack, job: Job, place: Path) -> None:
        import torch.distributed.checkpoint as dcp
        from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

        self.dcp, self.job, self.place = dcp, job, place
        self.stager = DefaultStager(StagingOptions(use_shared_memory=False))
        stack.callback(self.stager.close)

    def save(self, number: int) -> None:
        writer = self.dcp.FileSystemWriter(self.place / str(number % 2), sync_files=True, overwrite=True)
        self.response = self.dcp.async_save(self.job.state(), storage_writer=writer, async_stager=self.stager)
        self.is_staged = False

    def before_change(self) -> float:
        """It copies behind the caller; the weights may change once it has."""
        began = time.perf_counter()
        if not self.is_staged:
            self.response.staging_completion.result()
            self.is_staged = True
        return time.perf_counter() - began

    def finish(self) -> None:
        self.response.upload_completion.result()


class TorchSave:
    def __init__(self, _stack: ExitStack, job: Job, place: Path) -> None:
        self.job, self.place = job, place

    def save(self, number: int) -> None:
        with (self.place / f"{number % 2}.pt").open("wb") as file:
            self.job.torch.save(self.job.state(), file)
            file.flush()
            os.fsync(file.fileno())

    def before_change(self) -> float:
        return 0.0

    def finish(self) -> None:
        """Done already."""


CONTENDERS: dict[str, Any] = {"ours": Ours, "dcp.async_save": Dcp, "torch.save": TorchSave}


def seconds_of(job: Job, contender: Any = None, number: int = 0) -> dict[str, float]:
    """Of some steps, with a save before them if a contender is given."""
    job.synchronize()
    began = time.perf_counter()
    if contender is not None:
        contender.save(number)
    stall = time.perf_counter() - began
    for _ in range(STEPS):
        stall += job.step(contender.before_change) if contender else job.step()
    job.synchronize()
    steps = time.perf_counter() - began
    if contender is not None:
        contender.finish()
    return {"stall": stall, "steps": steps, "durable": time.perf_counter() - began}


def compare(device: str, size: int, rounds: int, names: list[str]) -> None:
    with ExitStack() as stack:
        warnings.simplefilter("ignore")  # it is a single process, says dcp
        job = Job(device, size)
        contenders = {name: CONTENDERS[name](stack, job, scratch(f"cuda-{name}")) for name in names}
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        first = {}
        for number in range(rounds + 1):
            for name, contender in contenders.items():
                plain = seconds_of(job)["steps"]
                found = seconds_of(job, contender, number)
                found["delta"] = found["steps"] - plain
                if number:
                    taken[name].append(found)
                else:
                    first[name] = found["stall"]
        for name in names:
            middle = {key: median([found[key] for found in taken[name]]) for key in ("stall", "delta", "durable")}
            report(
                "cuda",
                contender=name,
                gib=round(job.size / 2**30, 2),
                step_s=round(plain / STEPS, 4),
                stall_s=round(middle["stall"], 4),
                first_stall_s=round(first[name], 4),
                delta_s=round(middle["delta"], 4),
                persist_gb_s=round(job.size / 1e9 / middle["durable"], 2),
            )


def main() -> None:
    try:
        import torch
    except ImportError:
        skip("cuda", "torch is not installed")
        return
    if not torch.cuda.is_available():
        skip("cuda", "no CUDA device on this machine")
        return
    chosen = arguments()
    names = [name for name in CONTENDERS if not chosen.only or name in chosen.only.split(",")]
    compare("cuda", (1 if chosen.quick else 8) << 30, chosen.rounds, names)


if __name__ == "__main__":
    main()
