"""Contract: what a sweep finds and removes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from waycairn.errors import Damaged, SweptMeanwhile
from waycairn.model.ids import PackId, RunId
from waycairn.model.records import (
    CheckpointFilter,
    ComputedItem,
    DoneItems,
    NewBlock,
    NewChunk,
    NewData,
    NewPack,
    StepResult,
    Stored,
)
from waycairn.model.spans import Spans
from waycairn.model.states import CheckpointStatus
from waycairn.model.sweeping import Condemned, Mark, PackFill
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.records import a_checkpoint, a_chunk_id, a_cut, a_run, numbers, some_data
from waycairn.world.randomness import new_pack_id

NOTHING = b"\1\2"


def refers(manifest: bytes) -> list[tuple[int, int]]:
    """Manifests of these tests list numbers."""
    if manifest == b"damaged":
        raise Damaged("it is damaged.")
    return [(int(word), 1) for word in manifest.split()]


def naming(*chunks: int) -> Stored:
    manifest = b" ".join(b"%d" % number for number in chunks)
    return Stored(manifest=manifest, root=b"r" * 32, raw_bytes=1, new_bytes=1)


def mark(catalog: Catalog) -> Mark:
    return catalog.mark(refers, NOTHING)


def condemn(catalog: Catalog, marked: Mark) -> Condemned:
    return catalog.condemn(marked, marked.dead, refers, NOTHING)


def dead(marked: Mark) -> list[int]:
    return sorted(number for block in marked.dead for number in block.chunks)


def present_chunks(catalog: Catalog, of: Sequence[int]) -> list[int]:
    return sorted(catalog.locate_chunks(of))


def packed(first: int, count: int, pack: PackId) -> NewData:
    """A pack of so many chunks, each a block of 100 bytes."""
    blocks = [NewBlock(first + n, 0, 100, 100, pack, 4096 * n, None) for n in range(count)]
    chunks = [NewChunk(first + n, a_chunk_id(b"%d" % (first + n)), first + n, 0, 100) for n in range(count)]
    return NewData(packs=[NewPack(pack, 4096 * count, b"d" * 32)], blocks=blocks, chunks=chunks)


class SweepContract(CatalogCase):
    def test_whatever_names_a_chunk_keeps_it(self, catalog: Catalog) -> None:
        """Checkpoints, steps, results of items, results and additions that wait; of all runs."""
        run, other = added(catalog), added(catalog, a_run("other"))
        first = catalog.reserve_numbers(8)
        data = some_data(first, *(b"%d" % n for n in range(8)))
        step = StepResult(scope="", name="s", arguments=None, result=naming(first + 1), took=0.0)
        items = DoneItems(loop="a", count=1, keys=b"k", results=naming(first + 2))
        waits = ComputedItem(loop="a", digest=b"d" * 16, key=b"k", result=naming(first + 3))
        cut = a_cut(
            run.id,
            1,
            data=[data],
            checkpoint=a_checkpoint(stored=naming(first)),
            steps=[step],
            items=[items],
            computed=[waits],
            queued={"q": naming(first + 4)},
        )
        catalog.commit(cut)
        catalog.commit(a_cut(other.id, 1, checkpoint=a_checkpoint(stored=naming(first + 5, first))))
        marked = mark(catalog)
        assert dead(marked) == [first + 6, first + 7]
        assert [block.is_whole for block in marked.dead] == [False]
        done = condemn(catalog, marked)
        assert (done.chunks, done.blocks, done.inline_bytes) == (2, 0, 0)
        assert present_chunks(catalog, range(first, first + 8)) == list(range(first, first + 6))
        assert dead(mark(catalog)) == []
        assert catalog.sweep_epoch() == done.epoch == marked.epoch + 1

    def test_blocks_go_with_their_last_chunk(self, catalog: Catalog) -> None:
        """Bytes in the catalog are counted; a pack without blocks is condemned until it is forgotten."""
        run = added(catalog)
        first = catalog.reserve_numbers(7)
        pack, kept = new_pack_id(), new_pack_id()
        data = [packed(first, 2, pack), packed(first + 2, 3, kept), some_data(first + 5, b"one", b"three")]
        catalog.commit(a_cut(run.id, 1, data=data, checkpoint=a_checkpoint(stored=naming(first + 3))))
        assert catalog.pack_fill() == {pack: PackFill(8192, 2, 200), kept: PackFill(12288, 3, 300)}
        marked = mark(catalog)
        assert catalog.packs_of(marked.dead) == {pack: PackFill(0, 2, 200), kept: PackFill(0, 2, 200)}
        done = condemn(catalog, marked)
        assert (done.chunks, done.blocks, done.inline_bytes) == (6, 5, 8)
        assert catalog.pack_fill() == {pack: PackFill(8192, 0, 0), kept: PackFill(12288, 1, 100)}
        assert set(catalog.known_packs([pack, kept, new_pack_id()])) == {pack, kept}
        assert catalog.count_homeless() == 0
        catalog.forget_packs([pack])
        catalog.forget_packs([pack, new_pack_id()])
        assert catalog.packs() == {kept: 12288}

    def test_what_was_committed_since_the_mark_keeps_what_it_names(self, catalog: Catalog) -> None:
        """Also by a run that is new, or has the number of one that was removed."""
        run, gone = added(catalog), added(catalog, a_run("gone"))
        first = catalog.reserve_numbers(5)
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, *(b"%d" % n for n in range(5)))]))
        marked = mark(catalog)
        assert len(dead(marked)) == 5
        epoch = catalog.sweep_epoch()
        again = [NewData(sweep_epoch=epoch)]
        catalog.commit(a_cut(run.id, 2, data=again, checkpoint=a_checkpoint(stored=naming(first))))
        catalog.delete_run(gone.id)
        new = added(catalog, a_run("new"))
        catalog.commit(a_cut(new.id, 1, data=again, checkpoint=a_checkpoint(stored=naming(first + 1))))
        value = a_cut(RunId("ignored"), 0, data=again, checkpoint=a_checkpoint(stored=naming(first + 2), role="value"))
        catalog.save_value(value, a_run("value"))
        done = condemn(catalog, marked)
        assert (done.chunks, done.blocks) == (2, 0)
        assert present_chunks(catalog, range(first, first + 5)) == [first, first + 1, first + 2]

    def test_a_commit_that_found_chunks_again_is_refused_afterwards(self, catalog: Catalog) -> None:
        """And so is a mark of before: it is made again. Nothing is changed by either."""
        run = added(catalog)
        first = catalog.reserve_numbers(3)
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, b"a", b"b"), some_data(first + 2, b"c")]))
        epoch, one, other = catalog.sweep_epoch(), mark(catalog), mark(catalog)
        condemn(catalog, one)
        with pytest.raises(SweptMeanwhile):
            condemn(catalog, other)
        assert catalog.sweep_epoch() == epoch + 1
        cut = a_cut(run.id, 2, data=[NewData(sweep_epoch=epoch)], checkpoint=a_checkpoint(stored=naming(first)))
        with pytest.raises(SweptMeanwhile):
            catalog.commit(cut)
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=run.id))) == []
        assert not catalog.has_chunks(Spans([(first, 1)]))
        assert catalog.has_chunks(Spans())

    def test_chunks_are_there_or_not(self, catalog: Catalog) -> None:
        """All of many, or one is missing."""
        run = added(catalog)
        first = catalog.reserve_numbers(600)
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, *(b"%d." % n for n in range(600)))]))
        assert catalog.has_chunks(Spans([(first, 600)]))
        assert not catalog.has_chunks(Spans([(first, 601)]))

    def test_a_manifest_that_cannot_be_read_ends_the_mark(self, catalog: Catalog) -> None:
        """What it names is not known. States that name nothing are not even read."""
        run = added(catalog)
        whole = Stored(manifest=NOTHING + b"no numbers", root=b"r" * 32, raw_bytes=1, new_bytes=1)
        catalog.commit(a_cut(run.id, 1, checkpoint=a_checkpoint(stored=whole)))
        assert dead(mark(catalog)) == []
        damaged = Stored(manifest=b"damaged", root=b"r" * 32, raw_bytes=1, new_bytes=1)
        catalog.commit(a_cut(run.id, 2, checkpoint=a_checkpoint(stored=damaged)))
        with pytest.raises(Damaged, match=r"a row of checkpoints .* commit 2\) cannot be read"):
            mark(catalog)

    def test_packs_of_no_commit_are_condemned(self, catalog: Catalog) -> None:
        """Those that a commit names are not; and no commit can name them afterwards."""
        run = added(catalog)
        first = catalog.reserve_numbers(2)
        named, left = new_pack_id(), new_pack_id()
        catalog.commit(a_cut(run.id, 1, data=[packed(first, 1, named)], checkpoint=a_checkpoint(stored=naming(first))))
        epoch = catalog.sweep_epoch()
        assert list(catalog.condemn_unknown({named: 4096, left: 77})) == [left]
        assert catalog.sweep_epoch() > epoch
        assert catalog.pack_fill() == {named: PackFill(4096, 1, 100), left: PackFill(77, 0, 0)}
        late = NewData(packs=[NewPack(left, 77, b"d" * 32)], sweep_epoch=epoch)
        with pytest.raises(SweptMeanwhile):
            catalog.commit(a_cut(run.id, 2, data=[late]))

    def test_a_value_takes_older_ones_with_it(self, catalog: Catalog) -> None:
        """With `keep`: the newest so many intact ones and pinned ones stay, those of other names and other roles, too."""
        name = a_run("cursor")
        for sequence in range(1, 7):
            catalog.save_value(
                a_cut(name.id, 0, checkpoint=a_checkpoint("custom", role="value", iteration=sequence)), name
            )
        catalog.pin_checkpoint(name.id, 2, pinned=True)
        catalog.mark_checkpoint(name.id, 5, CheckpointStatus.DAMAGED, "bad")
        other = a_run("other")
        catalog.save_value(a_cut(other.id, 0, checkpoint=a_checkpoint("custom", role="value")), other)
        saved = a_cut(name.id, 0, checkpoint=a_checkpoint("custom", role="value"))
        catalog.save_value(saved, name, keep=3)
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=name.id))) == [7, 6, 5, 4, 2]
        catalog.save_value(saved, name, keep=9)
        catalog.save_value(saved, name, keep=1)
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=name.id))) == [9, 2]
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=other.id))) == [1]
        refused = a_cut(name.id, 0, data=[NewData(sweep_epoch=catalog.sweep_epoch() - 1)], checkpoint=a_checkpoint())
        with pytest.raises(SweptMeanwhile):
            catalog.save_value(refused, name, keep=1)
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=name.id))) == [9, 2]
