"""What one rank writes: one state, stored in one go, and read item by item straight to where it belongs.

A part is {"tensors": {name: tensor}, "objects": {name: value}, "bytes": {name: bytes}}; an item is found by its group
and its position. The names are for people, and for `waycairn.Store.load(part, only="tensors.layer1.weight")`.
"""

from __future__ import annotations

import io
import mmap
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.distributed._shard._utils import narrow_tensor_by_index
from torch.distributed.checkpoint.planner import LoadPlanner, ReadItem, SavePlanner, WriteItem, WriteItemType

from waycairn.chunks import OpenState
from waycairn.chunks.layout import aligned
from waycairn.chunks.memory import PAGE, allocate
from waycairn.codec import decode
from waycairn.integrations.torch_dcp.metadata import Place
from waycairn.integrations.torch_dcp.planners import Held, give_bytes, object_of

TENSORS, OBJECTS, BYTES = "tensors", "objects", "bytes"

_WINDOW = 64 * 1024 * 1024
"""Bytes on their way to tensors that cannot be read into: on other devices, of other dtypes, in other shards."""
_NO_RESERVE = 0x4000
"""MAP_NORESERVE of Linux, which Python names from 3.13 on."""


@dataclass
class NewPart:
    """The data of a plan, to be encoded: the tensors are uncopied where they lie on the CPU."""

    state: dict[str, dict[str, Any]] = field(default_factory=lambda: {TENSORS: {}, OBJECTS: {}, BYTES: {}})
    where: list[tuple[WriteItem, str, int, int]] = field(default_factory=list)
    """Item, group, position in it, bytes."""

    def add(self, item: WriteItem, planner: SavePlanner) -> None:
        if item.type != WriteItemType.BYTE_IO:
            tensor = planner.resolve_data(item).detach().to("cpu")
            self._put(item, TENSORS, tensor, tensor.numel() * tensor.element_size())
            return
        held = object_of(planner, item)
        if isinstance(held, Held):
            self._put(item, OBJECTS, held.value, 0)
        else:
            data = held.getvalue()
            self._put(item, BYTES, data, len(data))

    def _put(self, item: WriteItem, group: str, value: Any, size: int) -> None:
        content = self.state[group]
        self.where.append((item, group, len(content), size))
        content[_label(item, content)] = value


def _label(item: WriteItem, taken: Mapping[str, Any]) -> str:
    name: str = item.index.fqn
    offset = item.index.offset
    if offset is not None and any(offset):
        name = f"{name}{list(offset)}"
    return name if name not in taken else f"{name}#{len(taken)}"


class OpenPart:
    """A stored part: its tensors stand in address space that nothing is ever read into, and only say what they are.

    Raises Damaged wherever a byte that is needed differs from what was saved.
    """

    def __init__(self, state: OpenState) -> None:
        self._state = state
        self._number_at: dict[int, int] = {}
        self._starts, size = _layout(state)
        self._space = _address_space(size)
        self._tensors: list[torch.Tensor] = list(decode(state.document, self._show, only=TENSORS).values())
        self._others: dict[str, list[Any]] = {}
        self._window: memoryview | None = None

    def hand_over(self, items: Iterable[tuple[ReadItem, Place]], planner: LoadPlanner) -> None:
        """Bring every item to where the planner wants it: what lies there as it was saved is read into place, the rest
        by way of a little memory."""
        moves: list[_Move] = []
        for item, place in items:
            if place.group == TENSORS:
                moves.append(self._move(item, self._tensors[place.number], planner))
                continue
            value = self._other(place)
            give_bytes(planner, item, Held(value) if place.group == OBJECTS else io.BytesIO(value))
        direct, rest = self._sorted(moves)
        self._state.read_into(direct)
        for window in self._windows(rest):
            self._bring(window)
        for move in moves:
            if move.number is None:
                move.copy(move.source)
            planner.commit_tensor(move.item, move.target)

    def _move(self, item: ReadItem, source: torch.Tensor, planner: LoadPlanner) -> _Move:
        target = planner.resolve_tensor(item).detach()
        if target.size() != torch.Size(item.lengths):
            raise ValueError(
                f"{item.dest_index.fqn!r} has the shape {list(target.size())} here and {list(item.lengths)} in the "
                "checkpoint. Nothing was loaded into it. Load into a tensor of the saved shape."
            )
        return _Move(item, source, target, self._number_at.get(source.untyped_storage().data_ptr()))

    def _sorted(self, moves: Iterable[_Move]) -> tuple[dict[int, memoryview], dict[int, list[_Move]]]:
        """By buffer: the memory of the one tensor that takes it whole, or the tensors that take something of it."""
        takers: dict[int, list[_Move]] = {}
        for move in moves:
            if move.number is not None:
                takers.setdefault(move.number, []).append(move)
        direct = {}
        for number, taking in list(takers.items()):
            if len(taking) == 1 and taking[0].fits(self._state.buffer_size(number)):
                direct[number] = _bytes_of(taking[0].target)
                del takers[number]
        return direct, takers

    def _windows(self, takers: dict[int, list[_Move]]) -> Iterator[dict[int, list[_Move]]]:
        """Some buffers at a time: memory that was used before is 40 times as fast as new memory, and bounded."""
        window: dict[int, list[_Move]] = {}
        size = 0
        for number, taking in takers.items():
            size += aligned(self._state.buffer_size(number), PAGE)
            if window and size > _WINDOW:
                yield window
                window, size = {}, aligned(self._state.buffer_size(number), PAGE)
            window[number] = taking
        if window:
            yield window

    def _bring(self, window: dict[int, list[_Move]]) -> None:
        places, size = {}, 0
        for number in window:
            places[number] = size
            size += aligned(self._state.buffer_size(number), PAGE)
        if self._window is None or len(self._window) < size:
            self._window = allocate(max(size, min(_WINDOW, len(self._space))))
        views = {number: self._window[at : at + self._state.buffer_size(number)] for number, at in places.items()}
        self._state.read_into(views)
        for number, taking in window.items():
            storage = torch.frombuffer(views[number], dtype=torch.uint8).untyped_storage()
            for move in taking:
                move.copy(_shown(move.source, storage))

    def _other(self, place: Place) -> Any:
        if place.group not in self._others:
            # Into memory of their own, which they keep.
            found = decode(self._state.document, self._state.fetch, only=place.group)
            self._others[place.group] = list(found.values())
        return self._others[place.group][place.number]

    def _show(self, number: int) -> memoryview:
        start = self._starts[number]
        view = self._space[start : start + self._state.buffer_size(number)]
        self._number_at[torch.frombuffer(view, dtype=torch.uint8).data_ptr()] = number
        return view


@dataclass
class _Move:
    item: ReadItem
    source: torch.Tensor
    target: torch.Tensor
    number: int | None
    """The buffer that the source shows; None for one that came with the document."""

    def fits(self, size: int) -> bool:
        """The bytes of the buffer are those of the target, one for one."""
        source, target = self.source, self.target
        return (
            type(target) is torch.Tensor
            and target.device.type == "cpu"
            and target.dtype == source.dtype
            and target.shape == source.shape
            and target.numel() * target.element_size() == size
            and target.is_contiguous()
            and source.is_contiguous()
            and not (target.is_conj() or target.is_neg())
        )

    def copy(self, source: torch.Tensor) -> None:
        self.target.copy_(narrow_tensor_by_index(source, self.item.storage_offsets, self.item.lengths))


def _shown(tensor: torch.Tensor, storage: torch.UntypedStorage) -> torch.Tensor:
    """The same view of other memory."""
    empty = torch.empty(0, dtype=tensor.dtype)
    return empty.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())


def _layout(state: OpenState) -> tuple[list[int], int]:
    """Where each buffer stands in one piece of memory, and the size of that."""
    starts = []
    end = 0
    for number in range(state.buffer_count):
        starts.append(end)
        end += aligned(state.buffer_size(number), PAGE)
    return starts, end


def _address_space(size: int) -> memoryview:
    """Of any size: the kernel is told that it need not be there."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (_NO_RESERVE if sys.platform == "linux" else 0)
    return memoryview(mmap.mmap(-1, max(size, 1), flags=flags))


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    shown: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(shown)
