"""Damage is found by name, does not spread, and is repaired from what the packs say."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

import waycairn as wc
from waycairn.errors import Damaged, StoreFull
from waycairn.model.states import CheckpointStatus
from waycairn.upkeep import invariants
from waycairn.upkeep.repairing import repair
from waycairn.upkeep.verifying import verify

BIG = 300_000
"""Bytes: more than rides in the catalog."""


def noise(seed, size=BIG):
    return random.Random(seed).randbytes(size)


def packs_of(folder):
    return sorted(path for path in Path(folder, "packs").glob("*/*") if path.is_file())


def flip(path, offset, mask=1):
    content = bytearray(path.read_bytes())
    content[offset] ^= mask
    path.write_bytes(content)


def rows(folder, statement, *values):
    with closing(sqlite3.connect(Path(folder, "catalog.db"))) as database, database:
        return database.execute(statement, values).fetchall()


def both():
    """What shares with two others; and more, so that its new chunks are too many for the catalog."""
    return [noise(1), noise(2), noise(5)]


def three_values(folder):
    """Three values that share nothing, a pack each, and one that holds two of them: their ids."""
    with wc.open(folder) as store:
        return [
            store.save("a", noise(1)),
            store.save("b", noise(2)),
            store.save("c", noise(3)),
            store.save("ab", both()),
        ]


def places(folder, checkpoint):
    """Pack files of the chunks that a checkpoint needs, and where in them each begins."""
    from waycairn.chunks.referring import runs_in

    with wc.open(folder) as store:
        stored = store.checkpoint(checkpoint).checkpoint.stored
        numbers = [n for first, count in runs_in(stored.manifest) for n in range(first, first + count)]
        found = store.core.catalog.locate_chunks(numbers).values()
        return [(Path(folder, "packs", p.block.pack[:2], p.block.pack), p.block.offset + p.start) for p in found]


def test_damage_names_exactly_the_checkpoints_that_need_it(tmp_path):
    """A bit in one block: the value saved there and the one that shares it, no other; each block is read once."""
    one, two, three, shared = three_values(tmp_path)
    path, place = places(tmp_path, one)[5]
    flip(path, place + 7)
    with wc.open(tmp_path) as store:
        found = store.verify()
        raw = 4 * BIG
        assert {broken.name for broken in found.broken} == {one, shared}
        assert raw <= found.raw_bytes < 1.2 * raw
        assert found.packs == 3
        assert found.damaged_packs == {}
        assert {run.name: run.checkpoint for run in found.restores} == {"a": None, "ab": None}
        again = store.verify(structure=True)
        assert {(broken.name, broken.known) for broken in again.broken} == {(one, True), (shared, True)}
        assert store.load(two) == noise(2)
        assert store.load(three) == noise(3)


def test_a_damaged_chunk_is_written_anew(tmp_path):
    """The same content saved again does not lean on the damaged one; and the old checkpoint is mended by it."""
    one, _, _, shared = three_values(tmp_path)
    path, place = places(tmp_path, one)[5]
    with wc.open(tmp_path) as store:
        store.latest("a")
        flip(path, place + 7)
        assert {broken.name for broken in store.verify().broken} == {one, shared}
        again = store.save("again", noise(1))
        assert store.load(again) == noise(1)
        assert [broken.name for broken in store.verify(again).broken] == []
        report = store.repair()
        assert report.replaced >= 1
        assert set(report.healed) == {one, shared}
        assert store.load(one) == noise(1)
        assert store.load(shared) == both()
        assert store.verify().broken == []


def test_damage_that_a_load_finds_does_not_spread_either(tmp_path):
    """Falling back marks the chunks, not only the checkpoint."""
    with wc.open(tmp_path) as store:
        store.save("a", noise(4))
        newest = store.save("a", [noise(1), "newer"])
    path, place = places(tmp_path, newest)[5]
    flip(path, place + 7)
    with wc.open(tmp_path) as store:
        assert store.latest("a") == noise(4)
        store.save("a", [noise(1), "newest"])
        assert store.latest("a") == [noise(1), "newest"]
        assert len(store.verify().broken) == 1


def test_the_index_is_built_again_from_packs(tmp_path):
    """All rows of chunks, blocks and packs of packs are gone, and the counter stands at its beginning."""
    ids = three_values(tmp_path)
    for table in ("chunks", "blocks", "packs"):
        rows(tmp_path, f"delete from {table}")
    rows(tmp_path, "update counters set value = 1 where name = 'chunk'")
    with wc.open(tmp_path) as store:
        before = store.repair(dry_run=True)
        assert before.chunks > 0
        assert before.copy is None
        assert store.core.catalog.packs() == {}
        report = store.repair()
        assert (report.chunks, report.lost) == (before.chunks, 0)
        assert report.packs == 4
        assert Path(tmp_path, "catalog.db.before-repair").exists()
        assert [store.load(id_) for id_ in ids] == [noise(1), noise(2), noise(3), both()]
        assert store.verify().broken == []
        assert invariants.examine(store.core) == []
        new = store.save("new", noise(9))
        assert store.load(new) == noise(9)
        assert store.load(ids[0]) == noise(1)
        assert store.repair().is_empty


@pytest.mark.parametrize(
    "change",
    [
        "update blocks set offset = offset + 1",
        "update blocks set codec = 1, raw_length = 5",
        "update chunks set start = start + 1",
        "update chunks set id = zeroblob(32)",
        "update chunks set block = 1",
        "delete from chunks where number % 2",
        "delete from blocks where number % 2",
        "delete from packs",
    ],
)
def test_wrong_rows_are_put_right(tmp_path, change):
    """Whatever is wrong in a row, the pack says what it was."""
    ids = three_values(tmp_path)
    rows(tmp_path, change)
    with wc.open(tmp_path) as store:
        store.repair()
        assert [store.load(id_) for id_ in ids] == [noise(1), noise(2), noise(3), both()]
        assert store.verify().broken == []
        assert store.verify().damaged_packs == {}


def test_a_pack_that_comes_back_heals_what_needed_it(tmp_path):
    """Moved away, verified, put back, repaired: everything is valid again."""
    one, _, _, shared = three_values(tmp_path)
    path, _ = places(tmp_path, one)[0]
    away = tmp_path / "away"
    path.rename(away)
    with wc.open(tmp_path) as store:
        found = store.verify(structure=True)
        assert {broken.name for broken in found.broken} == {one, shared}
        assert list(found.damaged_packs) == [path.name]
        assert store.repair().healed == ()
        away.rename(path)
        report = store.repair()
        assert set(report.healed) == {one, shared}
        assert report.released > 0
        assert store.checkpoint(one).status is CheckpointStatus.VALID
        assert store.core.catalog.marked_chunks() == {}


def test_a_damaged_footer_still_lists_what_proves_itself(tmp_path):
    """A bit anywhere in the footer or the trailer, and the rows of that pack gone: at most what that entry names is lost."""
    with wc.open(tmp_path) as store:
        texts = {n: "\n".join(f"{n} {m} {noise(m, 30).hex()}" for m in range(20_000)) for n in range(2)}
        saved = store.save("texts", texts)
    (path,) = packs_of(tmp_path)
    whole = path.read_bytes()
    with wc.open(tmp_path) as store:
        total = store.core.catalog.stats()["blocks"]
    assert total > 2
    footer_at = int.from_bytes(whole[-64:-56], "little")
    chance = random.Random(5)
    keep = Path(tmp_path, "catalog.db").read_bytes()
    for place in [
        footer_at + 1,
        footer_at + 20,
        len(whole) - 60,
        len(whole) - 3,
        chance.randrange(footer_at, len(whole)),
    ]:
        path.write_bytes(whole)
        Path(tmp_path, "catalog.db").write_bytes(keep)
        flip(path, place)
        rows(tmp_path, "delete from chunks")
        rows(tmp_path, "delete from blocks")
        with wc.open(tmp_path) as store:
            report = store.repair()
            assert [pack for pack, _ in report.unlisted] == [path.name]
            assert report.blocks >= total - 1, place
            if not report.lost:
                assert store.load(saved) == texts


def test_verification_rotates_through_all_packs(tmp_path):
    """A third each time, what was verified longest ago first: after three runs all of it was read; fixed parts likewise."""
    with wc.open(tmp_path) as store:
        for seed in range(7):
            store.save(f"v{seed}", noise(seed))
        read = [store.verify(read_data="/3").packs for _ in range(3)]
        assert sum(read) >= 7
        assert max(read) < 7
        assert all(row.verified for row in store.core.catalog.pack_rows())
        assert sum(store.verify(read_data=f"{n}/3").packs for n in (1, 2, 3)) == 7
        note = store.core.catalog.upkeep_note("verify")
        assert note.facts["part"] == "3/3"
        with pytest.raises(ValueError, match="no part of a store"):
            store.verify(read_data="4/3")


def test_a_run_alone_is_verified(tmp_path):
    """Only what it needs is read."""
    one, _, _, _ = three_values(tmp_path)
    with wc.open(tmp_path) as store:
        found = store.verify("a")
        assert (found.checkpoints, found.broken) == (1, [])
        assert found.raw_bytes < 1.1 * BIG
        assert store.verify(one).raw_bytes == found.raw_bytes
        assert verify(store.core, level="quick").raw_bytes == 0
        assert repair(store.core).is_empty
        assert os.listdir(tmp_path / "packs")


def loads(store, ids):
    """What each checkpoint holds, or None; without marking."""
    found = {}
    for id_ in ids:
        try:
            found[id_] = store.core.load(store.checkpoint(id_).checkpoint.stored)
        except Damaged:
            found[id_] = None
    return found


def test_any_bit_names_what_it_hurts_and_nothing_else(tmp_path):
    """Flips anywhere in the packs: exactly those are named that cannot be read; all others are what they were, before and
    after a repair."""
    three_values(tmp_path)
    with wc.open(tmp_path) as store:
        store.save("text", {"lines": [f"{n}: {noise(n, 40).hex()}" for n in range(1500)]})
        ids = [record.id for record in store.checkpoints()]
        whole = loads(store, ids)
    assert all(value is not None for value in whole.values())
    keep = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    chance = random.Random(11)
    hurt = 0
    for _ in range(6):
        for path, content in keep.items():
            path.write_bytes(content)
        for path in packs_of(tmp_path):
            if chance.random() < 0.5:
                flip(path, chance.randrange(path.stat().st_size), 1 << chance.randrange(8))
        with wc.open(tmp_path) as store:
            before = loads(store, ids)
            found = store.verify()
            broken = {id_ for id_, value in before.items() if value is None}
            assert {one.name for one in found.broken} == broken
            assert all(value in (None, whole[id_]) for id_, value in before.items())
            store.repair()
            after = loads(store, ids)
            assert all(after[id_] == whole[id_] for id_ in ids if id_ not in broken)
            assert {one.name for one in store.verify().broken} == {id_ for id_, value in after.items() if value is None}
            hurt += len(broken)
    assert hurt > 2


@pytest.mark.parametrize(
    "loss",
    [
        ["delete from chunks where number > 3 and number % 5 = 0"],
        ["delete from blocks where pack is not null"],
        ["delete from packs"],
        ["delete from chunks", "delete from blocks where pack is not null", "delete from packs"],
    ],
)
def test_a_sweep_never_takes_what_a_repair_needs(tmp_path, loss):
    """Lost rows make a pack look as if nobody needed it: nothing is removed before a repair."""
    ids = three_values(tmp_path)
    with wc.open(tmp_path) as store:
        gone = store.save("gone", noise(9))
        store.delete(gone)
    for statement in loss:
        rows(tmp_path, statement)
    before = packs_of(tmp_path)
    with wc.open(tmp_path) as store:
        with pytest.raises(Damaged, match="waycairn repair"):
            store.sweep(grace=0)
        with suppress(Damaged):  # packs without a row are none of its business
            store.optimize()
        assert packs_of(tmp_path) == before
        store.repair()
        store.sweep(grace=0)
        assert len(packs_of(tmp_path)) == len(before) - 1
        assert [store.load(id_) for id_ in ids] == [noise(1), noise(2), noise(3), both()]
        assert invariants.examine(store.core) == []


def test_damage_is_told_on_a_full_disk(tmp_path, monkeypatch):
    """Neither marks nor the note that it was verified can be written."""
    one, _, _, shared = three_values(tmp_path)
    path, place = places(tmp_path, one)[5]
    flip(path, place + 7)
    with wc.open(tmp_path) as store:

        def refuse(*_, **__):
            raise StoreFull("no space left")

        for name in ("mark_chunks", "mark_checkpoint", "note_verified", "note_upkeep"):
            monkeypatch.setattr(store.core.catalog, name, refuse)
        assert {broken.name for broken in store.verify().broken} == {one, shared}
