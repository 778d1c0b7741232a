"""Contract: what waits, computed results and queues."""

from __future__ import annotations

import pytest

from waycairn.model.records import ComputedItem
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_stored


def a_computed(name: bytes, loop: str = "items") -> ComputedItem:
    return ComputedItem(loop=loop, digest=name * 16, key=name, result=a_stored(name))


class WaitingContract(CatalogCase):
    def test_computed_items_wait_until_they_are_folded(self, catalog: Catalog) -> None:
        """In the order of the commits, by loop and run; the commit that folds one takes it away."""
        run, other = added(catalog), added(catalog, a_run("other"))
        assert list(catalog.computed(run.id, "items")) == []
        catalog.commit(a_cut(run.id, 1, computed=[a_computed(b"z"), a_computed(b"q", "second")]))
        catalog.commit(a_cut(other.id, 1, computed=[a_computed(b"z")]))
        catalog.commit(a_cut(run.id, 2, computed=[a_computed(b"a")]))
        assert list(catalog.computed(run.id, "items")) == [a_computed(b"z"), a_computed(b"a")]
        catalog.commit(a_cut(run.id, 3, folded=[("items", b"z" * 16)]))
        assert list(catalog.computed(run.id, "items")) == [a_computed(b"a")]
        assert list(catalog.computed(run.id, "second")) == [a_computed(b"q", "second")]
        assert list(catalog.computed(other.id, "items")) == [a_computed(b"z")]

    def test_an_item_is_computed_once(self, catalog: Catalog) -> None:
        """A second result for an item that waits is refused, and with it the whole commit."""
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1, computed=[a_computed(b"a")]))
        with pytest.raises(ValueError, match="committed before"):
            catalog.commit(a_cut(run.id, 2, computed=[a_computed(b"b"), a_computed(b"a")]))
        assert list(catalog.computed(run.id, "items")) == [a_computed(b"a")]

    def test_queues_hand_out_what_was_added_in_order(self, catalog: Catalog) -> None:
        """One bundle a commit and queue; over more than one page."""
        run = added(catalog)
        for number in range(1, 101):
            catalog.commit(a_cut(run.id, number, queued={"links": a_stored(bytes([number]))}))
        catalog.commit(a_cut(run.id, 101, queued={"other": a_stored(b"x")}))
        assert list(catalog.queued(run.id, "links")) == [a_stored(bytes([number])) for number in range(1, 101)]
        assert list(catalog.queued(run.id, "other")) == [a_stored(b"x")]
        assert list(catalog.queued(run.id, "third")) == []
        catalog.commit(a_cut(run.id, 102, computed=[a_computed(b"a", "loop\0")]))
        assert catalog.waiting(run.id) == ["links", "loop\0", "other"]
        assert catalog.waiting(added(catalog, a_run("other")).id) == []

    def test_rewind_takes_what_was_computed_and_queued_later(self, catalog: Catalog) -> None:
        """What stood at the checkpoint stands."""
        run = added(catalog)
        catalog.commit(
            a_cut(run.id, 1, computed=[a_computed(b"a")], queued={"q": a_stored(b"1")}, checkpoint=a_checkpoint())
        )
        catalog.commit(a_cut(run.id, 2, computed=[a_computed(b"b")], queued={"q": a_stored(b"2")}))
        catalog.rewind(run.id, 1, 1, NOW)
        assert list(catalog.computed(run.id, "items")) == [a_computed(b"a")]
        assert list(catalog.queued(run.id, "q")) == [a_stored(b"1")]

    def test_a_removed_run_takes_along_what_waits(self, catalog: Catalog) -> None:
        """Nothing hangs in the air."""
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1, computed=[a_computed(b"a")], queued={"q": a_stored(b"1")}))
        catalog.delete_run(run.id)
        assert list(catalog.computed(run.id, "items")) == []
        assert list(catalog.queued(run.id, "q")) == []
