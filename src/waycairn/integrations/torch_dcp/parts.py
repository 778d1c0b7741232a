"""What one rank writes: one state, stored in one go, and read item by item straight to where it belongs.

A part is {"tensors": {name: tensor}, "objects": {name: value}, "bytes": {name: bytes}}; an item is found by its group
and its position. The names are for people, and for `waycairn.Store.load(part, only="tensors.layer1.weight")`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
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
    """A stored part. Tensors stand in address space that no byte was read into yet; what is wanted is read at once.

    Raises Damaged wherever a byte that is needed differs from what was saved.
    """

    def __init__(self, state: OpenState) -> None:
        self._state = state
        self._number_at: dict[int, int] = {}
        self._is_read: set[int] = set()
        self._starts, size = _layout(state)
        self._memory = allocate(size)
        self._tensors: list[torch.Tensor] = list(decode(state.document, self._fetch, only=TENSORS).values())
        self._others: dict[str, list[Any]] = {}

    def prefetch(self, places: Iterable[Place]) -> None:
        """Read and verify all of these now, so that `hand_over` only copies."""
        found = list(places)
        wanted = {self._number_of(self._tensors[place.number]) for place in found if place.group == TENSORS}
        self._bring({number: self._view(number) for number in wanted - self._is_read if number is not None})
        for place in found:
            if place.group != TENSORS:
                self._other(place)

    def hand_over(self, items: Iterable[tuple[ReadItem, Place]], planner: LoadPlanner) -> None:
        """Bring every item to where the planner wants it."""
        moves: list[_Move] = []
        for item, place in items:
            if place.group == TENSORS:
                moves.append(self._move(item, self._tensors[place.number], planner))
                continue
            value = self._other(place)
            give_bytes(planner, item, Held(value) if place.group == OBJECTS else io.BytesIO(value))
        self._bring(self._targets(moves))
        for move in moves:
            if not move.is_direct:
                move.target.copy_(narrow_tensor_by_index(move.source, move.item.storage_offsets, move.item.lengths))
            planner.commit_tensor(move.item, move.target)

    def _move(self, item: ReadItem, source: torch.Tensor, planner: LoadPlanner) -> _Move:
        target = planner.resolve_tensor(item).detach()
        if target.size() != torch.Size(item.lengths):
            raise ValueError(
                f"{item.dest_index.fqn!r} has the shape {list(target.size())} here and {list(item.lengths)} in the "
                "checkpoint. Nothing was loaded into it. Load into a tensor of the saved shape."
            )
        return _Move(item, source, target, self._number_of(source))

    def _targets(self, moves: list[_Move]) -> dict[int, memoryview]:
        """Where each buffer that is not here yet goes: into the one tensor that takes it whole, else into our memory."""
        takers: dict[int, list[_Move]] = {}
        for move in moves:
            if move.number is not None and move.number not in self._is_read:
                takers.setdefault(move.number, []).append(move)
        targets = {}
        for number, taking in takers.items():
            if len(taking) == 1 and taking[0].fits(self._state.buffer_size(number)):
                taking[0].is_direct = True
                targets[number] = _bytes_of(taking[0].target)
            else:
                targets[number] = self._view(number)
        return targets

    def _bring(self, targets: Mapping[int, memoryview]) -> None:
        self._state.read_into(targets)
        self._is_read |= {number for number, view in targets.items() if view.obj is self._memory.obj}

    def _other(self, place: Place) -> Any:
        if place.group not in self._others:
            # Into memory of their own: an object that shows a part of a tensor must not wait for it.
            found = decode(self._state.document, self._state.fetch, only=place.group)
            self._others[place.group] = list(found.values())
        return self._others[place.group][place.number]

    def _fetch(self, number: int) -> memoryview:
        view = self._view(number)
        self._number_at[torch.frombuffer(view, dtype=torch.uint8).data_ptr()] = number
        return view

    def _view(self, number: int) -> memoryview:
        start = self._starts[number]
        return self._memory[start : start + self._state.buffer_size(number)]

    def _number_of(self, tensor: torch.Tensor) -> int | None:
        """The buffer that a tensor shows; None for one that came with the document."""
        return self._number_at.get(tensor.untyped_storage().data_ptr())


@dataclass
class _Move:
    item: ReadItem
    source: torch.Tensor
    target: torch.Tensor
    number: int | None
    is_direct: bool = False

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


def _layout(state: OpenState) -> tuple[list[int], int]:
    """Where each buffer stands in one piece of memory, and the size of that."""
    starts = []
    end = 0
    for number in range(state.buffer_count):
        starts.append(end)
        end += aligned(state.buffer_size(number), PAGE)
    return starts, end


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    shown: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(shown)
