"""Contract: the one transaction of a cut, and what it leaves behind."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from waycairn.errors import OwnershipLost, RunNotFound, StoreError, SweptMeanwhile
from waycairn.model.ids import RunId, checkpoint_id
from waycairn.model.records import CheckpointFilter, Commit, OutputLength, Progress, RunRecord
from waycairn.model.states import RunStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import (
    NOW,
    a_checkpoint,
    a_chunk_id,
    a_cut,
    a_run,
    a_step,
    an_owner,
    numbers,
    some_data,
    some_items,
)


def a_full_cut(run: RunRecord, sequence: int, number: int, **given: Any) -> Commit:
    """A commit with something in each of its parts."""
    facts: dict[str, Any] = {
        "progress": Progress(done=sequence, failed=1, total=10, note="n\0"),
        "items": [some_items("loop", b"a", b"b"), some_items("other", b"c")],
        "steps": [a_step("", f"step {sequence}")],
        "outputs": [OutputLength(path="out\udcff", length=sequence * 100)],
        "checkpoint": a_checkpoint(),
        "data": [some_data(number, b"x", b"yy")],
        **given,
    }
    return a_cut(run.id, sequence, run.epoch, **facts)


def everything(catalog: Catalog, run: RunRecord) -> tuple[Any, ...]:
    """All that commits can have left of a run, to see that nothing changed."""
    return (
        catalog.get_run(run.id),
        {loop: list(catalog.done_items(run.id, loop)) for loop in catalog.loops(run.id)},
        catalog.list_steps(run.id),
        catalog.outputs(run.id),
        catalog.list_checkpoints(CheckpointFilter(run=run.id)),
        catalog.find_chunks([a_chunk_id(b"x"), a_chunk_id(b"yy")]),
        catalog.locate_chunks(range(1, 50)),
        catalog.packs(),
    )


class CommitContract(CatalogCase):
    def test_a_commit_is_there_with_all_its_parts(self, catalog: Catalog) -> None:
        """Progress, items, steps, outputs, checkpoint and chunks of one cut come back under one sequence."""
        run = added(catalog)
        cut = a_full_cut(run, 1, catalog.reserve_numbers(2))
        catalog.commit(cut)
        after = present(catalog, run.id)
        assert (after.sequence, after.progress, after.updated) == (1, cut.progress, cut.now)
        assert (after.status, after.error, after.owner) == (RunStatus.RUNNING, None, None)
        assert list(catalog.done_items(run.id, "loop")) == [cut.items[0]]
        assert catalog.loops(run.id) == {"loop": 2, "other": 1}
        step = catalog.get_step(run.id, "", "step 1")
        assert step is not None
        assert (step.step, step.sequence) == (cut.steps[0], 1)
        assert catalog.outputs(run.id) == {"out\udcff": cut.outputs[0]}
        checkpoint = catalog.get_checkpoint(run.id, 1)
        assert checkpoint is not None
        assert (checkpoint.checkpoint, checkpoint.epoch, checkpoint.created) == (cut.checkpoint, 1, cut.now)
        assert catalog.newest_operation(run.id) == cut.operation
        assert set(catalog.find_chunks([a_chunk_id(b"x"), a_chunk_id(b"yy")])) == {a_chunk_id(b"x"), a_chunk_id(b"yy")}

    def test_an_older_epoch_changes_nothing(self, catalog: Catalog) -> None:
        """After a takeover the old owner is refused, told who owns the run now, and leaves no row behind."""
        run = added(catalog)
        successor = an_owner(99)
        assert catalog.take_over(run.id, 1, successor, NOW)
        number = catalog.reserve_numbers(2)
        before = everything(catalog, run)
        with pytest.raises(OwnershipLost) as lost:
            catalog.commit(a_full_cut(run, 1, number))
        assert (lost.value.epoch, lost.value.current_epoch, lost.value.owner) == (1, 2, successor)
        assert everything(catalog, run) == before

    def test_a_takeover_fences_phases_too(self, catalog: Catalog) -> None:
        """The old owner cannot commit to a phase that it had begun."""
        run = added(catalog)
        phase = added(catalog, a_run("phase", below=run))
        assert catalog.take_over(run.id, 1, an_owner(), NOW)
        with pytest.raises(OwnershipLost):
            catalog.commit(a_cut(phase.id, 1))
        catalog.commit(a_cut(phase.id, 1, epoch=2))

    @pytest.mark.parametrize("sequence", [1, 3, 0])
    def test_commits_follow_one_another(self, catalog: Catalog, sequence: int) -> None:
        """A number that is taken or skips one is refused, and nothing changed."""
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1))
        before = everything(catalog, run)
        with pytest.raises(StoreError, match="does not follow"):
            catalog.commit(a_full_cut(run, sequence, 10))
        assert everything(catalog, run) == before

    def test_the_same_commit_again_is_there_once(self, catalog: Catalog) -> None:
        """A retry after a lost reply finds its own operation and returns, also after a takeover."""
        run = added(catalog)
        cut = a_full_cut(run, 1, catalog.reserve_numbers(2))
        catalog.commit(cut)
        before = everything(catalog, run)
        catalog.commit(cut)
        assert everything(catalog, run) == before
        assert catalog.take_over(run.id, 1, an_owner(), NOW)
        catalog.commit(cut)
        with pytest.raises(OwnershipLost):
            catalog.commit(msgspec.structs.replace(cut, sequence=2))

    def test_a_commit_needs_its_run(self, catalog: Catalog) -> None:
        """RunNotFound, not silence, for a run that was deleted."""
        with pytest.raises(RunNotFound):
            catalog.commit(a_cut(RunId("nothing"), 1))

    def test_a_step_is_remembered_once(self, catalog: Catalog) -> None:
        """A second result for the same step is a mistake that takes the whole commit with it."""
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1, steps=[a_step("item", "fetch", b"1")]))
        before = everything(catalog, run)
        with pytest.raises(ValueError, match="committed before"):
            catalog.commit(a_full_cut(run, 2, 10, steps=[a_step("item", "fetch", b"2")]))
        assert everything(catalog, run) == before

    def test_a_chunk_number_is_used_once(self, catalog: Catalog) -> None:
        """Rows of another save are never written over or passed over in silence."""
        run = added(catalog)
        number = catalog.reserve_numbers(3) + 1
        catalog.commit(a_full_cut(run, 1, number))
        before = everything(catalog, run)
        for first in (number, number - 1):
            # The same block, then another block with a chunk of that number in it.
            with pytest.raises(ValueError, match="committed before"):
                catalog.commit(a_full_cut(run, 2, first))
            assert everything(catalog, run) == before

    def test_leaving_ends_ownership(self, catalog: Catalog) -> None:
        """A status given sets status and error, and the run has no owner any more; without one both stay."""
        run = added(catalog, a_run(owner=an_owner()))
        catalog.commit(a_cut(run.id, 1))
        assert present(catalog, run.id).owner == run.owner
        catalog.commit(a_cut(run.id, 2, status=RunStatus.FAILED, error={"type": "E", "message": "\0"}))
        failed = present(catalog, run.id)
        assert (failed.status, failed.owner) == (RunStatus.FAILED, None)
        assert failed.error == {"type": "E", "message": "\0"}
        catalog.commit(a_cut(run.id, 3))
        assert present(catalog, run.id).error == failed.error
        catalog.commit(a_cut(run.id, 4, status=RunStatus.COMPLETED))
        completed = present(catalog, run.id)
        assert (completed.status, completed.error) == (RunStatus.COMPLETED, None)

    def test_outputs_tell_the_newest_length(self, catalog: Catalog) -> None:
        """Each path once; a commit that does not name it leaves it."""
        run = added(catalog)
        for sequence, lengths in enumerate([{"a": 5, "b": 7}, {"a": 9}, {}, {"b": 2}], start=1):
            outputs = [OutputLength(path=path, length=length) for path, length in lengths.items()]
            catalog.commit(a_cut(run.id, sequence, outputs=outputs))
        assert {path: output.length for path, output in catalog.outputs(run.id).items()} == {"a": 9, "b": 2}

    def test_a_commit_drops_what_it_replaces(self, catalog: Catalog) -> None:
        """Dropped with the commit, kept if the commit fails; a pinned one stays."""
        run = added(catalog)
        for sequence in (1, 2, 3):
            catalog.commit(a_cut(run.id, sequence, checkpoint=a_checkpoint()))
        assert catalog.pin_checkpoint(run.id, 2, pinned=True)
        with pytest.raises(OwnershipLost):
            catalog.commit(a_cut(run.id, 4, epoch=9, drop=[1, 2, 3], checkpoint=a_checkpoint()))
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=run.id))) == [3, 2, 1]
        catalog.commit(a_cut(run.id, 4, drop=[1, 2, 77], checkpoint=a_checkpoint()))
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=run.id))) == [4, 3, 2]

    def test_a_sweep_in_between_refuses_the_commit(self, catalog: Catalog) -> None:
        """Chunks found again under an older sweep epoch may be gone: nothing is committed."""
        run = added(catalog)
        number, epoch = catalog.reserve_numbers(2), catalog.sweep_epoch()
        before = everything(catalog, run)
        with pytest.raises(SweptMeanwhile):
            catalog.commit(a_full_cut(run, 1, number, data=[some_data(number, b"x", sweep_epoch=epoch - 1)]))
        assert everything(catalog, run) == before
        catalog.commit(a_full_cut(run, 1, number, data=[some_data(number, b"x", sweep_epoch=epoch)]))

    def test_values_are_numbered_and_the_last_wins(self, catalog: Catalog) -> None:
        """wc.save: the run is made by the first save; the commit's run, epoch and sequence are ignored."""
        name = a_run("cursor")
        for expected in (1, 2, 3):
            value = a_cut(
                RunId("ignored"),
                77,
                epoch=9,
                status=RunStatus.COMPLETED,
                checkpoint=a_checkpoint("custom", role="value", iteration=expected),
                progress=Progress(done=expected),
                data=[some_data(catalog.reserve_numbers(1), b"%d" % expected)],
            )
            saved = catalog.save_value(value, a_run("cursor") if expected > 1 else name)
            assert saved == checkpoint_id(name.id, expected)
        run = catalog.find_run(None, "cursor", None)
        assert run is not None
        assert (run.id, run.sequence, run.progress.done, run.epoch) == (name.id, 3, 3, 1)
        assert (run.status, run.owner) == (RunStatus.COMPLETED, None)
        latest = catalog.latest_checkpoint(run.id)
        assert latest is not None
        assert (latest.sequence, latest.checkpoint.iteration, latest.epoch) == (3, 3, 1)
        assert catalog.newest_operation(run.id) == value.operation
        assert catalog.find_chunks([a_chunk_id(b"2")])
