"""Training on a device: what is saved behind the job is the state at the cut, to the bit, however fast the job goes on.

The same on a device that is a thread, whose copies are late for certain, and on CUDA, whose copies are made late.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import waycairn as wc
from waycairn.codec.staging import Stager

torch = pytest.importorskip("torch", reason="torch is not installed")

from lanes import ThreadDevices, ThreadLane  # noqa: E402 - it imports torch


def slow_cuda() -> Any:
    """The real one, with copies that begin some hundred steps too late."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    from waycairn.codec.cuda import Cuda, CudaLane

    class SlowLane(CudaLane):
        def copy(self, sources: Any, target: Any) -> None:
            with torch.cuda.stream(self._stream):
                torch.cuda._sleep(50_000_000)  # cycles
            super().copy(sources, target)

    class SlowCuda(Cuda):
        def _make_lane(self, device: Any) -> Any:
            return SlowLane(device)

    torch.zeros(1, device="cuda")
    return SlowCuda()


def slow_thread() -> ThreadDevices:
    return ThreadDevices(ThreadLane(delay=0.01))


def train(place: Path, devices: Any, device: str, steps: int = 8) -> dict[str, Any]:
    """Saves at every step, and looks at each save once the step after it has changed everything. Gives what differs."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 160), torch.nn.BatchNorm1d(160), torch.nn.ReLU(), torch.nn.Linear(160, 160)
    ).to(device)
    tied = torch.nn.Linear(160, 160).to(device)
    tied.weight = model[3].weight
    optimizer = torch.optim.AdamW([*model.parameters(), tied.bias], lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 4)
    ema = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def now() -> dict[str, Any]:
        return {"model": model.state_dict(), "tied": tied.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema}

    torn: dict[str, Any] = {}
    expected: Any = None
    with wc.open(place / "store") as store, store.run("train", progress="off") as run:
        behind = run._execution.cutter.behind
        behind.stager = Stager(devices)
        run.track(model=model, tied=tied, optimizer=optimizer, scheduler=schedule, ema=ema, rng=True)
        for step in run.steps(steps, save_every=1):
            loss = tied(model(torch.randn(16, 8, device=device))).square().mean()
            with torch.no_grad():
                for name, value in model.state_dict().items():
                    ema[name].copy_(0.9 * ema[name] + 0.1 * value)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if behind.flight is not None:
                behind.flight.wait()
                record = store.core.catalog.latest_checkpoint(run.id, role="state")
                saved = store.core.load(record.checkpoint.stored)
                torn |= {f"{step} {path}": path for path in differences(expected, saved)}
            expected = copy.deepcopy(now())
    assert set(optimizer.state_dict()["state"]) == set(range(7))
    return torn


def differences(expected: Any, saved: Any, path: str = "") -> list[str]:
    if isinstance(expected, dict):
        return [found for key in expected for found in differences(expected[key], saved[key], f"{path}/{key}")]
    if isinstance(expected, torch.Tensor):
        return [] if torch.equal(expected.cpu(), saved) else [path]
    return [] if expected == saved else [path]


@pytest.mark.parametrize(("make", "device"), [(slow_thread, "cpu"), (slow_cuda, "cuda")], ids=["thread", "cuda"])
def test_no_save_is_torn(tmp_path, make, device):
    """Weights, moments, statistics, averages: each save holds what was there at its cut."""
    assert train(tmp_path, make(), device) == {}


class Careless(ThreadLane):
    """Never holds the job."""

    def hold_job(self, event: Any) -> None:
        """Not done."""


def test_it_would_be_torn_if_nobody_waited(tmp_path):
    """The test before can fail: without holding the job, weights, statistics and averages are of a later moment."""
    torn = set(train(tmp_path, ThreadDevices(Careless(delay=0.3)), "cpu", steps=3).values())
    assert {"/model/0.weight", "/model/1.running_mean", "/ema/0.weight", "/optimizer/state/0/exp_avg"} <= torn


def loop(place: Path, devices: Any, spoil: Any) -> None:
    """Three steps, of which each is saved."""
    model = torch.nn.Linear(300, 300)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with wc.open(place / "store") as store, store.run("train", progress="off") as run:
        run._execution.cutter.behind.stager = Stager(devices)
        run.track(model=model, optimizer=optimizer)
        for step in run.steps(3, save_every=1):
            spoil(step, model)
            model(torch.randn(2, 300)).sum().backward()
            optimizer.step()


def newest(place: Path) -> int:
    with wc.open(place / "store") as store:
        (info,) = store.runs()
        record = store.core.catalog.latest_checkpoint(info.id, role="state")
        return store.core.load(record.checkpoint.stored, only="steps")["steps"] if record else 0


def test_the_error_of_a_copy_is_raised_at_the_next_save(tmp_path):
    """A device that fails in the second save: the loop hears of it, and the first save stands."""
    devices = ThreadDevices()
    devices.the_lane.failures[1] = OSError("the device fell off the bus")
    with pytest.raises(OSError, match="fell off the bus"):
        loop(tmp_path, devices, lambda step, model: None)
    assert newest(tmp_path) == 1
    loop(tmp_path, ThreadDevices(), lambda step, model: None)
    assert newest(tmp_path) == 3


def test_weights_changed_at_the_beginning_of_a_step_are_told(tmp_path):
    """Between a save and the step of the optimizer: that save is refused, and the one before it stands."""
    devices = ThreadDevices()

    def spoil(step: int, model: Any) -> None:
        if step == 1:
            devices.the_lane.delay = 1.0
        if step == 2:
            with torch.no_grad():
                model.weight.clamp_(-0.01, 0.01)

    with pytest.raises(RuntimeError, match=r"optimizer\.param_groups\[0\]\['params'\]\[0\] changed between a save"):
        loop(tmp_path, devices, spoil)
    assert newest(tmp_path) == 1
