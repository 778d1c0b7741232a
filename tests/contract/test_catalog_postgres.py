"""The catalog's contract on a real PostgreSQL."""

import pytest

from waycairn.testing.catalog import CatalogContract


class TestPostgres(CatalogContract):
    @pytest.fixture
    def address(self, postgres_schema):
        return postgres_schema
