"""Contract: what upkeep did last."""

from __future__ import annotations

from waycairn.ports import Catalog
from waycairn.ports.catalog_upkeep import UpkeepNote
from waycairn.testing.catalog_case import CatalogCase
from waycairn.testing.records import NOW


class UpkeepContract(CatalogCase):
    def test_the_last_note_of_a_name_stands(self, catalog: Catalog) -> None:
        """One row a name; another name has its own; nothing was noted before the first."""
        assert catalog.upkeep_note("verify") is None
        catalog.note_upkeep("verify", NOW, {"damaged": 2, "part": "1/7"})
        catalog.note_upkeep("sweep", NOW + 1, {})
        catalog.note_upkeep("verify", NOW + 2, {"damaged": 0})
        assert catalog.upkeep_note("verify") == UpkeepNote(NOW + 2, {"damaged": 0})
        assert catalog.upkeep_note("sweep") == UpkeepNote(NOW + 1, {})
