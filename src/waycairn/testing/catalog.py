"""The one behavioural contract of a catalog. A new back-end subclasses `CatalogContract` and gives an address:

    class TestSqlite(CatalogContract):
        @pytest.fixture
        def address(self, tmp_path):
            return f"sqlite:///{tmp_path}/catalog.db"

Every sentence of the docstrings in `ports` that a caller can observe is a test in one of its parts.
"""

from __future__ import annotations

from waycairn.testing.catalog_accounts import AccountContract
from waycairn.testing.catalog_audit import AuditContract
from waycairn.testing.catalog_backups import BackupContract
from waycairn.testing.catalog_branches import BranchContract
from waycairn.testing.catalog_checkpoints import CheckpointContract
from waycairn.testing.catalog_chunks import ChunkContract
from waycairn.testing.catalog_commits import CommitContract
from waycairn.testing.catalog_copying import CopyContract
from waycairn.testing.catalog_damage import DamageContract
from waycairn.testing.catalog_entries import EntryContract
from waycairn.testing.catalog_history import HistoryContract
from waycairn.testing.catalog_identity import IdentityContract
from waycairn.testing.catalog_items import ItemContract
from waycairn.testing.catalog_keys import KeyContract
from waycairn.testing.catalog_measurements import MeasureContract
from waycairn.testing.catalog_moving import MovingContract
from waycairn.testing.catalog_repacking import RepackContract
from waycairn.testing.catalog_retention import RetentionContract
from waycairn.testing.catalog_run_pages import RunPageContract
from waycairn.testing.catalog_runs import RunContract
from waycairn.testing.catalog_sessions import SessionContract
from waycairn.testing.catalog_sharing import SharingContract
from waycairn.testing.catalog_sweeps import SweepContract
from waycairn.testing.catalog_upkeep import UpkeepContract
from waycairn.testing.catalog_waiting import WaitingContract

__all__ = ["CatalogContract"]


class CatalogContract(
    IdentityContract,
    RunContract,
    RunPageContract,
    CommitContract,
    HistoryContract,
    ItemContract,
    WaitingContract,
    SessionContract,
    CheckpointContract,
    ChunkContract,
    SweepContract,
    RepackContract,
    KeyContract,
    CopyContract,
    MovingContract,
    UpkeepContract,
    DamageContract,
    MeasureContract,
    RetentionContract,
    SharingContract,
    AuditContract,
    BackupContract,
    BranchContract,
    AccountContract,
    EntryContract,
):
    """All of it."""
