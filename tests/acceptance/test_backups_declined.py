"""A backup that was declined: what goes then, goes for good, but never half and never more than was named."""

import os

import pytest
import sqlalchemy as sa

import waycairn as wc
from backups.forked import killed_at, while_stopped_at
from backups.trees import make_everything, make_small, seen
from rows_case import Scene
from waycairn.backups.paths import paths
from waycairn.backups.runs import runs
from waycairn.errors import BackupError, BackupRefused, RunIsHeld, SourceChanged, StoreBusy
from waycairn.world.crashpoints import arm, disarm

WHY = "it is in git"


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as store:
        yield store


@pytest.fixture(params=["sqlite", "postgres"])
def scene(request, tmp_path):
    place = f"sqlite:///{tmp_path / 'app.db'}" if request.param == "sqlite" else None
    return Scene(place or request.getfixturevalue("postgres_database"), tmp_path).fill()


def declined(store, source):
    with store.safeguard(source, decline=WHY) as backup:
        assert backup.delete() is None
    assert store.backups() == []


def acts(store):
    return [(row.entry.act, row.entry.outcome.value) for row in store.core.catalog.audit_after(0)]


# -- paths ---------------------------------------------------------------------------------------------------------------


def test_a_tree_goes_and_no_link_is_followed(store, tmp_path):
    """Everything in it, whatever it is; what its links lead to stays."""
    here, outside = tmp_path / "here", tmp_path / "outside"
    here.mkdir()
    make_everything(here / "tree")
    make_small(outside)
    before = seen(outside)
    (here / "tree" / "out").symlink_to(outside)
    (here / "link").symlink_to(outside)
    declined(store, paths(here / "tree", here / "link"))
    assert os.listdir(here) == []
    assert seen(outside) == before
    assert acts(store)[-3:] == [
        ("backup.decline", "done"),
        ("backup.delete_source", "begun"),
        ("backup.delete_source", "done"),
    ]


@pytest.mark.parametrize(("point", "hit"), [("backup.paths.aside", 1), ("backup.paths.unguarded.unlinked", 3)])
def test_a_tree_whose_delete_was_killed_is_deleted_by_the_next(tmp_path, point, hit):
    """It is not at its place any more; called again, the delete finishes, and takes along what came to its place."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    source = paths(tree)
    assert killed_at(source.delete_without_backup, point, hit)
    assert not tree.exists()
    make_small(tree)
    source.delete_without_backup()
    assert os.listdir(tmp_path / "here") == []
    with pytest.raises(BackupError, match="nothing"):
        source.delete_without_backup()


def test_a_tree_that_cannot_go_to_the_end(tmp_path):
    """The disk fails half way: what is left is where it was."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    before = seen(tree)
    arm("backup.paths.unguarded.unlinked", 3, "ENOSPC")
    try:
        with pytest.raises(BackupError, match="What was not deleted yet is where it was"):
            paths(tree).delete_without_backup()
    finally:
        disarm()
    assert os.listdir(tmp_path / "here") == ["tree"]
    assert 0 < len(seen(tree)) < len(before)


def test_what_is_written_into_it_meanwhile_stays(tmp_path):
    """A folder that is not empty any more is an error, not emptied."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)

    def refused() -> None:
        with pytest.raises(BackupError, match="not empty"):
            paths(tree).delete_without_backup()

    aside = tree.with_name(".tree.waycairn-deleting-declined")
    late = while_stopped_at(refused, "backup.paths.unguarded.unlinked", lambda: (aside / "late").write_text("late"))
    assert late == 0
    assert (tree / "late").read_text() == "late"


def test_the_store_itself_is_not_deleted(store, tmp_path):
    """A store in one of the paths stops the delete, also without a backup in it."""
    with pytest.raises(BackupRefused, match="lie in one another"), store.safeguard(tmp_path, decline=WHY):
        raise AssertionError("never begun")


# -- rows ----------------------------------------------------------------------------------------------------------------


def test_rows_go_with_what_hangs_on_them(store, scene):
    """Children first, and no other row."""
    with scene.engine.connect() as connection:
        young = connection.execute(
            sa.text("SELECT count(*) FROM conversations WHERE NOT created < '2025'")
        ).scalar_one()
    declined(store, scene.old())
    left = scene.everything()
    assert [len(left[table]) for table in ("conversations", "turns", "attachments")] == [young, young * 3, young * 3]
    assert all(row[2] >= "2025" for row in left["conversations"])


def test_rows_that_others_refer_to_stay(store, scene):
    """As with a backup: the rows that would dangle, or go along, are named, and nothing is deleted."""
    before = scene.everything()
    with store.safeguard(scene.old(children=None), decline=WHY) as backup, pytest.raises(BackupRefused, match="turns"):
        backup.delete()
    assert scene.everything() == before
    assert acts(store)[-1] == ("backup.delete_source", "refused")


def test_a_trigger_that_keeps_rows_stops_the_delete(store, tmp_path):
    """More or fewer than were counted under the lock: nothing goes."""
    scene = Scene(f"sqlite:///{tmp_path / 'app.db'}", tmp_path).fill()
    scene.run("CREATE TRIGGER keep BEFORE DELETE ON turns WHEN old.id = 3 BEGIN SELECT RAISE(IGNORE); END")
    before = scene.everything()
    with store.safeguard(scene.old(), decline=WHY) as backup, pytest.raises(SourceChanged, match="15 are to be"):
        backup.delete()
    assert scene.everything() == before


def test_rows_that_another_program_holds(store, tmp_path):
    """The database is busy, and says so; nothing was deleted."""
    path = tmp_path / "app.db"
    scene = Scene(f"sqlite:///{path}?timeout=0.2", tmp_path).fill()
    before = scene.everything()
    with scene.engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with store.safeguard(scene.old(), decline=WHY) as backup, pytest.raises(StoreBusy, match="Nothing was deleted"):
            backup.delete()
    assert scene.everything() == before


# -- runs ----------------------------------------------------------------------------------------------------------------


def test_runs_go_unless_somebody_holds_them(store):
    """All of them in one transaction, those below them too; a held one keeps all."""
    for name in ("nightly", "weekly"):
        with store.run(name, progress="off") as run:
            run.step("one", lambda: name)  # noqa: B023
            run.phase("below", lambda phase: list(phase.each(range(2), key=str)))
    source = runs(store, "nightly", "weekly")
    with (
        store.run("weekly", progress="off"),
        store.safeguard(source, decline=WHY) as backup,
        pytest.raises(RunIsHeld),
    ):
        backup.delete()
    assert {run.name for run in store.runs()} == {"nightly", "weekly"}
    declined(store, source)
    assert list(store.runs()) == []
    assert ("run.remove", "done") in acts(store)


def test_a_run_that_is_entered_between_look_and_delete_stays(tmp_path):
    """Nobody deletes what somebody works on by now."""
    with wc.open(tmp_path / "store") as store, store.run("nightly", progress="off") as run:
        run.step("one", lambda: 1)

    def refused() -> None:
        with wc.open(tmp_path / "store") as store, pytest.raises(SourceChanged, match="entered meanwhile"):
            runs(store, "nightly").delete_without_backup()

    def enter() -> None:
        with wc.open(tmp_path / "store") as store, store.run("nightly", progress="off"):
            pass

    assert while_stopped_at(refused, "backup.runs.delete", enter) == 0
    with wc.open(tmp_path / "store") as store:
        assert [run.name for run in store.runs()] == ["nightly"]
