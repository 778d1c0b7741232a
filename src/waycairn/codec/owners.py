"""Which tensors change in the step of an optimizer and nowhere else, so that their copy may last until that begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Owned:
    """A parameter or a tensor of an optimizer's state, and where it stands: [name, group, index, key of the state]."""

    tensor: Any
    place: tuple[str, int, int, str]
    low: int
    high: int
    """Addresses of its first byte and of the one behind the last."""

    @property
    def version(self) -> int:
        """Grows with each operation that changes it in place, as torch counts them."""
        return int(self.tensor._version)  # noqa: SLF001 - documented by torch for this use

    @property
    def path(self) -> str:
        name, group, index, key = self.place
        parameter = f"{name}.param_groups[{group}]['params'][{index}]"
        return f"{name}.state[{parameter}]['{key}']" if key else parameter


class Owners:
    """Of all tensors that these optimizers own, by the memory that they show."""

    def __init__(self, optimizers: Mapping[str, Any]) -> None:
        self._by_storage: dict[tuple[Any, int], list[Owned]] = {}
        for name, optimizer in optimizers.items():
            if calls_its_hooks(optimizer):
                for owned in _owned_by(name, optimizer):
                    self._by_storage.setdefault(_storage_of(owned.tensor), []).append(owned)

    def of(self, flat: Any) -> list[Owned]:
        """Those that show all of this memory. None: it may be changed by anybody."""
        if not self._by_storage:
            return []
        low = flat.data_ptr()
        high = low + flat.numel()
        return [
            owned for owned in self._by_storage.get(_storage_of(flat), ()) if owned.low <= low and high <= owned.high
        ]


def calls_its_hooks(optimizer: Any) -> bool:
    """Whether `step` really calls what was registered. What only looks like an optimizer (a wrapper of one) may not:
    torch marks the `step` of those that do."""
    return callable(getattr(optimizer, "register_step_pre_hook", None)) and bool(
        getattr(getattr(type(optimizer), "step", None), "hooked", False)
    )


def _owned_by(name: str, optimizer: Any) -> Iterator[Owned]:
    for number, group in enumerate(optimizer.param_groups):
        if group.get("capturable"):
            continue  # its step may be a part of a CUDA graph, whose replay calls no hook
        for index, parameter in enumerate(group["params"]):
            held = optimizer.state.get(parameter, {})
            for key, tensor in (("", parameter), *held.items()):
                if hasattr(tensor, "untyped_storage") and tensor.numel() and not tensor.is_inference():
                    yield _owned(tensor, (name, number, index, str(key)))


def _owned(tensor: Any, place: tuple[str, int, int, str]) -> Owned:
    low = tensor.data_ptr()
    reach = sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return Owned(tensor, place, low, low + (reach + 1) * tensor.element_size())


def _storage_of(tensor: Any) -> tuple[Any, int]:
    return tensor.device, tensor.untyped_storage().data_ptr()
