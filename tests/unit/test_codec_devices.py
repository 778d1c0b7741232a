"""Tensors on devices are copied behind the job, and no snapshot is torn. The device is a thread, see `lanes`."""

from __future__ import annotations

import copy
import gc
import threading
from typing import Any

import pytest

from waycairn.codec import decode, encode
from waycairn.codec import staging as staging_module
from waycairn.codec.owners import Owned, Owners
from waycairn.codec.staging import Stager

torch = pytest.importorskip("torch", reason="torch is not installed")

from lanes import LIMIT, ThreadDevices, ThreadLane  # noqa: E402 - it imports torch


class Job:
    """A model with statistics beside its weights, AdamW, and a moving average that nobody but the job changes."""

    def __init__(self, **options: Any) -> None:
        torch.manual_seed(7)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(16, 2048), torch.nn.BatchNorm1d(2048), torch.nn.ReLU(), torch.nn.Linear(2048, 4)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01, **options)
        self.average = copy.deepcopy(self.model.state_dict())
        self.step()

    def forward(self) -> Any:
        loss = self.model(torch.randn(32, 16)).square().mean()
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 0.5) if value.is_floating_point() else self.average[name].copy_(value)
        return loss

    def step(self) -> None:
        loss = self.forward()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @property
    def optimizers(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer}

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
        }


def restored(encoded: Any) -> Any:
    """As it is in its buffers now."""
    buffers = [memoryview(bytearray(view)) for view in encoded.buffers]
    return decode(encoded.document, lambda number: buffers[number])


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states differ in a bit."""
    if isinstance(one, dict | list | tuple):
        assert type(one) is type(other)
        assert len(one) == len(other)
        pairs = one.items() if isinstance(one, dict) else enumerate(one)
        return [found for key, value in pairs for found in differences(value, other[key], f"{path}/{key}")]
    return [] if (torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other) else [path]


@pytest.fixture
def devices() -> ThreadDevices:
    return ThreadDevices()


def staged(stager: Stager, state: Any, optimizers: Any = None) -> tuple[Any, Any]:
    with stager.stage(optimizers or {}) as stage:
        encoded = encode(state)
    return encoded, stage.transfer


def in_thread(act: Any) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_what_an_optimizer_owns_is_copied_after_the_save_returned(devices):
    """The host goes on at once; the buffers hold the state once the transfer has ended."""
    layer = torch.nn.Linear(300, 300)
    optimizer = torch.optim.SGD(layer.parameters())
    devices.the_lane.gate.clear()
    encoded, transfer = staged(Stager(devices), layer.state_dict(), {"optimizer": optimizer})
    assert not any(bytes(view).strip(b"\0") for view in encoded.buffers)
    assert devices.the_lane.held == 0
    devices.the_lane.gate.set()
    transfer.wait()
    assert differences(layer.state_dict(), restored(encoded)) == []


def test_every_kind_of_tensor_arrives(devices):
    """Small and large, tied, views, other orders, expanded, conjugated, odd dtypes, nothing at all."""
    base = torch.randn(64, 64)
    tied = torch.nn.Parameter(torch.randn(200, 200))
    state = {
        "scalar": torch.tensor(3.5),
        "count": torch.tensor(7, dtype=torch.int64),
        "half": torch.randn(100, 1000).to(torch.bfloat16),
        "eighth": torch.randn(1000).to(torch.float8_e4m3fn).view(torch.uint8),
        "views": [base[:, :32], base[8:], base.t()],
        "tied": [tied, tied],
        "channels last": torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last),
        "strided": torch.randn(300, 300)[::2, ::3],
        "expanded": torch.randn(1, 70).expand(50, 70),
        "conjugated": torch.randn(100, dtype=torch.complex64).conj(),
        "empty": torch.empty(0, 3),
        "none": None,
    }
    before = copy.deepcopy(state)
    encoded, transfer = staged(Stager(devices), state, {"o": torch.optim.SGD([tied])})
    transfer.wait()
    assert differences(before, restored(encoded)) == []


def test_small_tensors_are_joined(devices):
    """Six hundred small tensors are a few copies, and each of them arrives."""
    state = [torch.full((100 + number,), float(number)) for number in range(600)] + [torch.randn(50_000)]
    encoded, transfer = staged(Stager(devices), state)
    transfer.wait()
    assert differences(state, restored(encoded)) == []
    assert sorted(devices.the_lane.copies) == [1, 600]


def test_the_step_of_the_optimizer_waits_for_the_copy(devices):
    """No hurry of the job tears a snapshot: its step is held until the copies are there."""
    job = Job()
    stager = Stager(devices)
    before = copy.deepcopy(job.state())
    devices.the_lane.delay = 0.05
    encoded, transfer = staged(stager, job.state(), job.optimizers)
    job.step()
    job.step()
    transfer.wait()
    assert differences(before, restored(encoded)) == []
    assert differences(before, job.state()), "the job did go on"


class Careless(ThreadLane):
    """Never holds the job."""

    def hold_job(self, event: Any) -> None:
        self.held += 1


def test_without_waiting_it_would_be_torn():
    """The test before can fail: with a lane that does not hold the job, weights are those of after the step."""
    job = Job()
    lane = Careless()
    stager = Stager(ThreadDevices(lane))
    before = copy.deepcopy(job.state())
    lane.gate.clear()
    encoded, transfer = staged(stager, job.state(), job.optimizers)
    job.step()
    lane.gate.set()
    transfer.wait()
    torn = differences(before, restored(encoded))
    assert "/model/0.weight" in torn
    assert "/optimizer/state/0/exp_avg" in torn


class Gullible(Owners):
    """Takes everything for an optimizer's, and every promise for kept."""

    def of(self, flat: Any) -> list[Owned]:
        return [Owned(torch.zeros(1), ("optimizer", 0, 0, ""), 0, 0)]


def test_what_no_optimizer_owns_is_not_copied_late(devices, monkeypatch):
    """Statistics and averages change in the forward pass: were they copied as late as weights, they would be torn."""
    job = Job()

    def saved_while_the_job_goes_on() -> list[str]:
        before = copy.deepcopy(job.state())
        encoded, transfer = staged(Stager(devices), job.state(), job.optimizers)
        job.forward()
        devices.the_lane.gate.set()
        transfer.wait()
        return differences(before, restored(encoded))

    devices.the_lane.delay = 0.05
    assert saved_while_the_job_goes_on() == []
    monkeypatch.setattr(staging_module, "Owners", Gullible)
    devices.the_lane.gate.clear()  # which would block for ever if the job were held
    torn = saved_while_the_job_goes_on()
    assert "/model/1.running_mean" in torn
    assert "/average/0.weight" in torn


@pytest.mark.parametrize("steps", [0, 1])
def test_weights_changed_before_the_step_are_told(devices, steps):
    """Whether the copy had them before or after the change is not known: the snapshot is refused, by name."""
    job = Job()
    devices.the_lane.gate.clear()
    _, transfer = staged(Stager(devices), dict(job.model.named_parameters()), job.optimizers)
    with torch.no_grad():
        job.model[3].weight.clamp_(-0.1, 0.1)
    threading.Timer(0.02, devices.the_lane.gate.set).start()
    for _ in range(steps):
        job.optimizer.step()
    with pytest.raises(RuntimeError, match=r"optimizer\.param_groups\[0\]\['params'\]\[4\] changed between a save"):
        transfer.wait()


def test_weights_may_change_once_they_are_copied(devices):
    """Behind the copy, or behind the hook of the step, everything is allowed."""
    job = Job()
    before = copy.deepcopy(job.state())
    encoded, transfer = staged(Stager(devices), job.state(), job.optimizers)
    transfer.wait()
    with torch.no_grad():
        job.model[3].weight.zero_()
    job.step()
    transfer.wait()
    assert differences(before, restored(encoded)) == []


class Wrapper:
    """Looks like an optimizer; nobody calls what is registered with it."""

    def __init__(self, inner: Any) -> None:
        self.param_groups, self.state = inner.param_groups, inner.state
        self.register_step_pre_hook = inner.register_step_pre_hook
        self.step = inner.step


def test_only_who_calls_hooks_owns(devices):
    """A wrapper, and one whose step may be in a CUDA graph, make all copies early."""
    job = Job(capturable=False)
    state = job.state()
    assert len(Owners(job.optimizers)._by_storage) == 24, "six weights, two moments and a count for each"
    assert Owners({"optimizer": Wrapper(job.optimizer)})._by_storage == {}
    job.optimizer.param_groups[0]["capturable"] = True
    assert Owners(job.optimizers)._by_storage == {}
    _, transfer = staged(Stager(devices), state, job.optimizers)
    assert devices.the_lane.held == 1
    transfer.wait()


def test_a_third_snapshot_waits_for_memory(devices):
    """Two are under way; the third gets memory that was given back, and none is ever allocated for it."""
    stager = Stager(devices)
    stager.reserve(1 << 20)
    state = [torch.randn(100_000)]
    (_, first), (__, second) = staged(stager, state), staged(stager, state)
    assert len(devices.made) == 2
    third: list[Any] = []
    thread = in_thread(lambda: third.append(staged(stager, state)))
    thread.join(0.05)
    assert thread.is_alive()
    first.release()
    thread.join(LIMIT)
    assert differences(state, restored(third[0][0])) == []
    assert len(devices.made) == 2
    second.release()
    third[0][1].release()
    staged(stager, state)[1].release()
    assert len(devices.made) == 2


def test_what_was_measured_and_reserved_is_enough(devices):
    """The first save allocates nothing, also where all tensors are small."""
    state = [torch.randn(number) for number in range(1, 4000, 2)] + [torch.randn(70_001) for _ in range(9)]
    stager = Stager(devices)
    with stager.measure() as measure:
        assert encode(state).size < 100_000
    stager.reserve(measure.size)
    encoded, transfer = staged(stager, state)
    transfer.wait()
    assert len(devices.made) == 2
    assert differences(state, restored(encoded)) == []


def test_memory_grows_with_the_state(devices):
    """A state that outgrew what was reserved is saved whole; reserved again, it is one piece again."""
    stager = Stager(devices, generations=1)
    stager.reserve(1)
    state = [torch.randn(2_000_000) for _ in range(3)]
    encoded, transfer = staged(stager, state)
    transfer.wait()
    assert differences(state, restored(encoded)) == []
    assert len(devices.made) == 2
    transfer.release()
    staged(stager, state)[1].release()
    assert len(devices.made) == 2
    stager.trim()
    staged(stager, state)[1].release()
    assert len(devices.made) == 3


def test_memory_comes_back_from_what_failed(devices):
    """An encoding that fails, a copy that cannot be asked for, and a snapshot that nobody commits lend nothing."""
    stager = Stager(devices, generations=1)
    with pytest.raises(TypeError, match="state"):
        staged(stager, {"tensor": torch.randn(100), "state": object()})
    staged(stager, [torch.randn(100)])
    gc.collect()

    def refuse(*_: Any) -> None:
        raise RuntimeError("out of memory")

    devices.the_lane.copy, kept = refuse, devices.the_lane.copy
    with pytest.raises(RuntimeError, match="out of memory"):
        staged(stager, [torch.randn(100)])
    devices.the_lane.copy = kept
    encoded, transfer = staged(stager, [torch.arange(4)])
    transfer.wait()
    assert restored(encoded)[0].tolist() == [0, 1, 2, 3]


def test_memory_that_cannot_be_had_is_told(devices, monkeypatch):
    """What went wrong in the thread that reserves is raised by the save, and the next one tries again."""

    def refuse(size: int) -> Any:
        raise MemoryError("ulimit -l")

    stager = Stager(ThreadDevices(), generations=1)
    monkeypatch.setattr(stager._generations._free[0], "_make", refuse)
    stager.reserve(100)
    with pytest.raises(MemoryError, match="ulimit"):
        staged(stager, [torch.randn(100)])
    monkeypatch.undo()
    stager.reserve(100)
    staged(stager, [torch.randn(100)])[1].wait()


def test_an_encoding_that_begins_again_copies_once(devices):
    """An integer beyond 64 bits makes the encoder start over: each tensor is still copied once."""
    state = {"tensor": torch.randn(50_000), "number": 2**70}
    encoded, transfer = staged(Stager(devices), state)
    transfer.wait()
    assert devices.the_lane.copies == [1]
    assert differences(state, restored(encoded)) == []


def test_the_error_of_a_copy_is_raised_by_who_waits(devices):
    """What a device says went wrong is not lost, and its memory comes back."""
    stager = Stager(devices, generations=1)
    job = Job()
    devices.the_lane.gate.clear()
    devices.the_lane.failures[0] = OSError("the device fell off the bus")
    layer = torch.nn.Linear(4, 4)
    _, transfer = staged(stager, layer.state_dict(), {"o": torch.optim.SGD(layer.parameters())})
    devices.the_lane.gate.set()
    with pytest.raises(OSError, match="fell off"):
        transfer.wait()
    transfer.release()
    encoded, again = staged(stager, job.state())
    again.wait()
    assert differences(job.state(), restored(encoded)) == []
