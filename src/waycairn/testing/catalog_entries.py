"""Contract: entries into runs, and how they ended."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from waycairn.catalog import open_catalog
from waycairn.errors import OwnershipLost
from waycairn.model.entries import RunEntry
from waycairn.model.records import Commit
from waycairn.model.states import RunStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, an_owner

ME, HEIR = an_owner(1), an_owner(2)
FIRST = RunEntry(epoch=1, begun=NOW, owner=ME, sequence=0, ended=None, ending=None)


class EntryContract(CatalogCase):
    def test_an_entry_begins_with_the_run_and_ends_as_it_is_left(self, catalog: Catalog) -> None:
        """By the commit that says so and by none before; the next one is a row of its own."""
        run = added(catalog, a_run(owner=ME))
        catalog.commit(a_cut(run.id, 1))
        assert catalog.entries(run.id) == [FIRST]
        catalog.commit(_at(a_cut(run.id, 2, status=RunStatus.PARTIAL), NOW + 5))
        left = replace(FIRST, ended=NOW + 5, ending="partial")
        assert catalog.entries(run.id) == [left]
        assert catalog.take_over(run.id, 1, HEIR, NOW + 9)
        assert catalog.entries(run.id) == [
            left,
            RunEntry(epoch=2, begun=NOW + 9, owner=HEIR, sequence=2, ended=None, ending=None),
        ]

    def test_who_never_left_was_there_until_its_last_commit(self, catalog: Catalog) -> None:
        """Told when the next one enters; a takeover that loses tells nothing, a commit that is refused neither."""
        run = added(catalog, a_run(owner=ME))
        catalog.commit(_at(a_cut(run.id, 1), NOW + 3))
        assert not catalog.take_over(run.id, 2, HEIR, NOW + 9)
        assert catalog.entries(run.id) == [FIRST]
        assert catalog.take_over(run.id, 1, HEIR, NOW + 9)
        with pytest.raises(OwnershipLost):
            catalog.commit(_at(a_cut(run.id, 2, status=RunStatus.COMPLETED), NOW + 10))
        lost, heir = catalog.entries(run.id)
        assert (lost.ended, lost.ending) == (NOW + 3, "orphaned")
        assert (heir.epoch, heir.sequence, heir.ended) == (2, 1, None)

    def test_a_forced_takeover_displaces_and_enters_nothing(self, catalog: Catalog) -> None:
        """The run waits, without an owner; who enters it then is the next."""
        run = added(catalog, a_run(owner=ME))
        assert catalog.take_over(run.id, 1, None, NOW + 2)
        after = present(catalog, run.id)
        assert (after.owner, after.status, after.epoch) == (None, RunStatus.RUNNING, 2)
        displaced = replace(FIRST, ended=NOW, ending="displaced")
        assert catalog.entries(run.id) == [displaced]
        assert catalog.take_over(run.id, 2, HEIR, NOW + 4)
        assert [entry.epoch for entry in catalog.entries(run.id)] == [1, 3]
        assert catalog.entries(run.id)[0] == displaced

    def test_a_run_that_replaces_another_begins_with_its_own(self, catalog: Catalog) -> None:
        """What it replaced keeps those it had."""
        old = added(catalog, a_run(owner=ME))
        new = a_run(owner=HEIR)
        assert catalog.replace_run(old.id, 1, new, NOW + 5)
        assert catalog.entries(old.id) == [FIRST]
        assert catalog.entries(new.id) == [replace(FIRST, owner=HEIR, begun=NOW + 5)]

    def test_what_nobody_holds_has_none(self, catalog: Catalog) -> None:
        """Phases, which are held through their root, and runs without an owner."""
        root = added(catalog, a_run(owner=ME))
        phase, value = added(catalog, a_run("phase", below=root)), added(catalog, a_run("value"))
        for run in (phase, value):
            catalog.commit(a_cut(run.id, 1, status=RunStatus.COMPLETED))
            assert catalog.entries(run.id) == []
        assert catalog.entries(root.id) == [FIRST]

    def test_entries_outlive_a_rewind_and_go_with_their_run(self, catalog: Catalog) -> None:
        """A rewind cuts back what was done, never that somebody did it; who never left is known to be gone by then."""
        run = added(catalog, a_run(owner=ME))
        catalog.commit(_at(a_cut(run.id, 1, checkpoint=a_checkpoint()), NOW + 1))
        catalog.reopen(run.id, 1, 1, NOW + 7)
        assert catalog.entries(run.id) == [replace(FIRST, ended=NOW + 1, ending="orphaned")]
        assert catalog.take_over(run.id, 2, HEIR, NOW + 8)
        assert [entry.epoch for entry in catalog.entries(run.id)] == [1, 3]
        catalog.delete_run(run.id)
        assert catalog.entries(run.id) == []

    def test_entries_travel_with_their_run(self, catalog: Catalog) -> None:
        """Out of a store and into one; and it can be entered again there, also if its owner never left it."""
        run = added(catalog, a_run(owner=ME))
        assert catalog.take_over(run.id, 1, HEIR, NOW + 9)
        before = catalog.entries(run.id)
        rows = catalog.read_runs(lambda moment: list(moment.rows_of(run.id)))
        catalog.delete_run(run.id)
        catalog.put_run(lambda: rows, catalog.sweep_epoch())
        assert catalog.entries(run.id) == before
        assert catalog.take_over(run.id, 2, ME, NOW + 20)
        assert [entry.ending for entry in catalog.entries(run.id)] == ["orphaned", "orphaned", None]

    def test_entries_are_there_when_it_is_opened_again(self, catalog: Catalog, address: str) -> None:
        """Whoever opens the catalog sees them."""
        run = added(catalog, a_run(owner=ME))
        other = open_catalog(address)
        try:
            assert other.entries(run.id) == [FIRST]
        finally:
            other.close()


def _at(commit: Commit, now: float) -> Commit:
    return msgspec.structs.replace(commit, now=now)
