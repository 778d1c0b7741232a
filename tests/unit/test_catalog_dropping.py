"""A mass of chunks removed from a file of SQLite, and taken back when others wait to write."""

import os
import threading

import pytest

import waycairn as wc
from waycairn.catalog import dropping
from waycairn.catalog.queue import FairQueue
from waycairn.chunks.referring import REFERS_TO_NOTHING, runs_in
from waycairn.model.sweeping import Awaited, DeadBlock, Parts, Stride
from waycairn.upkeep import sweep as sweeping
from waycairn.upkeep.invariants import verify


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Values of one chunk each, replaced many times: all but the last are dead."""
    monkeypatch.setattr(dropping, "FEW", 8)
    with wc.open(tmp_path, durability="process") as store:
        for number in range(60):
            store.save("a", {"number": number, "data": os.urandom(40_000)}, keep=1)
        yield store


def chunks(store):
    return [number for number, _ in store.core.catalog.chunk_blocks()]


def test_exactly_the_dead_ones_go(store):
    dead = set(store.core.catalog.mark(runs_in, REFERS_TO_NOTHING).dead.chunks)
    kept = [number for number in chunks(store) if number not in dead]
    assert len(dead) > 8
    assert kept
    done = sweeping.sweep(store.core, grace=0)
    assert done.chunks == len(dead)
    assert chunks(store) == kept
    assert store.latest("a")["number"] == 59
    assert verify(store.core, counted=False) == []


def test_who_waits_gets_its_turn_first(store, tmp_path, monkeypatch):
    """Another process draws a ticket meanwhile: nothing of the part is removed, and the sweep goes on in smaller ones."""
    mark = store.core.catalog.mark(runs_in, REFERS_TO_NOTHING)
    before = chunks(store)
    queue = FairQueue(tmp_path / "catalog.db.queue")
    asked = dropping._ask
    waiter = threading.Thread(target=lambda: (queue.acquire(), queue.release()))

    def ask(is_awaited):
        if not waiter.ident:
            assert not is_awaited()
            waiter.start()
            while not is_awaited():
                pass
        asked(is_awaited)

    monkeypatch.setattr(dropping, "_ask", ask)
    with pytest.raises(Awaited):
        store.core.catalog.condemn(mark, mark.dead, runs_in, REFERS_TO_NOTHING, yields=True)
    waiter.join(10)
    assert not waiter.is_alive()
    assert chunks(store) == before
    queue.close()
    assert store.core.catalog.is_awaited()
    done = store.core.catalog.condemn(mark, mark.dead, runs_in, REFERS_TO_NOTHING, yields=True)
    assert done.chunks == mark.chunks
    assert not store.core.catalog.is_awaited()


def test_a_sweep_that_is_always_awaited_comes_to_an_end(store, monkeypatch):
    monkeypatch.setattr(type(store.core.catalog._database), "is_awaited", lambda _: True)
    monkeypatch.setattr(sweeping, "_FEWEST", 20)
    dead = store.core.catalog.mark(runs_in, REFERS_TO_NOTHING).chunks
    assert sweeping.sweep(store.core, grace=0).chunks == dead > 20
    assert verify(store.core, counted=False) == []


def test_parts_hold_every_block_once():
    blocks = [DeadBlock(number, [number, number + 1], is_whole=True) for number in range(0, 40, 2)]
    parts, found = Parts(blocks), []
    assert parts.take(9) == blocks[:3]
    parts.put_back(blocks[:3])
    while part := parts.take(6):
        assert len(part) == 2
        found += part
    assert found == blocks


def test_strides_are_short_as_long_as_others_commit():
    stride = Stride(10, 100, 1000)
    assert stride.took(100, 0.01, False) == 0
    assert stride.size == 400
    assert stride.took(400, 0.1, True) == Stride.BREATH
    assert stride.size == pytest.approx(20)
    assert stride.took(20, 0.005, False) == 0
    assert stride.size == pytest.approx(20)
    assert stride.took(20, Stride.CALM, False) == 0
    assert stride.size == 10
    stride.took(10, 0.001, False)
    assert stride.size == 40
    stride.was_awaited()
    assert stride.size == 10
    assert not stride.yields
