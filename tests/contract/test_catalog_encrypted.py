"""The catalog's contract in an encrypted store: everything that is not about who shares it, on both databases."""

import pytest

from waycairn.catalog import open_catalog
from waycairn.crypto import GivenKeys
from waycairn.model.keys import DataKeys
from waycairn.testing.catalog_checkpoints import CheckpointContract
from waycairn.testing.catalog_chunks import ChunkContract
from waycairn.testing.catalog_commits import CommitContract
from waycairn.testing.catalog_copying import CopyContract
from waycairn.testing.catalog_history import HistoryContract
from waycairn.testing.catalog_items import ItemContract
from waycairn.testing.catalog_keys import KeyContract
from waycairn.testing.catalog_runs import RunContract
from waycairn.testing.catalog_sessions import SessionContract
from waycairn.testing.catalog_sweeps import SweepContract
from waycairn.testing.catalog_waiting import WaitingContract

KEYS = GivenKeys(DataKeys(1, {1: bytes(range(32))}))


class _Contract(
    RunContract,
    CommitContract,
    HistoryContract,
    ItemContract,
    WaitingContract,
    SessionContract,
    CheckpointContract,
    ChunkContract,
    SweepContract,
    KeyContract,
    CopyContract,
):
    @pytest.fixture
    def catalog(self, address):
        catalog = open_catalog(address, keys=KEYS)
        assert catalog.info.is_encrypted
        yield catalog
        catalog.close()


class TestEncryptedSqlite(_Contract):
    @pytest.fixture
    def address(self, tmp_path):
        return f"sqlite:///{tmp_path}/catalog.db"


class TestEncryptedPostgres(_Contract):
    @pytest.fixture
    def address(self, postgres_schema):
        return postgres_schema
