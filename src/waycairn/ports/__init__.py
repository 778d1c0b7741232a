"""The small contracts between layers, with their fine print. `testing` holds the behavioural suites for them."""

from __future__ import annotations

from waycairn.ports.blobs import BlobCapabilities, BlobInfo, Blobs, BlobWriter
from waycairn.ports.catalog import (
    Catalog,
    CheckpointRows,
    ChunkRows,
    CommitRows,
    ItemRows,
    RunRows,
    SessionRows,
    SweepRows,
    WaitingRows,
)
from waycairn.ports.catalog_retention import RetentionRows, RoomRows, WorkRows
from waycairn.ports.catalog_upkeep import UpkeepRows
from waycairn.ports.measuring import Listener, MeasureRows, Meter
from waycairn.ports.ownership import Hold, Ownership
from waycairn.ports.parallel import Executor, Flights, Job
from waycairn.ports.sealing import Vault
from waycairn.ports.world import Buffer, Clock, Stateful

__all__ = [
    "BlobCapabilities",
    "BlobInfo",
    "BlobWriter",
    "Blobs",
    "Buffer",
    "Catalog",
    "CheckpointRows",
    "ChunkRows",
    "Clock",
    "CommitRows",
    "Executor",
    "Flights",
    "Hold",
    "ItemRows",
    "Job",
    "Listener",
    "MeasureRows",
    "Meter",
    "Ownership",
    "RetentionRows",
    "RoomRows",
    "RunRows",
    "SessionRows",
    "Stateful",
    "SweepRows",
    "UpkeepRows",
    "Vault",
    "WaitingRows",
    "WorkRows",
]
