"""Contract: blocks that move from pack to pack."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from waycairn.errors import Damaged, SweptMeanwhile
from waycairn.model.ids import PackId, RunId
from waycairn.model.records import NewBlock, NewData, NewPack, Stored
from waycairn.model.repacking import Copied, Move, NewPlace, PackOrigin, StoredBlock
from waycairn.model.spans import Spans
from waycairn.model.states import RunStatus
from waycairn.ports import Catalog
from waycairn.ports.catalog_sizes import SavedBytes
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.catalog_sweeps import NOTHING, condemn, dead, mark, naming, packed, refers
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_step, some_data
from waycairn.world.randomness import new_pack_id

ORIGIN = PackOrigin(created=NOW, level=9)


def stored(catalog: Catalog, *blocks: Sequence[int]) -> list[StoredBlock]:
    """Blocks as they lie now, each by its chunks."""
    places = [catalog.locate_chunks(numbers) for numbers in blocks]
    return [StoredBlock(next(iter(of.values())).block, [of[number] for number in sorted(of)]) for of in places]


def joined(was: Sequence[StoredBlock], pack: PackId, length: int = 50) -> Move:
    """Several blocks as one at the beginning of a new pack."""
    numbers = [chunk.number for one in was for chunk in one.chunks]
    raw = sum(chunk.length for one in was for chunk in one.chunks)
    return Move(was, [NewPlace(NewBlock(numbers[0], 1, raw, length, pack, 64, None), numbers)])


def copied(catalog: Catalog, pack: PackId, *moves: Move, epoch: int | None = None) -> Copied:
    begun = catalog.sweep_epoch() if epoch is None else epoch
    return Copied(epoch=begun, packs=[NewPack(pack, 4096, b"d" * 32)], moves=moves)


class RepackContract(CatalogCase):
    def test_a_switch_moves_what_is_still_where_it_was(self, catalog: Catalog) -> None:
        """Blocks are joined, chunks say where they lie now, and the old pack is condemned once it has none; a save that found
        chunks again is refused, finds them there, and commits."""
        run = added(catalog)
        first = catalog.reserve_numbers(4)
        old, new = new_pack_id(), new_pack_id()
        catalog.commit(a_cut(run.id, 1, data=[packed(first, 3, old)], checkpoint=a_checkpoint(stored=naming(first))))
        epoch = catalog.sweep_epoch()
        one, other, last = stored(catalog, [first], [first + 1], [first + 2])
        bundle = copied(catalog, new, joined([one, other], new))
        done = catalog.switch(bundle, bundle.moves, ORIGIN)
        assert (done.blocks, done.stored_bytes, done.freed_bytes) == (2, 50, 150)
        assert done.epoch == catalog.sweep_epoch() > epoch
        places = catalog.locate_chunks([first, first + 1])
        assert [(place.start, place.block.number, place.block.pack) for place in places.values()] == [
            (0, first, new),
            (100, first, new),
        ]
        assert catalog.count_homeless() == 0
        facts = catalog.pack_facts()
        assert (facts[new].blocks, facts[new].chunks, facts[new].level, facts[new].created) == (1, 2, 9, NOW)
        assert (facts[old].blocks, facts[old].live_bytes, facts[old].place) == (1, 100, None)
        late = a_cut(run.id, 2, data=[NewData(sweep_epoch=epoch)], checkpoint=a_checkpoint(stored=naming(first + 1)))
        with pytest.raises(SweptMeanwhile):
            catalog.commit(late)
        assert catalog.has_chunks(Spans([(first, 3)]))
        again, more = new_pack_id(), joined([last], new_pack_id())
        catalog.switch(copied(catalog, again, more), [more], ORIGIN)
        assert catalog.pack_facts()[old].blocks == 0

    def test_what_was_moved_or_swept_meanwhile_is_left_out(self, catalog: Catalog) -> None:
        """Of two who copied the same blocks the second moves nothing, nor what a sweep has removed; its pack is condemned."""
        run = added(catalog)
        first = catalog.reserve_numbers(3)
        old = new_pack_id()
        catalog.commit(a_cut(run.id, 1, data=[packed(first, 2, old)], checkpoint=a_checkpoint(stored=naming(first))))
        both = stored(catalog, [first], [first + 1])
        names = [new_pack_id() for _ in range(3)]
        moves = [[joined([one], name) for one in both] for name in names]
        catalog.switch(copied(catalog, names[0], *moves[0][:1]), moves[0][:1], ORIGIN)
        condemn(catalog, mark(catalog))
        second = catalog.switch(copied(catalog, names[1], *moves[1]), moves[1], ORIGIN)
        assert (second.blocks, second.stored_bytes) == (0, 0)
        assert catalog.locate_chunks([first])[first].block.pack == names[0]
        assert {name: one.blocks for name, one in catalog.pack_facts().items()} == {old: 0, names[0]: 1, names[1]: 0}

    def test_an_older_mark_takes_nothing_that_was_joined(self, catalog: Catalog) -> None:
        """It knows a dead block by a number under which living chunks lie by now."""
        run = added(catalog)
        first = catalog.reserve_numbers(2)
        old, new = new_pack_id(), new_pack_id()
        needed = a_checkpoint(stored=naming(first + 1))
        catalog.commit(a_cut(run.id, 1, data=[packed(first, 2, old)], checkpoint=needed))
        marked = mark(catalog)
        assert dead(marked) == [first]
        move = joined(stored(catalog, [first], [first + 1]), new)
        catalog.switch(copied(catalog, new, move), [move], ORIGIN)
        with pytest.raises(SweptMeanwhile):
            condemn(catalog, marked)
        condemn(catalog, mark(catalog))
        assert sorted(catalog.locate_chunks([first, first + 1])) == [first + 1]

    def test_new_packs_of_another_epoch_are_refused(self, catalog: Catalog) -> None:
        """A sweep may have condemned them; what follows in the same packs needs no such look."""
        run = added(catalog)
        first = catalog.reserve_numbers(2)
        catalog.commit(a_cut(run.id, 1, data=[packed(first, 2, new_pack_id())]))
        new = new_pack_id()
        moves = [joined([one], new) for one in stored(catalog, [first], [first + 1])]
        bundle = copied(catalog, new, *moves, epoch=catalog.sweep_epoch() - 1)
        with pytest.raises(SweptMeanwhile):
            catalog.switch(bundle, moves[:1], ORIGIN)
        assert new not in catalog.packs()
        catalog.switch(copied(catalog, new, *moves), moves[:1], ORIGIN)
        assert catalog.switch(bundle, moves[1:], None).blocks == 1

    def test_an_archive_is_known_by_its_packs(self, catalog: Catalog) -> None:
        """What lies there is not found again by saves, and what commits need that came since does not go there."""
        run = added(catalog)
        first = catalog.reserve_numbers(3)
        catalog.commit(a_cut(run.id, 1, data=[packed(first, 3, new_pack_id())]))
        catalog.commit(a_cut(run.id, 2, checkpoint=a_checkpoint(stored=naming(first))))
        blocks = stored(catalog, [first], [first + 1], [first + 2])
        needs = catalog.referred_by(refers, NOTHING, {run.id}, ())
        assert needs.theirs.numbers() == [first]
        assert needs.others.numbers() == []
        since = a_run("since")
        value = a_cut(since.id, 0, checkpoint=a_checkpoint(stored=naming(first + 1), role="value"))
        catalog.save_value(value, since)
        new = new_pack_id()
        moves = [joined([one], new) for one in blocks]
        origin = PackOrigin(place="/mnt/archive", created=NOW)
        done = catalog.switch(copied(catalog, new, *moves), moves, origin, needs)
        assert done.blocks == 2
        assert catalog.place_of(new) == "/mnt/archive"
        assert catalog.place_of(new_pack_id()) is None
        assert list(catalog.places()) == ["/mnt/archive"]
        ids = [chunk.id for one in blocks for chunk in one.chunks]
        assert list(catalog.find_chunks(ids)) == [ids[1]]
        assert not catalog.has_chunks(Spans([(first, 1)]))
        assert catalog.has_chunks(Spans([(first + 1, 1)]))

    def test_what_some_need_and_what_the_rest_needs(self, catalog: Catalog) -> None:
        """Runs and single checkpoints; a manifest that cannot be read says nothing, so nothing may move."""
        run, other = added(catalog), added(catalog, a_run("other"))
        first = catalog.reserve_numbers(4)
        data = [packed(first, 4, new_pack_id())]
        catalog.commit(a_cut(run.id, 1, data=data, checkpoint=a_checkpoint(stored=naming(first, first + 1))))
        catalog.commit(a_cut(run.id, 2, checkpoint=a_checkpoint(stored=naming(first + 1, first + 2))))
        catalog.commit(a_cut(other.id, 1, checkpoint=a_checkpoint(stored=naming(first + 3))))
        needs = catalog.referred_by(refers, NOTHING, {other.id}, {(run.id, 1)})
        assert needs.theirs.numbers() == [first, first + 1, first + 3]
        assert needs.others.numbers() == [first + 1, first + 2]
        damaged = Stored(manifest=b"damaged", root=b"r" * 32, raw_bytes=1, new_bytes=1)
        catalog.commit(a_cut(run.id, 3, checkpoint=a_checkpoint(stored=damaged)))
        with pytest.raises(Damaged, match="nothing may be moved"):
            catalog.referred_by(refers, NOTHING, {other.id}, ())

    def test_blocks_of_the_catalog_move_out(self, catalog: Catalog) -> None:
        """They are listed in portions, and their bytes leave the rows."""
        run = added(catalog)
        first = catalog.reserve_numbers(4)
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, b"one", b"two"), some_data(first + 2, b"three")]))
        assert catalog.inline_blocks(-1, 1) == {first: 6}
        assert catalog.inline_blocks(first, 9) == {first + 2: 5}
        assert catalog.inline_bytes() == (2, 11)
        listed = [(first, first), (first + 1, first), (first + 2, first + 2)]
        assert list(catalog.chunk_blocks()) == listed
        assert list(catalog.chunk_blocks(first)) == listed[1:]
        new = new_pack_id()
        move = joined(stored(catalog, [first, first + 1], [first + 2]), new)
        catalog.switch(copied(catalog, new, move), [move], ORIGIN)
        assert catalog.inline_bytes() == (0, 0)
        assert [place.start for place in catalog.locate_chunks(range(first, first + 3)).values()] == [0, 3, 6]

    def test_levels_and_sums(self, catalog: Catalog) -> None:
        """A pack that was tried says so; bytes are told by name and kind; old ones of finished runs are counted."""
        run, other = added(catalog), added(catalog, a_run("other"))
        first = catalog.reserve_numbers(1)
        pack = new_pack_id()
        for sequence in (1, 2):
            data = [packed(first, 1, pack)] if sequence == 1 else []
            catalog.commit(a_cut(run.id, sequence, data=data, checkpoint=a_checkpoint("model_state")))
        catalog.commit(a_cut(other.id, 1, checkpoint=a_checkpoint("custom")))
        assert catalog.pack_facts()[pack].level is None
        catalog.note_level([pack], 12)
        assert catalog.pack_facts()[pack].level == 12
        assert list(catalog.saved_bytes()) == [
            SavedBytes("job", "model_state", 2, 2000, 200),
            SavedBytes("other", "custom", 1, 1000, 100),
        ]
        assert catalog.count_older(NOW + 99) == (0, 0)
        value = a_run("value")
        saved = a_cut(value.id, 0, status=RunStatus.COMPLETED, checkpoint=a_checkpoint(role="value"))
        catalog.save_value(saved, value)
        assert catalog.count_older(NOW + 99) == (1, 100)
        assert catalog.count_older(NOW - 99) == (0, 0)
        assert catalog.count_of_run(RunId("nothing")) == (0, 0)
        steps = added(catalog, a_run("steps"))
        catalog.commit(a_cut(steps.id, 1, checkpoint=a_checkpoint(), steps=[a_step("", "one"), a_step("", "two")]))
        assert catalog.count_of_run(steps.id) == (1, 2)
