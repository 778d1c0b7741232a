"""The contract of whole tables on their way into another catalog."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from waycairn.catalog import open_catalog
from waycairn.errors import CopyUnfinished, StoreError
from waycairn.model.journal import JournalRows
from waycairn.model.records import FailedItem, Progress
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run

ODD = {"nan": math.nan, "nul": "a\0b", "half": "\ud800", "zero": -0.0, "large": 1e22, "deep": [None, True, {"a": []}]}


class CopyContract(CatalogCase):
    @pytest.fixture
    def other(self, tmp_path: Any) -> Iterator[Catalog]:
        """A copy that is being made, on SQLite."""
        catalog = open_catalog(f"sqlite:///{tmp_path}/other.db", copy=True)
        yield catalog
        catalog.close()

    def test_rows_come_over_as_they_were(self, catalog: Catalog, other: Catalog) -> None:
        """There and back: runs, checkpoints and failures, with everything that is odd in them; identities, too."""
        run = added(catalog, a_run("job", key="k\0", metadata=ODD, tags=("a", "ü")))
        child = added(catalog, a_run("phase", below=run))
        failed = FailedItem(
            loop="items", digest=b"\1" * 16, key=b"key", attempts=2, first=1.0, last=2.0, poison=True, error=ODD
        )
        checkpoint = a_checkpoint(metadata=ODD, outputs={"out.txt": 7})
        catalog.commit(a_cut(run.id, 1, checkpoint=checkpoint, failures=[failed], journal=JournalRows()))
        _copy(catalog, other)
        assert repr(present(other, run.id)) == repr(present(catalog, run.id))
        assert other.find_run(run.id, child.name, None) is not None
        assert repr([*other.failures(run.id)]) == repr([*catalog.failures(run.id)])
        assert repr(other.get_checkpoint(run.id, 1)) == repr(catalog.get_checkpoint(run.id, 1))
        assert not other.add_run(a_run("job", key="k\0"), NOW), "the identity is taken"
        assert other.add_run(a_run("job", key="another"), NOW), "and numbers of runs go on"

    def test_a_moment_sees_nothing_later(self, catalog: Catalog) -> None:
        """What is committed while a copy reads is not in it."""
        added(catalog)

        def read(moment: Any) -> list[int]:
            before = moment.count("runs")
            added(catalog, a_run("later"))
            return [before, moment.count("runs"), sum(len(page) for page in moment.rows("runs"))]

        assert catalog.at_one_moment(read) == [1, 1, 1]
        assert catalog.at_one_moment(lambda moment: moment.count("runs")) == 2

    def test_pages_have_every_row_once(self, catalog: Catalog) -> None:
        """Also of more than one page, and of keys of several columns."""
        run = added(catalog)
        for number in range(1, 1202):
            catalog.commit(a_cut(run.id, number, checkpoint=a_checkpoint(), progress=Progress(done=number)))
        read = catalog.at_one_moment(lambda moment: [row for page in moment.rows("checkpoints") for row in page])
        assert [row["sequence"] for row in read] == list(range(1, 1202))
        assert {row["run_id"] for row in read} == {run.id}

    def test_clearing_leaves_nothing(self, catalog: Catalog, other: Catalog) -> None:
        """A copy can be begun again."""
        added(catalog)
        for _ in range(2):
            other.clear_copied()
            _copy(catalog, other)
        assert other.at_one_moment(lambda moment: moment.count("runs")) == 1

    def test_an_unfinished_copy_is_no_store(self, address: str) -> None:
        """Neither to open nor to write; finished it is, and no copy any more."""
        copy = open_catalog(address, copy=True)
        copy.note_copy("from there", NOW)
        assert copy.copy_of() == "from there"
        copy.close()
        with pytest.raises(CopyUnfinished, match="never finished"):
            open_catalog(address)
        again = open_catalog(address, copy=True)
        assert again.copy_of() == "from there"
        again.finish_copy()
        again.close()
        open_catalog(address, create=False).close()
        with pytest.raises(StoreError, match="already"):
            open_catalog(address, copy=True)


def _copy(source: Catalog, target: Catalog) -> None:
    target.clear_copied()

    def every(moment: Any) -> None:
        for table in source.copied_tables():
            for page in moment.rows(table):
                target.put_rows(table, page)

    source.at_one_moment(every)
