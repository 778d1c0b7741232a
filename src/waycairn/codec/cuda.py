"""CUDA, as staging needs it: streams, events, and memory of the host that is pinned. Imports torch."""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch

_cuda: Any = torch.cuda
_PORTABLE = 1
"""cudaHostRegisterPortable: pinned for all devices of the process."""
_PAGE = 2 << 20


class CudaMemory:
    """Pinned by cudaHostRegister, and not by torch's allocator, which makes a power of two of every size: 9 GiB would
    take 16. Not seen by forked children (workers that load data)."""

    def __init__(self, size: int, device: int) -> None:
        self.size = -(-size // _PAGE) * _PAGE
        held = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for advice in (getattr(mmap, "MADV_HUGEPAGE", None), getattr(mmap, "MADV_DONTFORK", None)):
            with suppress(OSError):  # a kernel without huge pages
                if advice is not None:
                    held.madvise(advice)
        self.view = memoryview(held)
        self.tensor: Any = torch.frombuffer(held, dtype=torch.uint8)
        address = self.tensor.data_ptr()
        ctypes.memset(address, 0, self.size)  # touched here: in huge pages, and without holding the interpreter
        with _cuda.device(device):  # a fresh thread would begin to use device 0
            code = _cuda.cudart().cudaHostRegister(address, self.size, _PORTABLE)
        if int(code) != 0:
            raise MemoryError(
                f"CUDA did not pin {self.size} bytes of memory to copy the state into (cudaHostRegister: {code}). Nothing "
                "was saved. Let the process lock as much (ulimit -l, the limits of its container), or track less."
            )
        weakref.finalize(self, _unpin, address, held)


def _unpin(address: int, _held: mmap.mmap) -> None:
    with suppress(Exception):  # CUDA may be gone as the process ends
        _cuda.cudart().cudaHostUnregister(address)


class CudaEvent:
    def __init__(self, event: Any, device: Any) -> None:
        self.event = event
        self._device = device

    def synchronize(self) -> None:
        with _cuda.device(self._device):  # see CudaMemory
            self.event.synchronize()


class CudaLane:
    def __init__(self, device: Any) -> None:
        self._device = device
        self._stream: Any = _cuda.Stream(device)

    def begin(self) -> None:
        self._stream.wait_stream(_cuda.current_stream(self._device))

    def copy(self, sources: Sequence[Any], target: Any) -> None:
        with _cuda.stream(self._stream), torch.no_grad():
            # What is joined was allocated on this stream: its memory is lent again only behind the copy.
            target.copy_(sources[0] if len(sources) == 1 else torch.cat(list(sources)), non_blocking=True)

    def mark(self) -> CudaEvent:
        event = _cuda.Event(blocking=True)  # who waits for it sleeps
        event.record(self._stream)
        return CudaEvent(event, self._device)

    def hold_job(self, event: Any) -> None:
        _cuda.current_stream(self._device).wait_event(event.event)


class Cuda:
    """Made on the thread of the job, once CUDA is in use."""

    def __init__(self) -> None:
        self._device = _cuda.current_device()
        self._lanes: dict[Any, CudaLane] = {}

    def has(self, tensor: Any) -> bool:
        return bool(tensor.is_cuda)

    def lane(self, device: Any) -> CudaLane:
        if device not in self._lanes:
            self._lanes[device] = self._make_lane(device)
        return self._lanes[device]

    def _make_lane(self, device: Any) -> CudaLane:
        return CudaLane(device)

    def memory(self, size: int) -> CudaMemory:
        return CudaMemory(size, self._device)
