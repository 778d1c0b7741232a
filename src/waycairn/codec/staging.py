"""While a state is encoded, its tensors on devices are handed over here: their buffers are pinned memory into which
they are copied behind the job.

    with stager.stage(optimizers) as stage:
        encoded = encode(state)
    ...                                     # the job goes on, and so do the copies
    stage.transfer.wait()                   # now the buffers of `encoded` hold what the tensors held at the cut
    stage.transfer.release()
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from waycairn.codec.lanes import Devices
from waycairn.codec.owners import Owned, Owners, calls_its_hooks
from waycairn.codec.pinned import ALIGNMENT, Generation, Generations
from waycairn.codec.transfers import Batch, Transfer

_SMALL = 64 * 1024
"""Below this a copy costs more to ask for than to do: such tensors are joined on the device first."""
_JOINED = 1 << 20
"""How much is joined; the device needs as much memory for it."""
_SLACK = 4 * _JOINED


class Taker(Protocol):
    def take(self, flat: Any) -> memoryview | None: ...

    def has(self, view: memoryview) -> bool: ...


_active: ContextVar[Taker | None] = ContextVar("waycairn_stage", default=None)


def take(flat: Any) -> memoryview | None:
    """Where the bytes of this flat tensor of uint8 are going to be; None if they are to be had here and now."""
    taker = _active.get()
    return None if taker is None else taker.take(flat)


def is_on_its_way(view: memoryview) -> bool:
    """Whether nobody may read it yet."""
    taker = _active.get()
    return taker is not None and taker.has(view)


class Stage:
    """One encoding of a state."""

    def __init__(self, devices: Devices, owners: Owners, generation: Generation) -> None:
        self._devices = devices
        self._owners = owners
        self._generation = generation
        self._batches: list[Batch] = []
        self._open: dict[tuple[Any, bool], Batch] = {}
        self._owned: list[Owned] = []
        self._taken: dict[tuple[Any, int, int], memoryview] = {}
        self._views: set[int] = set()
        self.transfer: Transfer
        """Once everything was encoded."""

    def has(self, view: memoryview) -> bool:
        """Whether it was given out here."""
        return id(view) in self._views

    def take(self, flat: Any) -> memoryview | None:
        """See `take`. The same memory twice (an encoder that has to begin again) gives the same view."""
        if not self._devices.has(flat):
            return None
        key = (flat.device, flat.data_ptr(), flat.numel())
        view = self._taken.get(key)
        if view is None:
            view = self._taken[key] = self._add(flat)
            self._views.add(id(view))
        return view

    def _add(self, flat: Any) -> memoryview:
        owned = self._owners.of(flat)
        self._owned += owned
        return self._batch_for(flat, is_late=bool(owned)).add(flat)

    def _batch_for(self, flat: Any, *, is_late: bool) -> Batch:
        size = flat.numel()
        if size >= _SMALL:
            return self._begin(flat.device, size, is_late=is_late)
        batch = self._open.get((flat.device, is_late))
        if batch is None or not batch.has_room(size):
            batch = self._open[flat.device, is_late] = self._begin(flat.device, _JOINED, is_late=is_late)
        return batch

    def _begin(self, device: Any, size: int, *, is_late: bool) -> Batch:
        batch = Batch(self._devices.lane(device), is_late, self._generation.take(size))
        self._batches.append(batch)
        return batch

    def close(self, give_back: Callable[[], None]) -> Transfer:
        """Everything was encoded."""
        self.transfer = Transfer(self._batches, self._owned, give_back)
        return self.transfer


class Measure:
    """In the place of a stage, where only the sizes are asked for."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._taken: dict[tuple[Any, int], int] = {}
        self._nothing = memoryview(b"")

    @property
    def size(self) -> int:
        """Bytes of pinned memory that a stage would take; a little more where small tensors are joined."""
        small = sum(size for size in self._taken.values() if size < _SMALL)
        large = [size for size in self._taken.values() if size >= _SMALL]
        return sum(large) + len(large) * ALIGNMENT + small + small // 15

    def take(self, flat: Any) -> memoryview | None:
        if not self._devices.has(flat):
            return None
        self._taken[flat.device, flat.data_ptr()] = flat.numel()
        return self._nothing

    def has(self, view: memoryview) -> bool:
        return view is self._nothing


class Stager:
    """Copies states from devices behind the job, at most as many at a time as there are generations of memory."""

    def __init__(self, devices: Devices, *, generations: int = 2) -> None:
        self.devices = devices
        self._generations = Generations(devices.memory, generations)
        self._lock = threading.Lock()
        self._under_way: weakref.WeakSet[Transfer] = weakref.WeakSet()
        self._hooked: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    @contextmanager
    def measure(self) -> Iterator[Measure]:
        """What is encoded in it is only measured: its buffers are empty where they would be on a device."""
        measure = Measure(self.devices)
        with _handing_to(measure):
            yield measure

    def reserve(self, size: int) -> None:
        """Have memory for states of so many bytes on devices ready, or soon: the first copy does not wait for it."""
        if size:
            self._generations.reserve(size + _SLACK)

    @contextmanager
    def stage(self, optimizers: Mapping[str, Any]) -> Iterator[Stage]:
        """On the thread of the job. Encode one state in it; as it is left, the copies are asked for. Tensors that these
        optimizers own are copied until their next step, all others before whatever the job does next on their device.
        Waits while all generations are lent."""
        self._hook(optimizers)
        generation = self._generations.borrow()
        try:
            stage = Stage(self.devices, Owners(optimizers), generation)
            with _handing_to(stage):
                yield stage
        except BaseException:
            self._generations.give_back(generation)
            raise
        transfer = stage.close(lambda: self._generations.give_back(generation))
        with self._lock:
            self._under_way.add(transfer)
        try:
            transfer.launch()
        except BaseException:
            transfer.release()
            raise

    def trim(self) -> None:
        """No state is copied soon: let memory go that is not lent."""
        self._generations.trim()

    def _hook(self, optimizers: Mapping[str, Any]) -> None:
        """Once each, and for good: another thread that took one off would meet the step that walks over them."""
        for optimizer in optimizers.values():
            if optimizer not in self._hooked and calls_its_hooks(optimizer):
                self._hooked[optimizer] = optimizer.register_step_pre_hook(self.before_step)

    def before_step(self, _optimizer: Any, _arguments: Any, _options: Any) -> None:
        """The hook."""
        with self._lock:
            under_way = list(self._under_way)
        for transfer in under_way:
            transfer.let_change()


def stager_if_needed() -> Stager | None:
    """None where this process uses no device: then nothing is loaded for it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    from waycairn.codec.cuda import Cuda

    # One generation: the next save is copied only once the one before is durable.
    return Stager(Cuda(), generations=1)


@contextmanager
def _handing_to(taker: Taker) -> Iterator[None]:
    token = _active.set(taker)
    try:
        yield
    finally:
        _active.reset(token)
