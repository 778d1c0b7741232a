"""DCP's Metadata as plain data and back: names of dtypes, lists of numbers, no class of torch in the store.

{"format": 1, "version": text or None, "storage_meta": [checkpoint id, save id, load id, [module, ...]] or None,
 "entries": {name: None (an object) or [dtype, layout, requires_grad, memory format, pin_memory, size,
             [[offsets, sizes], ...]]},
 "planner_data": whatever the planner left, for `codec` to store,
 "places": [[name, offset or None, index or None, part, group, number], ...]}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from waycairn.errors import StoreTooNew

FORMAT = 1


class Place(NamedTuple):
    """Where one item of a checkpoint lies."""

    part: int
    """Sequence of the part's checkpoint in the run of its save."""
    group: str
    """Which of the dicts of a part: see `parts`."""
    number: int
    """Position in that dict."""


def pack_metadata(metadata: Metadata) -> dict[str, Any]:
    """TypeError for an entry of a kind that DCP did not have when this was written."""
    return {
        "format": FORMAT,
        "version": metadata.version,
        "storage_meta": _pack_storage_meta(metadata.storage_meta),
        "entries": {name: _pack_entry(name, entry) for name, entry in metadata.state_dict_metadata.items()},
        "planner_data": metadata.planner_data,
        "places": [
            [index.fqn, None if index.offset is None else list(index.offset), index.index, *place]
            for index, place in metadata.storage_data.items()
        ],
    }


def unpack_metadata(plain: Mapping[str, Any]) -> Metadata:
    """Raises StoreTooNew for what a later waycairn wrote."""
    if plain["format"] != FORMAT:
        raise StoreTooNew(
            f"this DCP checkpoint has format {plain['format']}; this waycairn reads format {FORMAT}. Nothing was changed. "
            "Upgrade waycairn to load it."
        )
    return Metadata(
        state_dict_metadata={name: _unpack_entry(entry) for name, entry in plain["entries"].items()},
        planner_data=plain["planner_data"],
        storage_data={
            MetadataIndex(name, None if offset is None else torch.Size(offset), index): Place(*place)
            for name, offset, index, *place in plain["places"]
        },
        storage_meta=_unpack_storage_meta(plain["storage_meta"]),
        version=plain["version"],
    )


def _pack_entry(name: str, entry: Any) -> list[Any] | None:
    if isinstance(entry, BytesStorageMetadata):
        return None
    if not isinstance(entry, TensorStorageMetadata):
        raise TypeError(
            f"{name!r} is described by a {type(entry).__name__}, which waycairn cannot store. Nothing was saved. Use a "
            "planner that describes it as a tensor or as bytes."
        )
    properties = entry.properties
    return [
        _name(properties.dtype),
        _name(properties.layout),
        properties.requires_grad,
        _name(properties.memory_format),
        properties.pin_memory,
        list(entry.size),
        [[list(chunk.offsets), list(chunk.sizes)] for chunk in entry.chunks],
    ]


def _unpack_entry(entry: list[Any] | None) -> Any:
    if entry is None:
        return BytesStorageMetadata()
    dtype, layout, requires_grad, memory_format, pin_memory, size, chunks = entry
    return TensorStorageMetadata(
        properties=TensorProperties(
            dtype=_named(dtype, torch.dtype),
            layout=_named(layout, torch.layout),
            requires_grad=requires_grad,
            memory_format=_named(memory_format, torch.memory_format),
            pin_memory=pin_memory,
        ),
        size=torch.Size(size),
        chunks=[ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)) for offsets, sizes in chunks],
    )


def _pack_storage_meta(meta: StorageMeta | None) -> list[Any] | None:
    if meta is None:
        return None
    name = None if meta.checkpoint_id is None else os.fspath(meta.checkpoint_id)
    return [name, meta.save_id, meta.load_id, list(meta.modules)]


def _unpack_storage_meta(meta: list[Any] | None) -> StorageMeta:
    return StorageMeta() if meta is None else StorageMeta(*meta)


def _name(value: object) -> str:
    return str(value).removeprefix("torch.")


def _named(name: str, kind: type) -> Any:
    """A dtype, layout or memory format of torch by its name, and nothing else that torch has under that name."""
    value = getattr(torch, name, None)
    if not isinstance(value, kind):
        raise StoreTooNew(
            f"this DCP checkpoint was made with a torch that has {kind.__name__} {name!r}; torch {torch.__version__} has "
            "not. Nothing was changed. Upgrade torch to load it."
        )
    return value
