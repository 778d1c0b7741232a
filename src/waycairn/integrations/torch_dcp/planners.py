"""Objects that are no tensors, without pickle.

DCP's default planners turn each of them into bytes with `torch.save`, and back with `torch.load`: pickle, both ways.
Writer and reader go around that for every planner that does not do it itself. One that does its own conversion derives
from the two below instead of DCP's, and calls `super()` for what it leaves alone.
"""

from __future__ import annotations

import io
from typing import Any

from torch.distributed.checkpoint._traverse import set_element
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.planner import ReadItem, SavePlanner, WriteItem, WriteItemType

_PICKLED = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How what torch.save and pickle write begins."""


class Held(io.BytesIO):
    """An object where DCP's interface wants bytes: it is stored, and was loaded, by waycairn's codec."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class WaycairnSavePlanner(DefaultSavePlanner):  # type: ignore[misc]  # torch publishes no types that mypy is shown
    """DCP's default planner whose objects are stored by waycairn, for planners that override `transform_object`."""

    def transform_object(self, write_item: WriteItem, object: Any) -> Any:  # noqa: A002 - DCP's name
        return (
            Held(object) if write_item.type == WriteItemType.BYTE_IO else super().transform_object(write_item, object)
        )


class WaycairnLoadPlanner(DefaultLoadPlanner):  # type: ignore[misc]  # torch publishes no types that mypy is shown
    """DCP's default planner for objects that waycairn stored, for planners that override `load_bytes`."""

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        put_bytes(self, read_item, value)


def object_of(planner: SavePlanner, item: WriteItem) -> Any:
    """What is to be stored for an item that is no tensor: Held, or the bytes that the planner made itself.

    TypeError if these are pickle's.
    """
    if _is_default(planner, DefaultSavePlanner, "resolve_data", "transform_object"):
        return Held(planner.lookup_object(item.index))
    made = planner.resolve_data(item)
    if isinstance(made, Held) or not made.getvalue().startswith(_PICKLED):
        return made
    raise TypeError(
        f"{type(planner).__name__} turned {item.index.fqn!r} into bytes with torch.save, which is pickle: loading it "
        "would run code from the store. Nothing was saved. Derive the planner from "
        "waycairn.integrations.torch_dcp.WaycairnSavePlanner."
    )


def give_bytes(planner: Any, item: ReadItem, value: io.BytesIO) -> None:
    """Hand a loaded object to a planner, by its own `load_bytes` if it has one."""
    if _is_default(planner, DefaultLoadPlanner, "load_bytes"):
        put_bytes(planner, item, value)
    else:
        planner.load_bytes(item, value)


def put_bytes(planner: DefaultLoadPlanner, item: ReadItem, value: io.BytesIO) -> None:
    """What DefaultLoadPlanner.load_bytes does, but for the pickle."""
    name = item.dest_index.fqn
    if not isinstance(value, Held):
        raise TypeError(
            f"{name!r} was saved as bytes by a planner of its own, and {type(planner).__name__} has no load_bytes that "
            "reads them. Nothing was loaded from them. Load with the planner that belongs to the one that saved."
        )
    if planner.flatten_state_dict:
        set_element(planner.original_state_dict, planner.mappings[name], value.value)
    else:
        planner.state_dict[name] = value.value


def _is_default(planner: Any, base: type, *methods: str) -> bool:
    return isinstance(planner, base) and all(getattr(type(planner), name) is getattr(base, name) for name in methods)
