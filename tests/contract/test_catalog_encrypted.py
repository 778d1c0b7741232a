"""The catalog's contract in an encrypted store: everything that is not about who shares it; and on PostgreSQL, what is
stored there in another form."""

import pytest

from waycairn.catalog import open_catalog
from waycairn.crypto import GivenKeys
from waycairn.model.keys import DataKeys
from waycairn.testing.catalog_audit import AuditContract
from waycairn.testing.catalog_checkpoints import CheckpointContract
from waycairn.testing.catalog_chunks import ChunkContract
from waycairn.testing.catalog_commits import CommitContract
from waycairn.testing.catalog_copying import CopyContract
from waycairn.testing.catalog_damage import DamageContract
from waycairn.testing.catalog_history import HistoryContract
from waycairn.testing.catalog_items import ItemContract
from waycairn.testing.catalog_measurements import MeasureContract
from waycairn.testing.catalog_moving import MovingContract
from waycairn.testing.catalog_retention import RetentionContract
from waycairn.testing.catalog_run_pages import RunPageContract
from waycairn.testing.catalog_runs import RunContract
from waycairn.testing.catalog_sessions import SessionContract
from waycairn.testing.catalog_sweeps import SweepContract
from waycairn.testing.catalog_upkeep import UpkeepContract
from waycairn.testing.catalog_waiting import WaitingContract

KEYS = GivenKeys(DataKeys(1, {1: bytes(range(32))}))


class _Encrypted:
    @pytest.fixture
    def catalog(self, address):
        catalog = open_catalog(address, keys=KEYS)
        assert catalog.info.is_encrypted
        yield catalog
        catalog.close()


class TestEncryptedSqlite(
    _Encrypted,
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
    CopyContract,
    MovingContract,
    UpkeepContract,
    DamageContract,
    MeasureContract,
    RetentionContract,
    AuditContract,
):
    @pytest.fixture
    def address(self, tmp_path):
        return f"sqlite:///{tmp_path}/catalog.db"


@pytest.mark.torture  # the plans are checked for both databases in tests/unit/test_catalog_sealed_plan.py
class TestEncryptedPostgres(_Encrypted, ItemContract, SessionContract, CheckpointContract, MovingContract):
    @pytest.fixture
    def address(self, postgres_schema):
        return postgres_schema
