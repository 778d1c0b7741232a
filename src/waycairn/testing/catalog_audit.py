"""Contract: the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from waycairn.catalog import open_catalog
from waycairn.errors import OwnershipLost
from waycairn.model.audit import BEGINNING, AuditEntry, AuditFilter, AuditRow, Outcome, chain_hash
from waycairn.model.ids import RunId
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.records import NOW, a_run


def an_entry(act: str = "run.discard", **given: Any) -> AuditEntry:
    return AuditEntry(**{"at": NOW, "actor": "ada@host", "act": act, **given})


def chain_of(catalog: Catalog) -> list[AuditRow]:
    """All rows, each of which must follow from the one before."""
    rows = list(catalog.audit_after(0))
    previous = BEGINNING
    for number, row in enumerate(rows, start=1):
        assert row.number == number
        assert row.hash == chain_hash(catalog.info.secret, previous, number, row.entry)
        previous = row.hash
    return rows


class AuditContract(CatalogCase):
    def test_rows_come_back_as_they_were(self, catalog: Catalog) -> None:
        """Whatever text is in them; and the hash is over what comes back."""
        nasty = {"path": "a\0b\udcff", "big": 10**30, "list": [1, None, True, {"é": "ü"}], "": "", "$text": "x"}
        entries = [
            an_entry(facts=nasty, object="\x1b\0", actor="\udcffé"),
            an_entry("export", outcome=Outcome.FAILED),
            an_entry(at=0.1 + 0.2),
        ]
        added_rows = [catalog.add_audit(entry) for entry in entries]
        assert [row.entry for row in chain_of(catalog)] == entries
        assert chain_of(catalog) == added_rows
        assert catalog.newest_audit() == (3, added_rows[-1].hash)

    def test_more_than_a_page(self, catalog: Catalog) -> None:
        """Both ways, lazily."""
        for number in range(300):
            catalog.add_audit(an_entry(facts={"n": number}))
        assert len(chain_of(catalog)) == 300
        backwards = [row.number for row in catalog.audit_before(None)]
        assert backwards == list(range(300, 0, -1))
        assert [row.number for row in catalog.audit_before(3)] == [2, 1]
        assert [row.number for row in catalog.audit_after(299)] == [300]

    def test_rows_that_match(self, catalog: Catalog) -> None:
        """By each of what a filter says and by all of it, a page and more of them, exactly: also what looks like a pattern."""
        entries = [
            an_entry("run.remove", at=NOW + 1, actor="ada (root@host)", object="run1"),
            an_entry("run.discard", at=NOW + 2, actor="root@host", object="run2", outcome=Outcome.REFUSED),
            an_entry("runs.wipe", at=NOW + 3, actor="a_a (Root@host%)", object="run_"),
            an_entry("sweep", at=NOW + 4, actor="é\udcff@host"),
        ]
        for entry in entries:
            catalog.add_audit(entry)
        for wanted, numbers in (
            (AuditFilter(), [4, 3, 2, 1]),
            (AuditFilter(since=NOW + 2, until=NOW + 4), [3, 2]),
            (AuditFilter(actor="ada"), [1]),
            (AuditFilter(actor="root"), [2, 1]),
            (AuditFilter(actor="root@host"), [2, 1]),
            (AuditFilter(actor="ada (root@host)"), [1]),
            (AuditFilter(actor="a_a"), [3]),
            (AuditFilter(actor="é\udcff"), [4]),
            (AuditFilter(actor="roo"), []),
            (AuditFilter(act="run"), [2, 1]),
            (AuditFilter(act="run.remove"), [1]),
            (AuditFilter(object="run_"), [3]),
            (AuditFilter(outcome=Outcome.REFUSED), [2]),
            (AuditFilter(outcome=Outcome.DONE, actor="root", since=NOW), [1]),
        ):
            assert [row.number for row in catalog.audit_before(None, wanted)] == numbers, wanted
        assert [row.number for row in catalog.audit_before(2, AuditFilter(actor="root"))] == [1]
        for number in range(600):
            catalog.add_audit(an_entry("even" if number % 2 else "odd"))
        assert [row.number for row in catalog.audit_before(None, AuditFilter(act="even"))] == list(range(604, 4, -2))

    def test_a_row_rides_in_a_transaction(self, catalog: Catalog) -> None:
        """With it, made of what it gave; in the first of the block alone; never without it."""
        run = added(catalog)
        with catalog.riding(lambda _: an_entry("run.remove")) as rider:
            catalog.delete_run(run.id)
            assert rider.is_there
            catalog.delete_run(run.id)
        assert [row.entry.act for row in chain_of(catalog)] == ["run.remove"]
        other = added(catalog, a_run("other"))
        with catalog.riding(lambda _: an_entry()) as rider, pytest.raises(OwnershipLost):
            catalog.rewind(other.id, 7, 0, NOW)
        assert not rider.is_there
        with catalog.riding(lambda done: an_entry(facts={"was": done}) if done else None):
            assert not catalog.pin_checkpoint(RunId("nothing"), 1, True)
        assert len(chain_of(catalog)) == 1

    def test_what_was_done_to_a_run_and_its_checkpoints(self, catalog: Catalog) -> None:
        """The newest first, at most so many, and nothing of a run whose id only begins alike."""
        for thing in ("abc", "abc.1", "abcd", "abcd.1", None, "abc.27", "x"):
            catalog.add_audit(an_entry(object=thing))
        assert [row.entry.object for row in catalog.audit_of_run(RunId("abc"), 9)] == ["abc.27", "abc.1", "abc"]
        assert [row.entry.object for row in catalog.audit_of_run(RunId("abc"), 2)] == ["abc.27", "abc.1"]

    def test_several_append_at_once(self, address: str) -> None:
        """Two that take turns: neither gaps nor branches."""
        one, other = open_catalog(address), open_catalog(address)
        try:
            for number in range(20):
                (one, other)[number % 2].add_audit(an_entry(facts={"n": number}))
            assert [row.entry.facts["n"] for row in chain_of(one)] == list(range(20))
        finally:
            one.close()
            other.close()

    def test_the_old_end_is_cut_off(self, catalog: Catalog) -> None:
        """The rows go and a row says so, in one; numbers and hashes go on."""
        rows = [catalog.add_audit(an_entry(facts={"n": number})) for number in range(5)]

        def entry_of(last: AuditRow, removed: int) -> AuditEntry:
            return an_entry("audit.cut", facts={"through": last.number, "rows": removed})

        assert catalog.cut_audit(0, entry_of) == 0
        assert catalog.cut_audit(3, entry_of) == 3
        left = list(catalog.audit_after(0))
        assert [row.number for row in left] == [4, 5, 6]
        assert left[-1].entry.facts == {"through": 3, "rows": 3}
        assert left[-1].hash == chain_hash(catalog.info.secret, rows[-1].hash, 6, left[-1].entry)
