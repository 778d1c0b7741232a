"""Bytes are moved beside jobs that save, read and sweep: everything stays what it was, and what is gone takes no room."""

from __future__ import annotations

import hashlib
import random
import threading
from pathlib import Path

import numpy as np
import pytest

import waycairn as wc
from waycairn.chunks import check_pack
from waycairn.errors import Damaged, StoreUnreachable
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.upkeep import verifying
from waycairn.upkeep.archive import archive, restore
from waycairn.upkeep.choosing import chosen, old
from waycairn.upkeep.invariants import verify
from waycairn.upkeep.optimize import optimize

EAGER = OptimizeSettings(live_share=1.0, small_packs=2, recompress_after=None)


def blob(number: int, size: int = 200_000) -> bytes:
    return hashlib.shake_128(b"%d" % number).digest(size)


def numbers(seed: int, size: int = 300_000) -> np.ndarray:
    return np.frombuffer(blob(seed, size), np.uint8)


def lines(page: int, count: int = 300) -> list[str]:
    return [f"line {number} of page {page if number % 2 else 0}: ".ljust(90, ".") * 8 for number in range(count)]


def packs(store: wc.Store) -> set[str]:
    return {path.name for path in Path(store.url, "packs").glob("*/*")}


def check_all_packs(store: wc.Store) -> None:
    """Every byte of every pack is what its own list says."""
    for name in store.core.catalog.packs():
        check_pack(store.core.blobs, store.core.catalog.info, name)


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as opened:
        yield opened


def test_what_is_gone_takes_no_room(store):
    """Of ten states that share a half nine go: packs are written anew and hold nothing dead; nothing is left to do."""
    shared = numbers(1)
    for page in range(10):
        store.save("state", {"shared": shared, "own": numbers(10 + page), "lines": lines(page)}, keep=1)
    store.save("other", {"lines": lines(3)})
    planned = store.optimize(dry_run=True)
    before = packs(store)
    report = store.optimize()
    assert packs(store) < before | packs(store)
    assert report.before.dead_bytes > 8 * 300_000
    assert report.freed_bytes >= 8 * 300_000
    assert report.after.share < 0.05
    assert planned.dry_run
    assert planned.before.pack_bytes == report.before.pack_bytes
    loaded = store.latest("state")
    assert (loaded["own"] == numbers(19)).all()
    assert (loaded["shared"] == shared).all()
    assert loaded["lines"] == lines(9)
    assert store.latest("other")["lines"] == lines(3)
    check_all_packs(store)
    assert store.optimize().is_empty
    assert verify(store.core, leftovers=0) == []


def test_who_located_before_reads_after(store):
    """States that were opened before their packs went are read from where they lie now."""
    for page in range(3):
        store.save(f"page {page}", {"numbers": numbers(page), "lines": lines(page), "same": numbers(99)})
    opened = {page: store.core.open(store.checkpoints(f"page {page}")[0].checkpoint.stored) for page in range(3)}
    targets = {page: memoryview(bytearray(300_000)) for page in range(3)}
    store.clear("page 0")
    before = packs(store)
    assert optimize(store.core, settings=EAGER, recompress=True).after.dead_bytes == 0
    assert not packs(store) & before
    for page in (1, 2):
        assert bytes(opened[page].fetch(0)) == numbers(page).tobytes()
        opened[page].read_into({0: targets[page]})
        assert targets[page] == numbers(page)
        assert opened[page].document
    with pytest.raises(Damaged):
        opened[0].fetch(0)


def test_chunks_that_are_gone_leave_their_block(store):
    """Half of a block of a document is gone: what is left is written anew, under the number of its first chunk."""
    store.save("all", [*lines(1), blob(1, 300_000).hex()])
    store.save("some", [*lines(2), blob(1, 300_000).hex()])
    store.clear("all")
    store.sweep()
    report = optimize(store.core, settings=EAGER)
    assert report.actions
    assert store.latest("some") == [*lines(2), blob(1, 300_000).hex()]
    for block in {place.block.number for place in store.core.catalog.locate_chunks(range(2000)).values()}:
        first = min(n for n, p in store.core.catalog.locate_chunks(range(2000)).items() if p.block.number == block)
        assert first == block
    check_all_packs(store)
    assert verify(store.core, leftovers=0) == []


def test_cold_packs_are_compressed_better_once(store):
    """Text gets smaller, noise stays as it is; the level is noted, so that neither is tried again."""
    chance = random.Random(1)
    words = [chance.randbytes(chance.randrange(1, 5)).hex() for _ in range(2000)]
    text = [" ".join(chance.choices(words, k=150)) for _ in range(600)]
    store.save("text", text)
    store.save("noise", numbers(1, 1_000_000))
    size = sum(one.size for one in store.core.catalog.pack_facts().values())
    cold = OptimizeSettings(recompress_after=0.0, level=12)
    report = optimize(store.core, settings=cold)
    assert [action.kind for action in report.actions] == ["recompress"]
    assert report.compressed_bytes > 0
    assert sum(one.size for one in store.core.catalog.pack_facts().values()) < size
    assert {one.level for one in store.core.catalog.pack_facts().values()} == {12}
    assert optimize(store.core, settings=cold).is_empty
    assert store.latest("text") == text
    assert optimize(store.core, settings=OptimizeSettings(), dry_run=True).is_empty
    check_all_packs(store)


def test_small_blocks_of_the_catalog_are_joined_in_packs(store):
    """Many small saves: what lay in the catalog lies in one pack, much smaller."""
    texts = [[f"{page} {number} and so on ".ljust(60) * 40 for number in range(40)] for page in range(60)]
    for page, text in enumerate(texts):
        store.save("small", [*text, blob(page, 20_000)])
    blocks, size = store.core.catalog.inline_bytes()
    assert blocks >= 60
    report = store.optimize(recompress=True)
    assert [action.kind for action in report.actions] == ["inline"]
    assert report.actions[0].copied_bytes < size
    assert store.core.catalog.inline_bytes() == (0, 0)
    found = [store.load(one.id) for one in reversed(store.checkpoints("small"))]
    assert found == [[*text, blob(page, 20_000)] for page, text in enumerate(texts)]
    check_all_packs(store)


def test_differences_keep_their_bases(store):
    """Blocks that are differences move, and so does what they are the difference to."""
    base = numbers(1, 600_000).astype(np.uint16)
    for page in range(4):
        store.save("weights", {"w": base + page, "own": numbers(page)}, compress="delta")
    store.save("own", {"own": numbers(0)})
    store.clear("own")
    optimize(store.core, settings=EAGER, recompress=True)
    found = [store.load(one.id)["w"] for one in reversed(store.checkpoints("weights"))]
    assert all((loaded == base + page).all() for page, loaded in enumerate(found))
    assert verify(store.core, leftovers=0) == []


def test_a_pass_copies_so_much_and_the_next_goes_on(store):
    """One group of packs a pass; at the end nothing dead is left."""
    for page in range(5):
        kept = numbers(page, 1_100_000)
        store.save(f"both {page}", {"kept": kept, "gone": numbers(100 + page, 1_100_000)})
        store.save(f"kept {page}", {"kept": kept})
        store.clear(f"both {page}")
    settings = OptimizeSettings(live_share=1.0, recompress_after=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("waycairn.model.optimizing.GROUP", 2_000_000)
        reports = [optimize(store.core, settings=settings, max_bytes=2_000_000) for _ in range(5)]
    assert [report.copied_bytes for report in reports] == [1_100_000] * 5
    assert [report.left_bytes for report in reports] == [1_100_000 * left for left in (4, 3, 2, 1, 0)]
    assert reports[0].after.share > 0.3
    assert reports[-1].after.dead_bytes == 0
    assert all((store.latest(f"kept {page}")["kept"] == numbers(page, 1_100_000)).all() for page in range(5))


def test_a_damaged_block_stays_where_it_is(store):
    """It is told; all others move, and the damaged one can still be mended where it lies."""
    arrays = {name: numbers(seed, 1_100_000) for seed, name in enumerate(("gone", "good", "bad"))}
    store.save("all", arrays)
    store.save("some", {name: arrays[name] for name in ("good", "bad")})
    store.clear("all")
    index = store.core.catalog
    (number,) = (one for one, place in index.locate_chunks(range(9)).items() if place.block.offset > 2_200_000)
    block = index.locate_chunks([number])[number].block
    path = next(Path(store.url, "packs").glob(f"*/{block.pack}"))

    def flip():
        data = bytearray(path.read_bytes())
        data[block.offset + 7] ^= 1
        path.write_bytes(data)

    flip()
    report = optimize(store.core, settings=EAGER)
    assert [f"block {number} of pack {block.pack}" in told for told in report.unreadable] == [True]
    places = {place.block.pack for place in index.locate_chunks(range(9)).values()}
    assert len(places) == 2
    assert block.pack in places
    flip()
    loaded = store.latest("some")
    assert all((loaded[name] == arrays[name]).all() for name in loaded)
    assert optimize(store.core, settings=EAGER).after.dead_bytes == 0


def test_saves_loads_and_optimizers_at_once(store):
    """Two that optimize, one that sweeps, one that saves and one that reads: nobody meets anything wrong."""
    errors: list[BaseException] = []
    saved = threading.Event()

    def guarded(work):
        def run():
            try:
                work()
            except BaseException as error:
                errors.append(error)

        return threading.Thread(target=run)

    def state(page):
        return {"page": page, "back": blob(page % 3), "same": numbers(7), "lines": lines(page // 2, 100)}

    def save():
        try:
            for page in range(12):
                store.save("beside", state(page), keep=2)
        finally:
            saved.set()

    def read():
        while not saved.is_set():
            loaded = store.latest("beside")
            if loaded is not None:
                wanted = state(loaded["page"])
                assert all(loaded[name] == wanted[name] for name in ("back", "lines"))
                assert (loaded["same"] == wanted["same"]).all()

    def tidy():
        while not saved.is_set():
            optimize(store.core, settings=EAGER, recompress=True)

    def sweep():
        while not saved.is_set():
            store.sweep()

    threads = [guarded(work) for work in (save, read, tidy, tidy, sweep)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    optimize(store.core, settings=EAGER)
    store.sweep(grace=0)
    assert [store.load(one.id)["page"] for one in store.checkpoints("beside")] == [11, 10]
    check_all_packs(store)
    assert verify(store.core, leftovers=0) == []


# -- archives ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def archived(store, tmp_path):
    """Two old runs that share a part with a new one, moved to another disk."""
    for page in range(3):
        store.save(f"page {page}", {"same": numbers(99), "own": numbers(page), "lines": lines(page)})
    report = store.archive([store.find("page 0"), store.find("page 1")], tmp_path / "disk")
    assert report.moved_bytes > 600_000
    assert report.freed_bytes > 0.9 * report.moved_bytes
    return store


def test_an_archived_checkpoint_is_loaded_while_the_archive_is_there(archived, tmp_path):
    """Its bytes lie there, those that others need lie here; away, the error names the archive, and nothing is marked."""
    for page in range(3):
        assert (archived.latest(f"page {page}")["own"] == numbers(page)).all()
    assert verify(archived.core, leftovers=0) == []
    (tmp_path / "disk").rename(tmp_path / "away")
    with pytest.raises(StoreUnreachable, match=r"disk, which is not there now. Nothing is lost") as caught:
        archived.latest("page 0")
    assert caught.value.place == str(tmp_path / "disk")
    assert (archived.latest("page 2")["own"] == numbers(2)).all()
    found = verifying.verify(archived.core)
    assert (found.broken, found.damaged_packs, found.away_packs) == ([], {}, 1)
    assert {one.status for one in archived.checkpoints()} == {"valid"}
    (tmp_path / "away").rename(tmp_path / "disk")
    assert (archived.latest("page 0")["own"] == numbers(0)).all()


def test_saves_do_not_lean_on_an_archive(archived, tmp_path):
    """The same state again is written again: it can be read when the archive is away."""
    (tmp_path / "disk").rename(tmp_path / "away")
    archived.save("again", {"own": numbers(0), "lines": lines(0)})
    assert (archived.latest("again")["own"] == numbers(0)).all()
    assert archived.latest("again")["lines"] == lines(0)


def test_a_sweep_touches_no_archive_that_is_away(archived, tmp_path):
    """What is deleted goes there as soon as it is back."""
    (tmp_path / "disk").rename(tmp_path / "away")
    for page in (0, 1):
        archived.clear(f"page {page}")
    archived.sweep(grace=0)
    assert any(one.place for one in archived.core.catalog.pack_facts().values())
    (tmp_path / "away").rename(tmp_path / "disk")
    archived.sweep(grace=0)
    assert not any(one.place for one in archived.core.catalog.pack_facts().values())
    assert [path for path in (tmp_path / "disk").rglob("*") if path.is_file()] == []


def test_it_comes_back(archived, tmp_path):
    """By name or all of it; from an archive that is away nothing is changed."""
    (tmp_path / "disk").rename(tmp_path / "away")
    with pytest.raises(StoreUnreachable, match="Nothing was changed"):
        archived.unarchive()
    (tmp_path / "away").rename(tmp_path / "disk")
    archived.unarchive([archived.find("page 0")])
    assert archived.unarchive([archived.find("page 0")]).blocks == 0
    archived.unarchive()
    assert [path for path in (tmp_path / "disk").rglob("*") if path.is_file()] == []
    (tmp_path / "disk").rename(tmp_path / "away")
    for page in range(3):
        assert archived.latest(f"page {page}")["lines"] == lines(page)
    assert verify(archived.core, leftovers=0) == []


def test_what_a_call_that_died_left_in_an_archive_goes(archived, tmp_path):
    """A pack there that no row names, once it is old enough; the others stay."""
    (folder,) = (tmp_path / "disk").iterdir()
    left = folder / "ab" / ("ab" + "0" * 30)
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"left")
    kept = [path for path in folder.rglob("*") if path.is_file() and path != left]
    some = chosen(archived.core, [archived.find("page 0")])
    archive(archived.core, some, str(tmp_path / "disk"))
    assert left.exists()
    archive(archived.core, some, str(tmp_path / "disk"), grace=0)
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(kept)
    assert (archived.latest("page 1")["own"] == numbers(1)).all()


def test_what_a_run_goes_on_from_stays(store, tmp_path):
    """An unfinished run is not archived, nor its newest checkpoint; older ones may be."""
    with pytest.raises(RuntimeError, match="stop"), store.run("job") as run:
        state = run.state({"data": b""})
        for page in range(2):
            state["data"] = blob(page)
            run.checkpoint(force=True)
        raise RuntimeError("stop")
    found = store.find("job")
    newest, older = store.checkpoints("job", role="state")[:2]
    with pytest.raises(ValueError, match="is not finished"):
        store.archive([found], tmp_path / "disk")
    with pytest.raises(ValueError, match="would go on from it"):
        store.archive([newest], tmp_path / "disk")
    assert not (tmp_path / "disk").exists()
    assert store.archive([older], tmp_path / "disk").blocks
    assert store.load(older.id) == {"data": blob(0)}


def test_old_checkpoints_are_archived_by_policy(store, tmp_path):
    """Of finished runs, but the newest of each."""
    for page in range(3):
        store.save("value", blob(page))
    assert old(store.core, 3600).is_empty
    assert len(old(store.core, 0).checkpoints) == 2
    settings = OptimizeSettings(archive=str(tmp_path / "disk"), archive_after=0.0)
    report = optimize(store.core, settings=settings)
    assert report.archived_bytes > 400_000
    assert optimize(store.core, settings=settings).archived_bytes == 0
    (tmp_path / "disk").rename(tmp_path / "away")
    assert store.latest("value") == blob(2)


def test_anything_in_any_order(store, tmp_path):
    """Saves, deletes, sweeps, optimizes, archives and returns by chance: what was saved is what is loaded."""
    chance = random.Random(5)
    wanted: dict[str, int] = {}

    def state(number):
        return {"same": numbers(number % 3, 90_000), "own": blob(number, 60_000), "lines": lines(number % 4, 80)}

    def save():
        name, number = f"run {chance.randrange(8)}", chance.randrange(20)
        store.save(name, state(number), keep=1)
        wanted[name] = number

    def clear():
        if wanted:
            name = chance.choice(sorted(wanted))
            store.clear(name)
            del wanted[name]

    def away():
        some = chance.sample(sorted(wanted), min(2, len(wanted)))
        archive(store.core, chosen(store.core, map(store.find, some)), str(tmp_path / "disk"), grace=0)

    acts = [save] * 6 + [
        clear,
        away,
        lambda: store.sweep(grace=0),
        lambda: optimize(store.core, settings=EAGER, recompress=chance.random() < 0.5),
        lambda: restore(store.core, None, grace=0),
    ]
    for _ in range(60):
        chance.choice(acts)()
    assert wanted
    for name, number in wanted.items():
        loaded = store.latest(name)
        assert (loaded["same"] == state(number)["same"]).all()
        assert (loaded["own"], loaded["lines"]) == (state(number)["own"], state(number)["lines"])
    check_all_packs(store)
    assert verify(store.core, leftovers=0) == []
