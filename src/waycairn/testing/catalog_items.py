"""Contract: items that failed, and what done ones gave."""

from __future__ import annotations

from typing import Any

import pytest

from waycairn.errors import OwnershipLost
from waycairn.model.records import DoneItems, FailedItem, Progress
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_stored, an_owner, some_items


def a_failure(key: bytes, loop: str = "items", **given: Any) -> FailedItem:
    error = {"type": "ValueError", "message": f"bad {key!r}\0\udcff", "where": None, "traceback": "Traceback ..."}
    facts: dict[str, Any] = {"attempts": 1, "first": NOW, "last": NOW, "error": error, **given}
    return FailedItem(loop=loop, digest=(key * 16)[:16], key=key, **facts)


class ItemContract(CatalogCase):
    def test_results_come_back_with_their_items(self, catalog: Catalog) -> None:
        """Beside the keys of the same cut; a cut without results has none."""
        run = added(catalog)
        with_results = DoneItems(loop="items", count=2, keys=b"ab", results=a_stored(b"r"))
        catalog.commit(a_cut(run.id, 1, items=[with_results, some_items("other", b"c")]))
        catalog.commit(a_cut(run.id, 2, items=[some_items("items", b"d")]))
        assert list(catalog.done_items(run.id, "items")) == [with_results, some_items("items", b"d")]
        assert list(catalog.done_items(run.id, "other")) == [some_items("other", b"c")]

    def test_failures_are_counted_on_and_settled(self, catalog: Catalog) -> None:
        """Attempts add up, the first time stays, the newest error stands; one that is settled is gone."""
        run, other = added(catalog), added(catalog, a_run("other"))
        catalog.commit(a_cut(run.id, 1, failures=[a_failure(b"a"), a_failure(b"b"), a_failure(b"a", "loop\0")]))
        catalog.commit(a_cut(other.id, 1, failures=[a_failure(b"a")]))
        again = a_failure(b"a", attempts=2, first=NOW + 5, last=NOW + 6, error={"type": "OSError"})
        catalog.commit(a_cut(run.id, 2, failures=[again], settled=[("items", a_failure(b"b").digest)]))
        assert sorted(catalog.failures(run.id), key=lambda failed: failed.loop) == [
            a_failure(b"a", attempts=3, first=NOW, last=NOW + 6, error={"type": "OSError"}),
            a_failure(b"a", "loop\0"),
        ]
        assert catalog.failed_digests(run.id, "items") == {a_failure(b"a").digest: False}
        assert catalog.failed_digests(run.id, "loop\0") == {a_failure(b"a").digest: False}
        assert catalog.failed_digests(run.id, "nothing") == {}
        assert list(catalog.failures(other.id)) == [a_failure(b"a")]

    def test_poison_is_told_from_other_failures(self, catalog: Catalog) -> None:
        """And the newest failure says which of both it is."""
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1, failures=[a_failure(b"a"), a_failure(b"b", poison=True)]))
        assert catalog.failed_digests(run.id, "items") == {b"a" * 16: False, b"b" * 16: True}
        catalog.commit(a_cut(run.id, 2, failures=[a_failure(b"a", poison=True), a_failure(b"b")]))
        assert catalog.failed_digests(run.id, "items") == {b"a" * 16: True, b"b" * 16: False}
        assert {failed.key: failed.poison for failed in catalog.failures(run.id)} == {b"a": True, b"b": False}

    def test_many_failures_are_read_in_pages(self, catalog: Catalog) -> None:
        """None twice, none left out."""
        run = added(catalog)
        many = [a_failure(b"%03d" % number, f"loop {number % 3}") for number in range(600)]
        catalog.commit(a_cut(run.id, 1, failures=many))
        found = list(catalog.failures(run.id))
        assert sorted(found, key=lambda failed: failed.key) == many
        assert [failed.loop for failed in found] == sorted(failed.loop for failed in many)

    def test_items_are_read_from_where_one_stopped(self, catalog: Catalog) -> None:
        """Behind a commit, and behind a failure, whatever was read before."""
        run = added(catalog)
        for number in range(1, 4):
            catalog.commit(a_cut(run.id, number, items=[some_items("loop", b"%d" % number)]))
        blocks = list(catalog.done_after(run.id, "loop", -1))
        assert [at for at, _ in blocks] == [1, 2, 3]
        assert [block for _, block in blocks] == list(catalog.done_items(run.id, "loop"))
        assert list(catalog.done_after(run.id, "loop", 1)) == blocks[1:]
        catalog.commit(a_cut(run.id, 4, failures=[a_failure(b"%d" % number) for number in range(5)]))
        failures = list(catalog.failures(run.id))
        assert len(failures) == 5
        third = failures[2]
        assert list(catalog.failures(run.id, (third.loop, third.digest))) == failures[3:]

    def test_the_newest_failures_come_first(self, catalog: Catalog) -> None:
        """By commit, within one by time; one that failed again is new again; of this run, and no more than asked for."""
        run, other = added(catalog), added(catalog, a_run("other"))
        catalog.commit(a_cut(run.id, 1, failures=[a_failure(b"a"), a_failure(b"b", "other"), a_failure(b"c")]))
        catalog.commit(a_cut(other.id, 1, failures=[a_failure(b"x")]))
        later = [a_failure(b"d", last=NOW + 1), a_failure(b"e", last=NOW + 2), a_failure(b"b", "other", last=NOW)]
        catalog.commit(a_cut(run.id, 2, failures=later))
        assert [failed.key for failed in catalog.newest_failures(run.id, 3)] == [b"e", b"d", b"b"]
        assert {failed.key for failed in catalog.newest_failures(run.id, 9)} == {b"a", b"b", b"c", b"d", b"e"}
        assert list(catalog.newest_failures(other.id, 9)) == [a_failure(b"x")]

    def test_failures_are_fenced(self, catalog: Catalog) -> None:
        """An owner that was displaced records none."""
        run = added(catalog)
        assert catalog.take_over(run.id, 1, an_owner(), NOW)
        with pytest.raises(OwnershipLost):
            catalog.commit(a_cut(run.id, 1, failures=[a_failure(b"a")]))
        assert list(catalog.failures(run.id)) == []

    def test_a_deleted_run_takes_its_failures_along(self, catalog: Catalog) -> None:
        """Nothing hangs in the air."""
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1, failures=[a_failure(b"a")]))
        catalog.delete_run(run.id)
        assert list(catalog.failures(run.id)) == []

    def test_rewind_takes_later_items_out_of_the_count(self, catalog: Catalog) -> None:
        """Done and failed ones; what stood before stands."""
        run = added(catalog)
        catalog.commit(
            a_cut(
                run.id,
                1,
                items=[some_items("items", b"a", b"b")],
                failures=[a_failure(b"x")],
                checkpoint=a_checkpoint(),
                progress=Progress(done=2, failed=1, total=9),
            )
        )
        catalog.commit(
            a_cut(
                run.id,
                2,
                items=[some_items("items", b"c"), some_items("other", b"d", b"e")],
                failures=[a_failure(b"y"), a_failure(b"z")],
                progress=Progress(done=5, failed=3, total=9),
            )
        )
        catalog.rewind(run.id, 1, 1, NOW)
        assert present(catalog, run.id).progress == Progress(done=2, failed=1, total=9)
        assert list(catalog.failures(run.id)) == [a_failure(b"x")]
        assert catalog.loops(run.id) == {"items": 2}
