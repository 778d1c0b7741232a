"""The small contracts between layers, with their fine print. `testing` holds the behavioural suites for them."""

from __future__ import annotations

from waycairn.ports.blobs import BlobCapabilities, BlobInfo, Blobs, BlobWriter, Filling, Part
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
from waycairn.ports.catalog_audit import AuditRows, Rider
from waycairn.ports.catalog_backups import BackupRows
from waycairn.ports.catalog_branches import BranchRows
from waycairn.ports.catalog_copying import CopiedRow, CopyRows, TableReader
from waycairn.ports.catalog_damage import DamageRows
from waycairn.ports.catalog_keys import KeyRows
from waycairn.ports.catalog_moving import MovedRow, MovingRows, RunReader
from waycairn.ports.catalog_repacking import RepackRows
from waycairn.ports.catalog_retention import RetentionRows, RoomRows
from waycairn.ports.catalog_sizes import SizeRows
from waycairn.ports.catalog_upkeep import UpkeepRows
from waycairn.ports.measuring import Listener, MeasureRows, Meter
from waycairn.ports.ownership import Hold, Ownership
from waycairn.ports.parallel import Executor, Flights, Job
from waycairn.ports.sealing import Keyholder, PackKey, Vault
from waycairn.ports.world import Buffer, Clock, Stateful

__all__ = [
    "AuditRows",
    "BackupRows",
    "BlobCapabilities",
    "BlobInfo",
    "BlobWriter",
    "Blobs",
    "BranchRows",
    "Buffer",
    "Catalog",
    "CheckpointRows",
    "ChunkRows",
    "Clock",
    "CommitRows",
    "CopiedRow",
    "CopyRows",
    "DamageRows",
    "Executor",
    "Filling",
    "Flights",
    "Hold",
    "ItemRows",
    "Job",
    "KeyRows",
    "Keyholder",
    "Listener",
    "MeasureRows",
    "Meter",
    "MovedRow",
    "MovingRows",
    "Ownership",
    "PackKey",
    "Part",
    "RepackRows",
    "RetentionRows",
    "Rider",
    "RoomRows",
    "RunReader",
    "RunRows",
    "SessionRows",
    "SizeRows",
    "Stateful",
    "SweepRows",
    "TableReader",
    "UpkeepRows",
    "Vault",
    "WaitingRows",
]
