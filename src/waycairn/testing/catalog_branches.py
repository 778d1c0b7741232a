"""Contract: forks, and runs that are opened again at an earlier cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from waycairn.errors import CheckpointNotFound, OwnershipLost, RunNotFound
from waycairn.model.forking import NewFork
from waycairn.model.ids import RunId, checkpoint_id
from waycairn.model.journal import Iteration, JournalRows, Pattern, Point, RuleOptimization
from waycairn.model.records import PHASES, CheckpointFilter, ComputedItem, FailedItem, OutputLength, Progress, RunRecord
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_step, a_stored, an_owner, numbers, some_items
from waycairn.world.randomness import new_operation_id


def a_fork(source: RunRecord, sequence: int, name: str = "fork", **given: Any) -> NewFork:
    facts: dict[str, Any] = {"run": a_run(name), "operation": new_operation_id(), "path_of": "{}.fork".format, **given}
    return NewFork(source=source.id, sequence=sequence, **facts)


def a_long_run(catalog: Catalog, name: str = "job", key: str | None = None) -> RunRecord:
    """Four cuts, each with something of everything."""
    run = added(catalog, a_run(name, key, owner=an_owner(), total=9))
    for sequence in range(1, 5):
        mark = b"%d" % sequence
        journal = JournalRows(
            points=[Point(sequence, NOW + sequence, {"loss": -0.0, "n": float(sequence)})],
            iterations=[Iteration(number=sequence, ended=NOW, took=0.5, metrics={"a": 1.0})],
            rules=[_rule(f"rule {sequence}", score) for score in (2.0, 1.0)],
            patterns=[Pattern(pattern=f"p{number}", effectiveness=0.5, created=NOW) for number in range(2)],
            entered=NOW - 1,
            saving=0.25,
        )
        catalog.commit(
            a_cut(
                run.id,
                sequence,
                progress=Progress(done=sequence, failed=sequence, total=9),
                items=[some_items("loop", mark)],
                failures=[_failed(mark)],
                computed=[ComputedItem(loop="loop", digest=mark * 16, key=mark, result=a_stored(mark))],
                queued={"queue": a_stored(mark)},
                steps=[a_step("", f"step {sequence}", mark)],
                outputs=[OutputLength(path="a", length=sequence * 10)],
                checkpoint=a_checkpoint(outputs={"a": sequence * 10}, tags=["t"], metadata={"n": sequence}),
                journal=journal,
            )
        )
    return present(catalog, run.id)


def _failed(mark: bytes) -> FailedItem:
    return FailedItem(
        loop="loop", digest=(b"f" + mark) * 8, key=mark, attempts=2, first=NOW, last=NOW, error={"type": "E"}
    )


def _rule(rule: str, score: float) -> RuleOptimization:
    return RuleOptimization(rule=rule, score=score, baseline=1.0, improvement=score - 1, created=NOW, is_candidate=True)


def everything(catalog: Catalog, run: RunId) -> dict[str, Any]:
    """All that hangs on a run, but for its checkpoints and what says whose it is."""
    return {
        "items": list(catalog.done_items(run, "loop")),
        "failures": list(catalog.failures(run)),
        "computed": list(catalog.computed(run, "loop")),
        "queued": list(catalog.queued(run, "queue")),
        "steps": list(catalog.list_steps(run)),
        "metrics": [(cut.sequence, cut.entered, cut.created, cut.saving, cut.points) for cut in catalog.metrics(run)],
        "iterations": list(catalog.iterations(run)),
        "rules": list(catalog.rules(run)),
        "patterns": [(one.pattern, one.sequence) for one in catalog.patterns(run)],
    }


class BranchContract(CatalogCase):
    def test_a_fork_has_what_its_source_had(self, catalog: Catalog) -> None:
        """Exactly what a run has that never went further; the source is untouched."""
        source = a_long_run(catalog)
        before = everything(catalog, source.id)
        fork = a_fork(source, 2)
        assert catalog.add_fork(fork, NOW + 50)
        assert everything(catalog, source.id) == before
        assert present(catalog, source.id) == source
        made = present(catalog, fork.run.id)
        assert (made.status, made.epoch, made.sequence, made.entered) == (RunStatus.INTERRUPTED, 1, 2, 0)
        assert (made.owner, made.origin, made.created) == (None, checkpoint_id(source.id, 2), NOW + 50)
        assert made.progress == Progress(done=2, failed=2, total=9)
        assert catalog.newest_operation(made.id) == fork.operation
        assert catalog.outputs(made.id) == {"a.fork": OutputLength(path="a.fork", length=20)}
        (kept,) = catalog.list_checkpoints(CheckpointFilter(run=made.id))
        origin = catalog.get_checkpoint(source.id, 2)
        assert origin is not None
        assert (kept.sequence, kept.created, kept.epoch) == (2, origin.created, 1)
        assert kept.checkpoint.stored == origin.checkpoint.stored
        assert (kept.checkpoint.outputs, kept.checkpoint.tags) == ({"a.fork": 20}, ("t",))
        catalog.rewind(source.id, 1, 2, NOW)
        expected = everything(catalog, source.id)
        assert everything(catalog, made.id) == expected
        assert [len(part) for part in expected.values()] == [2, 2, 2, 2, 2, 2, 2, 4, 4]

    def test_a_fork_goes_on(self, catalog: Catalog) -> None:
        """It counts on from the cut, and outlives its source."""
        source = a_long_run(catalog)
        fork = a_fork(source, 3)
        catalog.add_fork(fork, NOW)
        catalog.commit(a_cut(fork.run.id, 4, steps=[a_step("", "step 4")]))
        catalog.delete_run(source.id)
        assert numbers(catalog.list_steps(fork.run.id)) == [1, 2, 3, 4]

    def test_values_and_results_go_along(self, catalog: Catalog) -> None:
        """Of states only that of the cut, of the others all up to there; nothing that is damaged or an error."""
        run = added(catalog)
        roles = ["state", "value", "error", "result", "state", "value"]
        for sequence, role in enumerate(roles, start=1):
            catalog.commit(a_cut(run.id, sequence, checkpoint=a_checkpoint(role=role)))
        fork = a_fork(run, 5)
        assert catalog.add_fork(fork, NOW)
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=fork.run.id))) == [5, 4, 2]

    def test_a_fork_is_refused(self, catalog: Catalog) -> None:
        """No such run or cut, no state, damaged, set aside, or a name that is taken: nothing is changed."""
        source = a_long_run(catalog)
        catalog.commit(a_cut(source.id, 5, checkpoint=a_checkpoint(role="value")))
        catalog.mark_checkpoint(source.id, 1, CheckpointStatus.DAMAGED, "rot")
        catalog.mark_checkpoint(source.id, 2, CheckpointStatus.SET_ASIDE, "aside")
        for sequence in (0, 1, 2, 5, 6):
            with pytest.raises(CheckpointNotFound):
                catalog.add_fork(a_fork(source, sequence), NOW)
        assert catalog.find_run(None, "fork", None) is None
        assert not catalog.add_fork(a_fork(source, 3, "job"), NOW)
        with pytest.raises(RunNotFound):
            catalog.add_fork(replace(a_fork(source, 3), source=RunId("nothing")), NOW)

    def test_a_fork_may_replace_what_was_given_up(self, catalog: Catalog) -> None:
        """If it still is of the epoch that was seen."""
        source, old = a_long_run(catalog), added(catalog, a_run("fork"))
        assert not catalog.add_fork(a_fork(source, 3, replaces=(old.id, 7)), NOW)
        fork = a_fork(source, 3, replaces=(old.id, 1))
        assert catalog.add_fork(fork, NOW)
        found = catalog.find_run(None, "fork", None)
        assert found is not None
        assert found.id == fork.run.id
        assert present(catalog, old.id).name == "fork"

    def _with_phases(self, catalog: Catalog) -> tuple[RunRecord, RunRecord, RunRecord]:
        """A run with a phase and one below it; its second cut names where they stood, its third comes later."""
        run = a_long_run(catalog, "whole")
        phase = added(catalog, a_run("train", below=run))
        inner = added(catalog, a_run("eval", below=phase, root=run.id))
        for one in (phase, inner):
            for sequence in range(1, 4):
                items = [some_items("loop", b"%d" % sequence)]
                outputs = [OutputLength(path=one.name, length=sequence)]
                state = a_checkpoint(outputs={one.name: sequence})
                catalog.commit(a_cut(one.id, sequence, items=items, outputs=outputs, checkpoint=state))
        told = {"train": [2, {"eval": [1, {}]}]}
        catalog.commit(a_cut(run.id, 5, checkpoint=a_checkpoint(metadata={PHASES: told})))
        catalog.commit(a_cut(run.id, 6, checkpoint=a_checkpoint()))
        return present(catalog, run.id), present(catalog, phase.id), present(catalog, inner.id)

    def test_phases_are_forked_where_they_stood(self, catalog: Catalog) -> None:
        """As runs of their own below the fork; one that had not begun is not there."""
        run, phase, inner = self._with_phases(catalog)
        assert catalog.cuts_at(run.id, 5) == {run.id: 5, phase.id: 2, inner.id: 1}
        assert catalog.outputs_at(run.id, 5) == {"train": 2, "eval": 1}
        fork = a_fork(run, 5)
        catalog.add_fork(fork, NOW)
        trained = catalog.find_run(fork.run.id, "train", None)
        assert trained is not None
        assert (trained.root, trained.sequence, catalog.loops(trained.id)) == (fork.run.id, 2, {"loop": 2})
        assert catalog.outputs(trained.id) == {"train.fork": OutputLength(path="train.fork", length=2)}
        below = catalog.find_run(trained.id, "eval", None)
        assert below is not None
        assert (below.sequence, catalog.loops(below.id)) == (1, {"loop": 1})
        early = a_fork(run, 4, "early")
        catalog.add_fork(early, NOW)
        assert catalog.find_run(early.run.id, "train", None) is None

    def test_a_run_is_opened_again(self, catalog: Catalog) -> None:
        """Everything is cut back, also in the phases; it has a new epoch, no owner, and its old owner is refused."""
        run, phase, inner = self._with_phases(catalog)
        catalog.change_run(run.id, 1, NOW, status=RunStatus.COMPLETED)
        catalog.reopen(run.id, 1, 5, NOW + 9)
        after = present(catalog, run.id)
        assert (after.status, after.epoch, after.owner, after.sequence) == (RunStatus.INTERRUPTED, 2, None, 6)
        for one, left in ((phase, 2), (inner, 1)):
            now = present(catalog, one.id)
            assert (now.epoch, now.status, now.sequence) == (2, RunStatus.INTERRUPTED, 3)
            assert catalog.loops(one.id) == {"loop": left}
            assert catalog.outputs(one.id)[one.name].length == left
        with pytest.raises(OwnershipLost):
            catalog.commit(a_cut(run.id, 7))
        catalog.commit(a_cut(run.id, 7, epoch=2))
        with pytest.raises(OwnershipLost):
            catalog.reopen(run.id, 1, 5, NOW)
        for sequence in (0, 6, 7):
            with pytest.raises(CheckpointNotFound):
                catalog.reopen(run.id, 2, sequence, NOW)
        assert present(catalog, run.id).epoch == 2
