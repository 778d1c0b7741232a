"""Contract: what makes a run the same run, and what comes back from its row."""

from __future__ import annotations

import math

import pytest

from waycairn.errors import OwnershipLost, RunNotFound
from waycairn.model.ids import RunId
from waycairn.model.records import Launch, Progress
from waycairn.model.states import RunStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_run, an_owner


class IdentityContract(CatalogCase):
    def test_a_run_comes_back_as_it_was_added(self, catalog: Catalog) -> None:
        """Every fact of a new run is stored, also what neither JSON nor PostgreSQL's text can hold."""
        new = a_run(
            "näme\0with nul",
            "k\udcff",
            owner=an_owner(),
            fingerprint={"model": "m-7", "rate": math.inf},
            task="a task",
            tags=("b", "a", "\0"),
            metadata={"deep": [1, {"x": None}], "text": "\0\udc80", "$text": "kept"},
            launch=Launch(argv=["python", "job.py", "\udcff"], directory="/a", environment={"A": "1"}),
            total=7,
        )
        record = added(catalog, new)
        assert (record.id, record.root, record.parent) == (new.id, new.id, None)
        assert (record.name, record.key, record.owner) == (new.name, new.key, new.owner)
        assert (record.fingerprint, record.task) == (new.fingerprint, "a task")
        assert (record.tags, record.metadata, record.launch) == (new.tags, new.metadata, new.launch)
        assert (record.status, record.epoch, record.sequence) == (RunStatus.RUNNING, 1, 0)
        assert (record.progress, record.entered) == (Progress(total=7), 1)
        assert (record.created, record.updated) == (NOW, NOW)
        assert (record.error, record.lease_until) == (None, None)

    def test_not_a_number_survives(self, catalog: Catalog) -> None:
        """NaN in metadata comes back as NaN, not as null."""
        record = added(catalog, a_run(metadata={"loss": math.nan}))
        assert math.isnan(record.metadata["loss"])

    def test_the_same_identity_is_added_once(self, catalog: Catalog) -> None:
        """A second run of that name and key is refused, and the first one is unchanged."""
        first = added(catalog, a_run("job", "k", tags=["first"]))
        assert not catalog.add_run(a_run("job", "k", tags=["second"]), NOW + 1)
        assert catalog.find_run(None, "job", "k") == first

    def test_names_and_keys_are_never_confused(self, catalog: Catalog) -> None:
        """Identities that render alike when simply joined are different runs."""
        long = "x" * 5000
        names = [("a", None), ("a", ""), ("a", "None"), ("a", "null"), ('a","b', None), ("a", "b"), ("a,b", None)]
        names += [(long + "1", None), (long + "2", None), ("ab", None), ("A", None), ("a\0", None), ("a\\u0000", None)]
        runs = [added(catalog, a_run(name, key)) for name, key in names]
        assert [catalog.find_run(None, name, key) for name, key in names] == runs

    def test_a_phase_is_named_within_its_parent(self, catalog: Catalog) -> None:
        """Two runs may have a phase of the same name; neither is a root."""
        one, two = added(catalog, a_run("one")), added(catalog, a_run("two"))
        below_one = added(catalog, a_run("clean", below=one))
        below_two = added(catalog, a_run("clean", below=two))
        assert catalog.find_run(one.id, "clean", None) == below_one
        assert catalog.find_run(two.id, "clean", None) == below_two
        assert catalog.find_run(None, "clean", None) is None
        assert (below_one.root, below_one.parent) == (one.id, one.id)

    def test_a_phase_is_fenced_by_its_root(self, catalog: Catalog) -> None:
        """A stopped owner that wakes up cannot begin a phase of a run that was taken over."""
        before = added(catalog)
        assert catalog.take_over(before.id, 1, an_owner(), NOW)
        with pytest.raises(OwnershipLost) as lost:
            catalog.add_run(a_run("clean", below=before), NOW)
        assert (lost.value.epoch, lost.value.current_epoch) == (1, 2)
        assert catalog.find_run(before.id, "clean", None) is None
        phase = added(catalog, a_run("clean", below=present(catalog, before.id)))
        assert phase.epoch == 2

    def test_a_phase_needs_its_root(self, catalog: Catalog) -> None:
        """A run that was deleted meanwhile gets no phases."""
        gone = added(catalog)
        catalog.delete_run(gone.id)
        with pytest.raises(RunNotFound):
            catalog.add_run(a_run("clean", below=gone), NOW)

    def test_what_is_not_there_is_none(self, catalog: Catalog) -> None:
        """Reading an unknown run is no error."""
        assert catalog.get_run(RunId("nothing")) is None
        assert catalog.find_run(None, "nothing", None) is None
        assert catalog.newest_operation(RunId("nothing")) is None
