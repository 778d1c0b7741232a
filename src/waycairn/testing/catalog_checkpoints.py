"""Contract: checkpoints, read and managed."""

from __future__ import annotations

import math
from typing import Any

from waycairn.model.records import CheckpointFilter, RunRecord
from waycairn.model.states import CheckpointStatus
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_stored, numbers, some_data


def with_checkpoints(catalog: Catalog, *given: dict[str, Any], name: str = "job") -> RunRecord:
    """A run whose commits 1, 2, 3, ... carry these checkpoints."""
    run = added(catalog, a_run(name))
    for sequence, facts in enumerate(given, start=1):
        catalog.commit(a_cut(run.id, sequence, checkpoint=a_checkpoint(**facts)))
    return run


class CheckpointContract(CatalogCase):
    def test_a_checkpoint_comes_back_as_it_was_committed(self, catalog: Catalog) -> None:
        """Every fact, also odd text and numbers that are none."""
        checkpoint = a_checkpoint(
            "model\0state",
            role="result",
            iteration=2**40,
            tags=("best", "\udcff"),
            description="a\0b",
            metadata={"loss": math.inf, "deep": {"a": [1]}},
            expires=NOW + 60,
            reason="pace",
            outputs={"out\udcff": 2**50},
        )
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1, checkpoint=checkpoint))
        found = catalog.get_checkpoint(run.id, 1)
        assert found is not None
        assert found.checkpoint == checkpoint
        assert (found.run, found.sequence, found.epoch, found.created) == (run.id, 1, 1, NOW + 1)
        assert (found.pinned, found.status, found.damage) == (False, CheckpointStatus.VALID, None)
        assert found.id == f"{run.id}.1"
        assert catalog.get_checkpoint(run.id, 2) is None

    def test_the_latest_is_the_newest_valid_one(self, catalog: Catalog) -> None:
        """Of a kind, of a role, of both; a damaged one is passed over; None if there is none."""
        run = with_checkpoints(
            catalog, {"kind": "a"}, {"kind": "b"}, {"kind": "b", "role": "error"}, {"kind": "a", "role": "value"}
        )
        with_checkpoints(catalog, {"kind": "foreign"}, name="other")

        def latest(**which: str) -> int | None:
            found = catalog.latest_checkpoint(run.id, **which)
            return None if found is None else found.sequence

        assert latest() == 4
        assert latest(kind="a") == 4
        assert latest(role="state") == 2
        assert latest(kind="a", role="state") == 1
        assert latest(kind="foreign") is None
        catalog.mark_checkpoint(run.id, 4, CheckpointStatus.DAMAGED, "chunk 7 does not match")
        assert latest() == 3
        assert latest(kind="a") == 1
        marked = catalog.get_checkpoint(run.id, 4)
        assert marked is not None
        assert (marked.status, marked.damage) == (CheckpointStatus.DAMAGED, "chunk 7 does not match")
        catalog.mark_checkpoint(run.id, 4, CheckpointStatus.VALID, None)
        assert latest() == 4

    def test_checkpoints_are_listed_newest_first_and_filtered(self, catalog: Catalog) -> None:
        """Each filter alone, and several together."""
        run = with_checkpoints(
            catalog,
            {"kind": "a", "tags": ["x"]},
            {"kind": "b", "tags": ["x", "y"]},
            {"kind": "a", "role": "error"},
            {"kind": "b"},
        )
        catalog.pin_checkpoint(run.id, 2, pinned=True)
        catalog.mark_checkpoint(run.id, 3, CheckpointStatus.DAMAGED, "why")
        expected: list[tuple[dict[str, Any], list[int]]] = [
            ({}, [4, 3, 2, 1]),
            ({"kind": "a"}, [3, 1]),
            ({"role": "error"}, [3]),
            ({"tag": "x"}, [2, 1]),
            ({"tag": "z"}, []),
            ({"status": CheckpointStatus.VALID}, [4, 2, 1]),
            ({"status": CheckpointStatus.DAMAGED}, [3]),
            ({"pinned": True}, [2]),
            ({"pinned": False}, [4, 3, 1]),
            ({"before": 3}, [2, 1]),
            ({"before": 4, "limit": 1}, [3]),
            ({"limit": 3}, [4, 3, 2]),
            ({"kind": "a", "status": CheckpointStatus.VALID, "before": 3, "tag": "x"}, [1]),
        ]
        for given, sequences in expected:
            assert numbers(catalog.list_checkpoints(CheckpointFilter(run=run.id, **given))) == sequences, given

    def test_checkpoints_of_all_runs_are_listed_by_time(self, catalog: Catalog) -> None:
        """Newest first, whichever run they belong to."""
        one = with_checkpoints(catalog, {}, {}, {}, name="one")
        two = with_checkpoints(catalog, {}, {}, name="two")
        catalog.commit(a_cut(two.id, 3, now=NOW, checkpoint=a_checkpoint()))
        found = [(at.run, at.sequence) for at in catalog.list_checkpoints(CheckpointFilter())]
        assert found[0] == (one.id, 3)
        assert set(found[1:3]) == {(one.id, 2), (two.id, 2)}
        assert found[-1] == (two.id, 3)
        assert len(catalog.list_checkpoints(CheckpointFilter(limit=2))) == 2

    def test_pins_hold(self, catalog: Catalog) -> None:
        """A pinned checkpoint is not deleted until it is unpinned; False for one that is not there."""
        run = with_checkpoints(catalog, {}, {}, {})
        assert catalog.pin_checkpoint(run.id, 2, pinned=True)
        assert not catalog.pin_checkpoint(run.id, 9, pinned=True)
        assert catalog.delete_checkpoints(run.id, [1, 2, 3, 9]) == 2
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=run.id))) == [2]
        assert catalog.pin_checkpoint(run.id, 2, pinned=False)
        assert catalog.delete_checkpoints(run.id, [2]) == 1
        assert catalog.list_checkpoints(CheckpointFilter(run=run.id)) == []

    def test_deleting_leaves_chunks_and_other_runs(self, catalog: Catalog) -> None:
        """The rows of one run go, many in one call; chunks wait for a sweep."""
        run = added(catalog)
        number = catalog.reserve_numbers(1)
        catalog.commit(a_cut(run.id, 1, data=[some_data(number, b"x")], checkpoint=a_checkpoint()))
        for sequence in range(2, 41):
            catalog.commit(a_cut(run.id, sequence, checkpoint=a_checkpoint()))
        other = with_checkpoints(catalog, {}, {}, name="other")
        assert catalog.delete_checkpoints(run.id, []) == 0
        assert catalog.delete_checkpoints(run.id, range(1, 40)) == 39
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=run.id))) == [40]
        assert len(catalog.list_checkpoints(CheckpointFilter(run=other.id))) == 2
        assert list(catalog.locate_chunks([number])) == [number]

    def test_stats_count_the_rows(self, catalog: Catalog) -> None:
        """Counts and sizes by status and kind; an empty catalog has times of None."""
        assert catalog.stats()["checkpoints"] == {}
        assert catalog.stats()["newest_checkpoint"] is None
        run = with_checkpoints(catalog, {"kind": "a"}, {"kind": "b"}, {"kind": "b"})
        catalog.mark_checkpoint(run.id, 1, CheckpointStatus.DAMAGED, "why")
        number = catalog.reserve_numbers(2)
        catalog.commit(a_cut(run.id, 4, data=[some_data(number, b"xx", b"yyy")]))
        stats = catalog.stats()
        assert stats["runs"] == {"running": 1}
        assert stats["checkpoints"] == {"valid": 2, "damaged": 1}
        assert stats["checkpoints_by_kind"] == {"a": 1, "b": 2}
        assert (stats["chunks"], stats["chunk_bytes"], stats["blocks"], stats["block_bytes"]) == (2, 5, 1, 5)
        assert (stats["packs"], stats["pack_bytes"]) == (0, 0)
        assert (stats["oldest_checkpoint"], stats["newest_checkpoint"]) == (NOW + 1, NOW + 3)
        assert stats["checkpoint_bytes"] == 3 * a_stored().raw_bytes
