"""What the parts of the catalog contract share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from waycairn.catalog import open_catalog
from waycairn.model.ids import RunId
from waycairn.model.records import NewRun, RunRecord
from waycairn.ports import Catalog
from waycairn.testing.records import NOW, a_run


class CatalogCase:
    """One empty catalog a test, at the address that the back-end's test gives."""

    @pytest.fixture
    def address(self) -> str:
        raise NotImplementedError("give the address of an empty place, one a test")

    @pytest.fixture
    def catalog(self, address: str) -> Iterator[Catalog]:
        catalog = open_catalog(address)
        yield catalog
        catalog.close()


def added(catalog: Catalog, run: NewRun | None = None) -> RunRecord:
    """The run as the catalog tells it after adding it."""
    new = run or a_run()
    assert catalog.add_run(new, NOW)
    return present(catalog, new.id)


def present(catalog: Catalog, run: RunId) -> RunRecord:
    """The run, which must be there."""
    record = catalog.get_run(run)
    assert record is not None
    return record
