"""Contract: what retention looks at and removes, what upkeep notes, and the room that the catalog takes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, NewCheckpoint
from waycairn.model.retaining import Dropped, Held, RunFacts, head_of, heads
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, an_owner


def held(catalog: Catalog, *, metrics: bool = False) -> dict[RunId, tuple[RunFacts, list[Held]]]:
    return {run.id: (run, rows) for run, rows in catalog.held(metrics=metrics)}


def a_drop(catalog: Catalog, run: RunId, *sequences: int) -> Dropped:
    facts, rows = held(catalog)[run]
    needed = {head_of(row) for row in rows if row.sequence in sequences}
    newest = {head: at for head, at in heads(rows).items() if head in needed and at not in sequences}
    return Dropped(facts, sequences, newest)


def sequences(catalog: Catalog, run: RunId) -> list[int]:
    return [one.sequence for one in catalog.list_checkpoints(CheckpointFilter(run=run))]


def filled(catalog: Catalog, name: str = "job", count: int = 4, **what: Any) -> RunId:
    run = added(catalog, a_run(name))
    for sequence in range(1, count + 1):
        catalog.commit(a_cut(run.id, sequence, checkpoint=a_checkpoint(**what)))
    return run.id


class RetentionContract(CatalogCase):
    def test_what_is_held(self, catalog: Catalog) -> None:
        """Run by run, newest first, with what is told of their outermost run; what was measured only if it is asked for."""
        run = filled(catalog, count=3, metadata={"metrics": {"loss": 0.5}})
        other = filled(catalog, "other", count=2)
        below = a_run("phase", below=present(catalog, run))
        assert catalog.add_run(below, NOW)
        catalog.commit(a_cut(below.id, 1, checkpoint=a_checkpoint(role="result")))
        catalog.pin_checkpoint(run, 2, True)
        catalog.mark_checkpoint(run, 3, CheckpointStatus.DAMAGED, "bits")
        found = held(catalog, metrics=True)
        assert set(found) == {run, other, below.id}
        facts, rows = found[run]
        assert (facts.name, facts.phase, facts.is_value, facts.is_finished) == ("job", None, False, False)
        assert [(row.sequence, row.verified, row.pinned) for row in rows] == [
            (3, False, False),
            (2, True, True),
            (1, True, False),
        ]
        assert [row.metrics for row in rows] == [{"loss": 0.5}] * 3
        assert [row.metrics for row in held(catalog)[run][1]] == [None] * 3
        phase, (result,) = found[below.id]
        assert (phase.name, phase.phase, result.role) == ("job", "phase", "result")
        catalog.change_run(run, 1, NOW, status=RunStatus.COMPLETED)
        assert held(catalog)[below.id][0].is_completed

    def test_held_page_by_page(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is told twice, nothing left out, wherever a page ends."""
        from waycairn.catalog import retention

        runs = {filled(catalog, f"run {count}", count): count for count in (1, 3, 4, 7)}
        for page in (1, 2, 3, 4):
            monkeypatch.setattr(retention, "_PAGE", page)
            monkeypatch.setattr(retention, "_RUNS", page)
            found = {run: [row.sequence for row in rows] for run, (_, rows) in held(catalog).items()}
            assert found == {run: list(range(count, 0, -1)) for run, count in runs.items()}

    def test_dropped(self, catalog: Catalog) -> None:
        """In one transaction, but for what is pinned."""
        run, other = filled(catalog), filled(catalog, "other")
        catalog.pin_checkpoint(run, 1, True)
        drops = [a_drop(catalog, run, 1, 2), a_drop(catalog, other, 3, 1)]
        assert catalog.drop_held(drops) == drops
        assert sequences(catalog, run) == [4, 3, 1]
        assert sequences(catalog, other) == [4, 2]

    def test_the_newest_is_damaged_meanwhile(self, catalog: Catalog) -> None:
        """What was to go may be the one to go on from now: nothing of that run goes."""
        run, other = filled(catalog), filled(catalog, "other")
        drops = [a_drop(catalog, run, 3, 2, 1), a_drop(catalog, other, 1)]
        catalog.mark_checkpoint(run, 4, CheckpointStatus.DAMAGED, "bits")
        assert catalog.drop_held(drops) == drops[1:]
        assert sequences(catalog, run) == [4, 3, 2, 1]

    def test_the_run_was_cut_back_meanwhile(self, catalog: Catalog) -> None:
        run = filled(catalog)
        drop = a_drop(catalog, run, 2, 1)
        catalog.rewind(run, 1, 2, NOW)
        assert catalog.drop_held([drop]) == []
        assert 2 in sequences(catalog, run)

    def test_the_run_was_entered_again_meanwhile(self, catalog: Catalog) -> None:
        """It was finished when all of it was to go."""
        run = filled(catalog)
        catalog.change_run(run, 1, NOW, status=RunStatus.COMPLETED)
        drop = a_drop(catalog, run, 4, 3, 2, 1)
        assert catalog.take_over(run, 1, an_owner(), NOW)
        assert catalog.drop_held([drop]) == []
        catalog.change_run(run, 2, NOW, status=RunStatus.COMPLETED)
        assert catalog.drop_held([drop]) == [drop]
        assert sequences(catalog, run) == []

    def test_a_newer_one_came_meanwhile(self, catalog: Catalog) -> None:
        """And took the place of the newest: what was decided holds all the more."""
        run = filled(catalog)
        drop = a_drop(catalog, run, 2, 1)
        catalog.commit(a_cut(run, 5, checkpoint=a_checkpoint(), drop=[4]))
        assert catalog.drop_held([drop]) == [drop]
        assert sequences(catalog, run) == [5, 3]

    def test_the_run_was_removed_meanwhile(self, catalog: Catalog) -> None:
        run = filled(catalog)
        drop = a_drop(catalog, run, 1)
        catalog.delete_run(run)
        assert catalog.drop_held([drop]) == []

    def test_values_lean_on_values_of_their_kind(self, catalog: Catalog) -> None:
        run = added(catalog)
        for sequence, kind in enumerate("abab", 1):
            value: NewCheckpoint = a_checkpoint(kind=kind, role="value")
            catalog.commit(a_cut(run.id, sequence, checkpoint=value))
        drop = a_drop(catalog, run.id, 1)
        catalog.mark_checkpoint(run.id, 3, CheckpointStatus.DAMAGED, "bits")
        assert catalog.drop_held([drop]) == []

    # -- works -----------------------------------------------------------------------------------------------------

    def test_one_of_many_processes_works(self, catalog: Catalog) -> None:
        """A time is noted once in a pause; one in the future is of a clock that was set back. What came of the last one stays
        until this one is noted."""
        told: list[bool] = []

        def claim() -> None:
            told.append(catalog.claim_upkeep("sweep", NOW, pause=10.0))

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told) == [False] * 7 + [True]
        assert catalog.upkeep_note("sweep") == (NOW, {})
        assert catalog.claim_upkeep("verify", NOW + 1, pause=10.0)
        assert not catalog.claim_upkeep("sweep", NOW + 9.9, pause=10.0)
        catalog.note_upkeep("sweep", NOW, {"packs": 1})
        assert catalog.claim_upkeep("sweep", NOW + 10.0, pause=10.0)
        assert catalog.upkeep_note("sweep") == (NOW + 10.0, {"packs": 1})
        assert catalog.claim_upkeep("sweep", NOW - 7200, pause=10.0)
        assert catalog.upkeep_note("sweep") == (NOW - 7200, {"packs": 1})

    def test_room(self, catalog: Catalog) -> None:
        """Both can be asked for at any time."""
        filled(catalog)
        assert catalog.shrink() >= 0
        assert catalog.settle_log()
        assert catalog.stored_bytes() == 0
