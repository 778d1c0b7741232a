"""Contract: the catalogue of backups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from waycairn.errors import OwnershipLost
from waycairn.model.backups import BackupFilter, BackupRecord, BackupState
from waycairn.model.ids import RunId
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_cut, a_run, a_step

VERIFIED, DELETING, DELETED = BackupState.VERIFIED, BackupState.DELETING, BackupState.DELETED
EXPORTING, EXPIRED = BackupState.EXPORTING, BackupState.EXPIRED


def a_backup(id_: str = "b1", **given: Any) -> BackupRecord:
    """A row as it is when a backup begins."""
    facts: dict[str, Any] = {
        "id": RunId(id_),
        "kind": "paths",
        "label": "old-exports/",
        "owner": "ada",
        "source": {"path": "/data/old-exports"},
        "state": EXPORTING,
        "created": NOW,
        "updated": NOW,
    }
    return BackupRecord(**{**facts, **given})


class BackupContract(CatalogCase):
    def test_a_backup_comes_back_as_it_was(self, catalog: Catalog) -> None:
        """Whatever is in its names; NULL stays None."""
        nasty: dict[str, Any] = {"path": "a\0b\udcff", "where": {"$text": 1.5}, "none": None, "": []}
        plain = a_backup()
        full = a_backup(
            "b2",
            label="\x1b\0é",
            owner="\udcff",
            source=nasty,
            state=DELETED,
            verified=NOW + 1,
            deleted=NOW + 2,
            expires=NOW + 0.1,
            pinned=True,
            records=2**40,
            size=2**50,
            stored=7,
            digest="ab" * 32,
            error="lost\0",
        )
        for record in (plain, full):
            catalog.add_backup(record)
            assert catalog.get_backup(record.id) == record
        assert catalog.get_backup(RunId("none")) is None

    def test_lists(self, catalog: Catalog) -> None:
        """By owner, kind and state; newest first; so many."""
        rows = [
            a_backup("b1", owner="ada"),
            a_backup("b2", owner="bob", created=NOW + 1, state=VERIFIED),
            a_backup("b3", kind="rows", created=NOW + 2, state=DELETED),
        ]
        for row in (rows[1], rows[0], rows[2]):
            catalog.add_backup(row)

        def ids(**which: Any) -> str:
            return " ".join(found.id for found in catalog.list_backups(BackupFilter(**which)))

        assert ids() == "b3 b2 b1"
        assert ids(limit=2) == "b3 b2"
        assert ids(owner="ada") == "b3 b1"
        assert ids(kind="paths", states=[VERIFIED, EXPORTING]) == "b2 b1"
        assert ids(states=[]) == ""

    def test_lists_by_the_page(self, catalog: Catalog) -> None:
        """A page goes on behind the last row of the one before, also among backups of the same moment, and whatever came or
        went meanwhile."""
        for number, moment in enumerate((NOW, NOW, NOW, NOW + 0.1, NOW - 1)):
            catalog.add_backup(a_backup(f"b{number}", created=moment, owner="ada" if number != 1 else "bob"))
        found: list[str] = []
        last: tuple[float, str] | None = None
        while page := catalog.list_backups(BackupFilter(before=last, limit=2)):
            found += [row.id for row in page]
            last = page[-1].created, page[-1].id
            catalog.add_backup(a_backup(f"new{len(found)}", created=NOW + 9))
        assert found == ["b3", "b2", "b1", "b0", "b4"]
        of_ada = catalog.list_backups(BackupFilter(owner="ada", before=(NOW, "b2")))
        assert [row.id for row in of_ada] == ["b0", "b4"]

    def test_only_one_goes_on(self, catalog: Catalog) -> None:
        """From a state that it was expected to be in; else nothing changes."""
        catalog.add_backup(a_backup(state=VERIFIED))
        backup = RunId("b1")
        assert catalog.change_backup(backup, [VERIFIED], NOW + 1, state=DELETING)
        assert not catalog.change_backup(backup, [VERIFIED], NOW + 2, state=DELETING, error="second")
        assert catalog.change_backup(backup, [DELETING, VERIFIED], NOW + 3, state=DELETED, deleted=NOW + 3)
        assert catalog.get_backup(backup) == a_backup(state=DELETED, updated=NOW + 3, deleted=NOW + 3)
        assert not catalog.change_backup(RunId("none"), [VERIFIED], NOW, pinned=True)

    def test_it_expires_when_its_time_is_over_and_not_before(self, catalog: Catalog) -> None:
        """Not a pinned one, nor one that has no end, nor one whose source is being deleted."""
        rows = {
            "over": a_backup("over", state=VERIFIED, expires=NOW),
            "deleted": a_backup("deleted", state=DELETED, expires=NOW - 1),
            "later": a_backup("later", state=VERIFIED, expires=NOW + 1),
            "never": a_backup("never", state=VERIFIED),
            "pinned": a_backup("pinned", state=VERIFIED, expires=NOW - 1, pinned=True),
            "deleting": a_backup("deleting", state=DELETING, expires=NOW - 1),
            "made": a_backup("made", expires=NOW - 1),
        }
        for row in rows.values():
            catalog.add_backup(row)
        assert [name for name in rows if catalog.expire_backup(RunId(name), NOW)] == ["over", "deleted"]
        assert not catalog.expire_backup(RunId("over"), NOW)
        assert catalog.get_backup(RunId("over")) == replace(rows["over"], state=EXPIRED)
        assert catalog.get_backup(RunId("deleting")) == rows["deleting"]

    def test_it_is_held(self, catalog: Catalog) -> None:
        """Later than it would expire, never earlier; and not once it has expired."""
        for name, expires in (("soon", NOW), ("late", NOW + 99), ("never", None)):
            catalog.add_backup(a_backup(name, state=VERIFIED, expires=expires))
        catalog.add_backup(a_backup("gone", state=EXPIRED, expires=NOW))
        held = {
            name: catalog.hold_backup(RunId(name), NOW + 9, NOW) for name in ("soon", "late", "never", "gone", "no")
        }
        assert held == {"soon": True, "late": True, "never": True, "gone": False, "no": False}
        left = {found.id: found.expires for found in catalog.list_backups(BackupFilter())}
        assert left == {"soon": NOW + 9, "late": NOW + 99, "never": None, "gone": NOW}

    def test_steps_are_carried_over(self, catalog: Catalog) -> None:
        """In one transaction with the look at whether they are still there; fenced like any commit."""
        old, new = added(catalog), added(catalog, a_run("other"))
        step = a_step("backup", "part")
        catalog.commit(a_cut(old.id, 1, steps=[step]))
        assert catalog.carry_steps(a_cut(new.id, 1, steps=[step]), old.id)
        with pytest.raises(OwnershipLost):
            catalog.carry_steps(a_cut(new.id, 2, epoch=7, steps=[structs.replace(step, name="x")]), old.id)
        catalog.delete_run(old.id)
        commit = a_cut(new.id, 2, steps=[structs.replace(step, name="again")])
        assert not catalog.carry_steps(commit, old.id)
        assert [found.step for found in catalog.list_steps(new.id)] == [step]
        assert present(catalog, new.id).sequence == 1

    def test_a_carried_step_whose_reply_was_lost(self, catalog: Catalog) -> None:
        """It is there, whatever became of the old one since."""
        old, new = added(catalog), added(catalog, a_run("other"))
        step = a_step("backup", "part")
        catalog.commit(a_cut(old.id, 1, steps=[step]))
        commit = a_cut(new.id, 1, steps=[step])
        assert catalog.carry_steps(commit, old.id)
        assert catalog.carry_steps(commit, old.id)
        catalog.delete_run(old.id)
        assert catalog.carry_steps(commit, old.id)
