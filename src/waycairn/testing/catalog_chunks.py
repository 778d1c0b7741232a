"""Contract: the chunk index."""

from __future__ import annotations

import threading

import pytest

from waycairn.model.ids import PackId
from waycairn.model.records import ChunkPlace, NewBlock, NewChunk, NewData, NewPack
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.records import a_chunk_id, a_cut, some_data
from waycairn.world.randomness import new_pack_id


class ChunkContract(CatalogCase):
    def test_ranges_of_numbers_never_overlap(self, catalog: Catalog) -> None:
        """Eight threads at once: every number is given out once."""
        found: list[int] = []

        def reserve() -> None:
            for count in (1, 5, 17, 3):
                first = catalog.reserve_numbers(count)
                found.extend(range(first, first + count))

        threads = [threading.Thread(target=reserve) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8 * 26
        assert len(set(found)) == len(found)
        assert min(found) > 0

    def test_chunks_are_found_by_id(self, catalog: Catalog) -> None:
        """The lowest number where two saves stored the same chunk; what is not there is missing from the answer."""
        run = added(catalog)
        number = catalog.reserve_numbers(10)
        catalog.commit(a_cut(run.id, 1, data=[some_data(number + 5, b"same", b"two")]))
        catalog.commit(a_cut(run.id, 2, data=[some_data(number, b"same"), some_data(number + 1, b"one")]))
        ids = [a_chunk_id(content) for content in (b"same", b"none", b"one", b"two")]
        assert catalog.find_chunks(ids) == {ids[0]: number, ids[2]: number + 1, ids[3]: number + 6}
        assert catalog.find_chunks([]) == {}
        assert catalog.find_chunks([ids[0], ids[0]]) == {ids[0]: number}

    @pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1000])
    def test_any_number_of_chunks_can_be_asked_for(self, catalog: Catalog, count: int) -> None:
        """Found and located, all of them, whatever their number."""
        run = added(catalog)
        first = catalog.reserve_numbers(count)
        contents = [b"%d." % number for number in range(count)]
        catalog.commit(a_cut(run.id, 1, data=[some_data(first, *contents)]))
        ids = [a_chunk_id(content) for content in contents]
        assert catalog.find_chunks(ids) == {id_: first + position for position, id_ in enumerate(ids)}
        places = catalog.locate_chunks(range(first, first + count))
        assert sorted(places) == list(range(first, first + count))
        assert all(places[first + position].id == id_ for position, id_ in enumerate(ids))

    def test_chunks_are_located_in_packs_and_inline(self, catalog: Catalog) -> None:
        """A place is the chunk's own row with that of its block; unknown numbers are missing."""
        run = added(catalog)
        number = catalog.reserve_numbers(4)
        pack = new_pack_id()
        inline = NewBlock(number, 0, 6, 6, None, 0, b"abcdef")
        packed = NewBlock(number + 2, 3, 2**33, 2**32, pack, 2**40, None, base=number + 1)
        chunks = [
            NewChunk(number, a_chunk_id(b"a"), number, 0, 2),
            NewChunk(number + 1, a_chunk_id(b"b"), number, 2, 4),
            NewChunk(number + 2, a_chunk_id(b"c"), number + 2, 0, 2**32),
            NewChunk(number + 3, a_chunk_id(b"d"), number + 2, 2**32, 2**32),
        ]
        data = NewData(packs=[NewPack(pack, 2**41, b"d" * 32)], blocks=[inline, packed], chunks=chunks)
        catalog.commit(a_cut(run.id, 1, data=[data]))
        blocks = [inline, inline, packed, packed]
        assert catalog.locate_chunks([number + 9, *range(number, number + 4)]) == {
            chunk.number: ChunkPlace(chunk.number, chunk.id, chunk.start, chunk.length, block)
            for chunk, block in zip(chunks, blocks, strict=True)
        }
        assert catalog.locate_chunks([]) == {}
        assert catalog.packs() == {pack: 2**41}

    def test_a_new_catalog_knows_no_packs(self, catalog: Catalog) -> None:
        """No packs, no chunks, a sweep epoch that stays while nothing is swept."""
        assert catalog.packs() == {}
        epoch = catalog.sweep_epoch()
        run = added(catalog)
        pack = NewPack(PackId("0" * 32), 1, b"d" * 32)
        catalog.commit(a_cut(run.id, 1, data=[NewData(packs=[pack], sweep_epoch=epoch)]))
        assert catalog.sweep_epoch() == epoch

    def test_packs_must_reach_to_their_last_block(self, catalog: Catalog) -> None:
        """Inline blocks do not matter; the end is that of the last block, whatever the pack's own size."""
        run = added(catalog)
        first = catalog.reserve_numbers(4)
        pack = new_pack_id()
        blocks = [
            NewBlock(first, 0, 5, 5, pack, 4096, None),
            NewBlock(first + 1, 2, 900, 100, pack, 8192, None),
            NewBlock(first + 2, 0, 3, 3, None, 0, b"abc"),
        ]
        chunks = [NewChunk(first + n, a_chunk_id(b"%d" % n), first + n, 0, 3) for n in range(3)]
        catalog.commit(
            a_cut(run.id, 1, data=[NewData(packs=[NewPack(pack, 9000, b"d" * 32)], blocks=blocks, chunks=chunks)])
        )
        assert catalog.pack_ends() == {pack: 8292}
        assert catalog.count_homeless() == 0

    def test_chunks_without_bytes_are_counted(self, catalog: Catalog) -> None:
        """A chunk whose block is not there, a block that lies neither in a pack nor inline, and one whose base is gone."""
        run = added(catalog)
        first = catalog.reserve_numbers(4)
        chunk = NewChunk(first, a_chunk_id(b"c"), first + 9, 0, 1)
        blocks = [
            NewBlock(first + 1, 0, 1, 1, None, 0, None),
            NewBlock(first + 2, 3, 1, 1, None, 0, b"x", base=first + 8),
            NewBlock(first + 3, 3, 1, 1, None, 0, b"x", base=first),
        ]
        catalog.commit(a_cut(run.id, 1, data=[NewData(blocks=blocks, chunks=[chunk])]))
        assert catalog.count_homeless() == 3
        assert catalog.pack_ends() == {}
