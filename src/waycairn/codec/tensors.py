"""torch tensors. The only module that imports torch; imported once the state, or stored data, holds a tensor."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from waycairn.codec import codes, staging
from waycairn.codec.contract import Node, Pack, Packing, Unpack, Unpacking
from waycairn.codec.marks import Mark, mark
from waycairn.codec.problems import Carried, Unstorable

_TENSOR, _VALUE = mark(codes.TENSOR), mark(codes.TORCH_VALUE)

_PARAMETER, _REQUIRES_GRAD = 1, 2

_ALL_DTYPES = {str(dtype): dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}
_DTYPES: dict[str, torch.dtype] = {
    name.removeprefix("torch."): dtype
    for name, dtype in _ALL_DTYPES.items()
    if not name.startswith(("torch.q", "torch.bits"))
}


class TensorRegion:
    """The memory of one tensor. Its node is [mark, dtype, shape, strides or nil, offset, flags, place]; strides and
    offset count elements."""

    __slots__ = ("_node", "_tensor", "high", "low", "root", "width")

    def __init__(self, tensor: torch.Tensor, node: list[Node]) -> None:
        self._tensor = tensor
        self._node = node
        self.root = tensor.untyped_storage()
        size = tensor.element_size()
        self.width = size // 2 if tensor.is_complex() else size
        self.low = int(tensor.storage_offset()) * size
        reach = sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride(), strict=True))
        self.high = self.low + (int(reach) + 1) * size

    def alone(self) -> memoryview:
        tensor = self._tensor
        if tensor.is_contiguous():
            return _bytes_of(tensor, tensor.numel())
        count = (self.high - self.low) // tensor.element_size()
        if count > tensor.numel():
            return _bytes_of(tensor.contiguous(), tensor.numel())
        self._node[3] = list(tensor.stride())  # dense in another order (channels_last), or expanded
        return _bytes_of(tensor, count)

    def root_bytes(self, low: int, high: int) -> memoryview:
        flat = torch.empty(0, dtype=torch.uint8, device=self._tensor.device)
        return _bytes_of(flat.set_(self.root, low, (high - low,), (1,)), high - low)

    def begin(self, low: int) -> None:
        self._node[3] = list(self._tensor.stride())
        self._node[4] = (self.low - low) // self._tensor.element_size()

    def place(self, where: int | bytes) -> None:
        self._node[6] = where


def _bytes_of(tensor: torch.Tensor, count: int) -> memoryview:
    """The memory of `count` elements from the tensor's first one on, uncopied if it lies on the CPU. What lies on a
    device may be copied there later, see `staging`."""
    flat: Any = tensor.as_strided((count,), (1,)).view(torch.uint8)
    copied = staging.take(flat)
    return memoryview(flat.cpu().numpy()) if copied is None else copied


def _pack_tensor(walk: Packing, value: torch.Tensor) -> Node:
    _check(value)
    flags = (_PARAMETER if type(value) is torch.nn.Parameter else 0) | (_REQUIRES_GRAD if value.requires_grad else 0)
    plain = value.detach().resolve_conj().resolve_neg()
    node = walk.marked(_TENSOR, value, (), [_name(plain.dtype), list(plain.shape), None, 0, flags, b""])
    if plain.numel():
        walk.memory(TensorRegion(plain, node))
    return node


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _check(value: torch.Tensor) -> None:
    if value.layout is not torch.strided:
        raise Unstorable(f"is a sparse tensor ({value.layout}), which is not stored. Convert it with to_dense().")
    if value.is_quantized or _name(value.dtype) not in _DTYPES:
        raise Unstorable(
            f"is a tensor of {value.dtype}, which is not stored. Convert it with dequantize() or int_repr()."
        )
    if value.is_nested:
        raise Unstorable("is a nested tensor, which is not stored. Keep the list from unbind().")
    if value.device.type == "meta":
        raise Unstorable("is a tensor on the meta device: it has a shape and no content. Leave it out.")


def _unpack_tensor(walk: Unpacking, _: Mark, raw: list[Any]) -> torch.Tensor:
    __, name, shape, strides, offset, flags, where = raw
    tensor = _view(walk, _DTYPES[name], shape, (strides, offset), where)
    if flags & _PARAMETER:
        return torch.nn.Parameter(tensor, requires_grad=bool(flags & _REQUIRES_GRAD))
    return tensor.requires_grad_() if flags & _REQUIRES_GRAD else tensor


def _view(walk: Unpacking, dtype: torch.dtype, shape: Any, layout: tuple[Any, Any], where: Any) -> torch.Tensor:
    strides, offset = layout
    if strides is None:
        strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    if len(strides) != len(shape) or not all(type(n) is int and 0 <= n < 2**62 for n in (*shape, *strides, offset)):
        raise ValueError("not the shape of a tensor")
    empty = torch.empty(0, dtype=dtype, device=walk.device or "cpu")
    if not prod(shape):
        return empty.new_empty(shape)
    reach = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    memory = walk.memory(where, (reach + 1) * empty.element_size())
    return empty.set_(_storage(walk, where, memory), offset, shape, strides)


def _storage(walk: Unpacking, where: Any, memory: memoryview) -> torch.UntypedStorage:
    """One storage for all tensors that show the same buffer."""
    if type(where) is not int:
        return _placed(walk, memory)
    storage = walk.kept.get((torch, where))
    if storage is None:
        storage = walk.kept[torch, where] = _placed(walk, memory)
    return storage


def _placed(walk: Unpacking, memory: memoryview) -> torch.UntypedStorage:
    """On the device that was asked for: as it is on the CPU, else copied there."""
    flat = torch.frombuffer(memory, dtype=torch.uint8)
    if walk.device is None:
        return flat.untyped_storage()
    try:
        return flat.to(walk.device).untyped_storage()
    except RuntimeError as error:  # its memory is full, or the driver is gone
        raise Carried(error) from None


def _pack_value(walk: Packing, value: Any) -> Node:
    if isinstance(value, torch.Size):
        return walk.marked(_VALUE, value, value, ["size"])
    return walk.marked(_VALUE, value, (), ["dtype" if isinstance(value, torch.dtype) else "device", str(value)])


def _pack_generator(walk: Packing, value: torch.Generator) -> Node:
    if value.device.type != "cpu":
        raise Unstorable(f"is a torch.Generator on {value.device}. Keep its get_state() in the state instead.")
    return walk.marked(_VALUE, value, (value.get_state(),), ["generator"])


def _unpack_value(walk: Unpacking, _: Mark, raw: list[Any]) -> Any:
    kind, *rest = walk.values(raw[1:])
    if kind == "size":
        return torch.Size(rest)
    (content,) = rest
    if kind == "dtype":
        return _ALL_DTYPES[content]
    if kind == "device":
        return torch.device(content)
    if kind != "generator":
        raise ValueError("no such kind of torch value")
    generator = torch.Generator()
    generator.set_state(content)
    return generator


_PACK: dict[type, Pack] = {
    torch.Tensor: _pack_tensor,
    torch.nn.Parameter: _pack_tensor,
    torch.Size: _pack_value,
    torch.dtype: _pack_value,
    torch.device: _pack_value,
    torch.Generator: _pack_generator,
}


def find_pack(kind: type) -> Pack | None:
    if issubclass(kind, torch.Tensor) and kind not in _PACK:
        raise Unstorable(
            f"is a {kind.__module__}.{kind.__qualname__}, a kind of tensor that would come back as a plain one. Convert "
            "it to a torch.Tensor first."
        )
    return _PACK.get(kind)


# -- tensors that are there ------------------------------------------------------------------------------------------

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""What is copied instead of the elements: not every dtype can be copied, and these keep every bit."""


class _TensorFiller:
    """See `filling.Filler`."""

    code = codes.TENSOR

    def takes(self, target: Any) -> bool:
        return isinstance(target, torch.Tensor)

    def describe(self, target: torch.Tensor) -> str:
        return _in_words(_name(target.dtype), target.shape)

    def describe_stored(self, node: list[Any]) -> str:
        return _in_words(node[1], node[2])

    def refuse(self, target: torch.Tensor) -> str | None:
        if type(target) not in _PACK:
            return f"of the kind {type(target).__name__}, which is not written to"
        if target.device.type == "meta" or target.layout is not torch.strided or target.is_nested:
            return "without memory of its own (meta, sparse or nested)"
        repeats = any(length > 1 and not stride for length, stride in zip(target.shape, target.stride(), strict=True))
        return "that shows the same element more than once" if repeats else None

    def fits(self, target: torch.Tensor, node: list[Any]) -> bool:
        return bool(list(target.shape) == node[2] and _name(target.dtype) == node[1])

    def memory(self, target: torch.Tensor, node: list[Any]) -> memoryview | None:
        _, __, ___, strides, offset, ____, _____ = node
        plain = target.detach()
        if plain.device.type != "cpu" or offset or not plain.numel() or plain.is_conj() or plain.is_neg():
            return None
        as_stored = plain.is_contiguous() if strides is None else list(plain.stride()) == strides
        reach = sum((length - 1) * stride for length, stride in zip(plain.shape, plain.stride(), strict=True))
        return _bytes_of(plain, plain.numel()) if as_stored and reach + 1 == plain.numel() else None

    def copy(self, target: torch.Tensor, value: torch.Tensor) -> None:
        target, value = target.detach(), value.detach()
        bits = _BITS.get(target.element_size())
        try:
            if bits is None or target.is_conj() or target.is_neg():
                target.copy_(value)
            else:
                target.view(bits).copy_(value.view(bits))
        except RuntimeError as error:
            raise Carried(error) from None


def _in_words(dtype: str, shape: Any) -> str:
    return f"a tensor of {dtype} and shape {tuple(shape)}"


FILLER = _TensorFiller()
UNPACK: dict[int, Unpack] = {codes.TENSOR: _unpack_tensor, codes.TORCH_VALUE: _unpack_value}
