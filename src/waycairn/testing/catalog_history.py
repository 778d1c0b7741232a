"""Contract: reading back what was done, and going back to an earlier cut."""

from __future__ import annotations

import pytest

from waycairn.errors import CheckpointNotFound, OwnershipLost, RunNotFound
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, DoneItems, OutputLength, RunRecord
from waycairn.model.states import CheckpointStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_step, numbers, some_items


class HistoryContract(CatalogCase):
    def test_items_come_in_the_order_of_their_commits(self, catalog: Catalog) -> None:
        """Loops apart, cuts in order, more of them than are read at a time."""
        run, other = added(catalog), added(catalog, a_run("other"))
        for sequence in range(1, 151):
            catalog.commit(a_cut(run.id, sequence, items=[some_items("a", b"%d" % sequence), some_items("b\0", b"-")]))
        catalog.commit(a_cut(other.id, 1, items=[some_items("a", b"foreign")]))
        assert [done.keys for done in catalog.done_items(run.id, "a")] == [b"%d" % number for number in range(1, 151)]
        assert catalog.loops(run.id) == {"a": 150, "b\0": 150}
        assert list(catalog.done_items(run.id, "c")) == []

    def test_long_cuts_and_short_ones(self, catalog: Catalog) -> None:
        """However many keys a cut has, all cuts come once and in order."""
        run = added(catalog)
        sizes = [1] * 100 + [300_000] * 3 + [1] * 40
        for sequence, size in enumerate(sizes, start=1):
            done = DoneItems(loop="a", count=sequence, keys=b"x" * size)
            catalog.commit(a_cut(run.id, sequence, items=[done]))
        read = [(done.count, len(done.keys)) for done in catalog.done_items(run.id, "a")]
        assert read == list(enumerate(sizes, start=1))

    def test_items_are_read_lazily(self, catalog: Catalog) -> None:
        """What is committed while the first page is being read is still seen, so not everything was read at once,
        and a reader that stops half way holds up nobody."""
        run = added(catalog)
        for sequence in range(1, 151):
            catalog.commit(a_cut(run.id, sequence, items=[some_items("a", b"%d" % sequence)]))
        reading = catalog.done_items(run.id, "a")
        next(reading)
        catalog.commit(a_cut(run.id, 151, items=[some_items("a", b"late")]))
        assert list(reading)[-1].keys == b"late"
        unfinished = catalog.done_items(run.id, "a")
        next(unfinished)
        catalog.delete_run(run.id)

    def test_steps_belong_to_their_scope(self, catalog: Catalog) -> None:
        """The same name in the run and in two items; a missing one is None; all are listed by commit."""
        run = added(catalog)
        scopes = ["", "a", "b", 'a","x', "\udcff"]
        for sequence, scope in enumerate(scopes, start=1):
            catalog.commit(a_cut(run.id, sequence, steps=[a_step(scope, "fetch", b"%d" % sequence)]))
        for sequence, scope in enumerate(scopes, start=1):
            found = catalog.get_step(run.id, scope, "fetch")
            assert found is not None
            assert (found.sequence, found.step) == (sequence, a_step(scope, "fetch", b"%d" % sequence))
        assert catalog.get_step(run.id, "c", "fetch") is None
        assert catalog.get_step(run.id, "a", "other") is None
        assert [step.step.scope for step in catalog.list_steps(run.id)] == scopes

    def test_a_name_that_is_too_long_is_refused(self, catalog: Catalog) -> None:
        """Before anything is written, with a sentence."""
        run = added(catalog)
        with pytest.raises(ValueError, match="shorter name"):
            catalog.commit(a_cut(run.id, 1, steps=[a_step("", "x" * 5000)]))
        assert present(catalog, run.id) == run

    def _long_run(self, catalog: Catalog) -> RunRecord:
        """Five cuts with everything in them; 1 to 4 have a state, 5 a result, 3 an error beside."""
        run = added(catalog)
        for sequence in range(1, 6):
            catalog.commit(
                a_cut(
                    run.id,
                    sequence,
                    items=[some_items("loop", b"%d" % sequence)],
                    steps=[a_step("", f"step {sequence}")],
                    outputs=[OutputLength(path="a", length=sequence * 10)]
                    + ([OutputLength(path="late", length=7)] if sequence == 4 else []),
                    checkpoint=a_checkpoint(
                        role={3: "error", 5: "result"}.get(sequence, "state"), outputs={"a": sequence * 10}
                    ),
                )
            )
        return run

    def test_rewind_cuts_the_run_back(self, catalog: Catalog) -> None:
        """Later items and steps go, later states and results are set aside with the reason, outputs shrink to what
        they were then, or to where they began."""
        run = self._long_run(catalog)
        catalog.mark_checkpoint(run.id, 4, CheckpointStatus.DAMAGED, "bit rot")
        catalog.rewind(run.id, 1, 2, NOW + 50)
        assert [done.keys for done in catalog.done_items(run.id, "loop")] == [b"1", b"2"]
        assert numbers(catalog.list_steps(run.id)) == [1, 2]
        assert {path: output.length for path, output in catalog.outputs(run.id).items()} == {"a": 20, "late": 7}
        damage = {at.sequence: at.damage for at in catalog.list_checkpoints(CheckpointFilter(run=run.id))}
        assert damage == {1: None, 2: None, 3: None, 4: "cut back to 2; bit rot", 5: "cut back to 2"}
        latest = catalog.latest_checkpoint(run.id, role="state")
        assert latest is not None
        assert latest.sequence == 2
        after = present(catalog, run.id)
        assert (after.sequence, after.updated) == (5, NOW + 50)
        catalog.commit(a_cut(run.id, 6, steps=[a_step("", "step 3")], items=[some_items("loop", b"3")]))
        assert numbers(catalog.list_steps(run.id)) == [1, 2, 6]

    def test_rewind_to_the_beginning(self, catalog: Catalog) -> None:
        """Sequence 0 is before the first commit: nothing was done, outputs are as long as they began."""
        run = self._long_run(catalog)
        catalog.rewind(run.id, 1, 0, NOW)
        assert catalog.loops(run.id) == {}
        assert catalog.list_steps(run.id) == []
        assert {path: output.length for path, output in catalog.outputs(run.id).items()} == {"a": 10, "late": 7}
        assert catalog.latest_checkpoint(run.id, role="state") is None

    def test_rewind_is_fenced(self, catalog: Catalog) -> None:
        """Another epoch, an unknown run, a cut without a checkpoint: refused, and nothing changed."""
        run = self._long_run(catalog)
        catalog.commit(a_cut(run.id, 6))
        before = (present(catalog, run.id), catalog.list_steps(run.id), catalog.outputs(run.id))
        with pytest.raises(OwnershipLost):
            catalog.rewind(run.id, 2, 2, NOW)
        with pytest.raises(RunNotFound):
            catalog.rewind(RunId("nothing"), 1, 2, NOW)
        with pytest.raises(CheckpointNotFound):
            catalog.rewind(run.id, 1, 6, NOW + 99)
        assert (present(catalog, run.id), catalog.list_steps(run.id), catalog.outputs(run.id)) == before
