"""The catalog's contract on SQLite."""

import pytest

from waycairn.testing.catalog import CatalogContract


class TestSqlite(CatalogContract):
    @pytest.fixture
    def address(self, tmp_path):
        return f"sqlite:///{tmp_path}/catalog.db"
