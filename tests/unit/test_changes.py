"""What changed of many runs since the last look."""

import pytest

from waycairn.model.states import RunStatus
from waycairn.testing.records import a_run, an_owner
from waycairn.upkeep import changes
from waycairn.upkeep.changes import Changes
from waycairn.work.store import open_store


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as found:
        yield found


def _told(changed):
    return {standing.run.name: standing.word for standing in changed.roots}


def test_a_look_tells_what_changed_and_no_more(store):
    """Running runs at first; then what was committed, left, discarded; then nothing."""
    with store.run("done"):
        pass
    looking = Changes(store.core)
    run = store.start("going", total=9)
    first = looking.look()
    assert (_told(first), first.counts) == ({"going": "running", "done": "completed"}, {"running": 1, "completed": 1})
    again = looking.look()
    assert (again.roots, again.phases, again.gone, again.counts) == ([], {}, [], None)
    run.step("fetch", lambda: 7)
    (standing,) = looking.look().roots
    assert standing.run.sequence == 1
    run.complete()
    assert _told(looking.look()) == {"going": "completed"}
    store.discard("done")
    assert _told(_counted(looking)) == {"done": "discarded"}


def _counted(looking):
    """A look that counts whatever counting costs."""
    looking._count_due = float("-inf")
    return looking.look()


def test_owners_are_looked_for_no_more_often_than_needed(store, monkeypatch):
    """Of the living at each look, also if nothing was written; of the dead once, and not again before half a minute."""
    alive = store.start("alive")
    for number in range(20):
        store.core.catalog.add_run(a_run(f"dead {number}", owner=an_owner()), store.core.clock.now())
    asked = []
    holder = store.core.ownership.holder
    monkeypatch.setattr(store.core.ownership, "holder", lambda run: asked.append(run.name) or holder(run))
    looking = Changes(store.core)
    words = _told(looking.look())
    assert set(words.values()) == {"running", "orphaned"}
    assert len(asked) == 21
    for _ in range(3):
        assert looking.look().roots == []
    assert asked[21:] == ["alive"] * 3
    monkeypatch.setattr(changes, "_AGAIN", -1.0)
    looking.look()
    assert len(asked) == 24 + 21
    alive.complete()


def test_a_look_at_what_nobody_changed_reads_no_rows(store, monkeypatch):
    """SQLite is asked whether somebody wrote, and that is all."""
    run = store.start("going")
    looking = Changes(store.core)
    looking.look()
    _counted(looking)
    for name in ("run_marks", "runs_by_number", "count_roots", "rested_since"):
        monkeypatch.setattr(store.core.catalog, name, lambda *_: pytest.fail("it was read"))
    assert looking.look().roots == []
    monkeypatch.undo()
    run.complete()
    assert _told(looking.look()) == {"going": "completed"}


def test_if_much_changed_all_is_to_be_read_anew(store, monkeypatch):
    """What is told at once has a bound."""
    monkeypatch.setattr(changes, "_MOST", 5)
    looking = Changes(store.core)
    looking.look()
    for number in range(7):
        store.core.catalog.add_run(a_run(f"run {number}"), store.core.clock.now())
    changed = looking.look()
    assert (len(changed.roots), changed.is_much) == (5, True)


def test_runs_at_rest_that_are_deleted_are_noticed(store):
    """Nobody knows which they were: all is to be read anew. One that was running is told by its id."""
    for name in ("a", "b"):
        with store.run(name):
            pass
    run = store.start("going")
    looking = Changes(store.core)
    looking.look()
    store.remove("a")
    assert _counted(looking).is_much
    store.core.catalog.delete_run(run.id)
    changed = _counted(looking)
    assert (changed.gone, changed.is_much) == ([run.id], False)
    assert not _counted(looking).is_much


def test_backups_in_the_making_are_not_told(store, tmp_path):
    """Nor that they are gone."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    looking = Changes(store.core)
    with store.safeguard(tmp_path / "notes", keep="30d"):
        assert _told(_counted(looking)) == {}
    changed = _counted(looking)
    assert (_told(changed), changed.gone) == ({}, [])
    assert RunStatus.COMPLETED.value not in (changed.counts or {})
