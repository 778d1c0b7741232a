"""Contract: marks of damage, the chunk index as a whole, and its repair."""

from __future__ import annotations

import pytest

from waycairn.errors import SweptMeanwhile
from waycairn.model.damage import Mending, PackRow
from waycairn.model.records import NewBlock, NewChunk, NewData, NewPack
from waycairn.model.spans import Spans
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.records import NOW, a_chunk_id, a_cut, some_data
from waycairn.world.randomness import new_pack_id


class DamageContract(CatalogCase):
    def test_the_index_is_read_page_by_page(self, catalog: Catalog) -> None:
        """In the order of the numbers; a chunk whose block is gone is told by its number."""
        run = added(catalog)
        first = catalog.reserve_numbers(8)
        lost = NewData(chunks=[NewChunk(first + 5, a_chunk_id(b"x"), first + 7, 0, 1)])
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, b"a", b"bc", b"d"), lost]))
        page = catalog.index_after(-1, 2)
        assert page is not None
        assert [place.number for place in page.places] == [first, first + 1]
        assert page.last == first + 1
        page = catalog.index_after(page.last, 100)
        assert page is not None
        assert [(place.number, place.id, place.block.inline) for place in page.places] == [
            (first + 2, a_chunk_id(b"d"), b"abcd")
        ]
        assert page.homeless == [first + 5]
        assert catalog.index_after(page.last, 100) is None

    def test_marked_chunks_are_not_found_again(self, catalog: Catalog) -> None:
        """By their ids; they are located as before. The epoch moves with new marks only, and a save under way is refused."""
        run = added(catalog)
        first = catalog.reserve_numbers(4)
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, b"a", b"b")]))
        epoch = catalog.sweep_epoch()
        assert catalog.mark_chunks({}, NOW) == 0
        assert catalog.sweep_epoch() == epoch
        assert catalog.mark_chunks({first: "a bit is wrong", first + 9: "it is gone"}, NOW) == 2
        assert catalog.mark_chunks({first: "again"}, NOW) == 0
        assert catalog.sweep_epoch() == epoch + 1
        assert catalog.marked_chunks() == {first: "a bit is wrong", first + 9: "it is gone"}
        assert catalog.find_chunks([a_chunk_id(b"a"), a_chunk_id(b"b")]) == {a_chunk_id(b"b"): first + 1}
        assert first in catalog.locate_chunks([first])
        assert not catalog.has_chunks(Spans([(first, 2)]))
        with pytest.raises(SweptMeanwhile):
            catalog.commit(a_cut(run.id, 2, data=[NewData(sweep_epoch=epoch)]))
        catalog.release_chunks([first, first + 9])
        assert catalog.marked_chunks() == {}
        assert catalog.find_chunks([a_chunk_id(b"a")]) == {a_chunk_id(b"a"): first}

    def test_the_copy_that_is_sound_is_found(self, catalog: Catalog) -> None:
        """The same content under two numbers, the lower one marked."""
        run = added(catalog)
        first = catalog.reserve_numbers(2)
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, b"a"), some_data(first + 1, b"a")]))
        catalog.mark_chunks({first: "broken"}, NOW)
        assert catalog.find_chunks([a_chunk_id(b"a")]) == {a_chunk_id(b"a"): first + 1}

    def test_packs_remember_when_they_were_verified(self, catalog: Catalog) -> None:
        run = added(catalog)
        one, two = sorted([new_pack_id(), new_pack_id()])
        packs = [NewPack(one, 10, b"d" * 32), NewPack(two, 20, b"e" * 32)]
        catalog.commit(a_cut(run.id, 1, data=[NewData(packs=packs)]))
        catalog.note_verified([two], NOW)
        catalog.note_verified([], NOW + 1)
        assert list(catalog.pack_rows()) == [PackRow(one, 10, b"d" * 32, None), PackRow(two, 20, b"e" * 32, NOW)]

    def test_mended_rows_take_the_place_of_others(self, catalog: Catalog) -> None:
        """New ones and old ones, marks go, and no number below is given out again; done twice it is the same."""
        run = added(catalog)
        first = catalog.reserve_numbers(2)
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, b"a", b"b")]))
        catalog.mark_chunks({first: "broken"}, NOW)
        pack = new_pack_id()
        block = NewBlock(first + 40, 1, 5, 3, pack, 64, None)
        mending = Mending(
            packs=[NewPack(pack, 99, b"d" * 32)],
            blocks=[block],
            chunks=[NewChunk(first, a_chunk_id(b"a"), first + 40, 0, 5)],
            released=[first],
            behind=first + 500,
        )
        for _ in range(2):
            catalog.mend(mending, catalog.sweep_epoch())
            assert catalog.locate_chunks([first])[first].block == block
            assert catalog.locate_chunks([first + 1])[first + 1].block.pack is None
            assert catalog.packs() == {pack: 99}
            assert catalog.marked_chunks() == {}
        assert catalog.reserve_numbers(1) >= first + 500
        catalog.mend(Mending(behind=1), catalog.sweep_epoch())
        assert catalog.reserve_numbers(1) > first + 500

    def test_a_repair_is_refused_behind_a_sweep(self, catalog: Catalog) -> None:
        """What it looked at may be gone."""
        with pytest.raises(SweptMeanwhile):
            catalog.mend(Mending(behind=10_000), catalog.sweep_epoch() - 1)
        assert catalog.reserve_numbers(1) < 10_000
