"""The contract of the wrapped keys."""

from __future__ import annotations

from dataclasses import replace

from waycairn.model.keys import DATA, PASSPHRASE, WrappedKey
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase
from waycairn.testing.records import NOW

ENTRY = WrappedKey(
    id="one", generation=0, kind=PASSPHRASE, parameters={"salt": "00", "times": 3}, wrapped=b"\0\1\2", created=NOW
)
FIRST = WrappedKey(id="data-1", generation=1, kind=DATA, wrapped=b"\3" * 61, created=NOW)


class KeyContract(CatalogCase):
    def test_a_plain_store_has_none(self, catalog: Catalog) -> None:
        """No rows of keys: that is what makes a store a plain one."""
        assert catalog.wrapped_keys() == []

    def test_keys_come_back_as_they_were(self, catalog: Catalog) -> None:
        """Bytes, parameters and order: ways in first."""
        assert catalog.replace_keys([], [FIRST, ENTRY])
        assert catalog.wrapped_keys() == [ENTRY, FIRST]

    def test_others_than_expected_are_left(self, catalog: Catalog) -> None:
        """Whoever does not know of the newest change changes nothing."""
        assert catalog.replace_keys([], [ENTRY, FIRST])
        assert not catalog.replace_keys([], [FIRST])
        assert not catalog.replace_keys([replace(ENTRY, wrapped=b"other"), FIRST], [FIRST])
        assert catalog.wrapped_keys() == [ENTRY, FIRST]
        assert catalog.replace_keys([FIRST, ENTRY], [FIRST])
        assert catalog.wrapped_keys() == [FIRST]
