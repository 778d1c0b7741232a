"""Trees are deleted as they were exported, or not at all: what writers, errors and kill -9 make of that."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from backup_folder import ID, back_up
from backups.forked import killed_at, points_of, while_stopped_at
from backups.trees import NOW, make_everything, make_small, seen
from waycairn.backups.paths import paths
from waycairn.backups.source import Wish
from waycairn.errors import BackupError, SourceChanged
from waycairn.world import crashpoints


def _append(tree: Path) -> None:
    with open(tree / "2.txt", "a") as file:
        file.write("more")


def _rewrite_unseen(tree: Path) -> None:
    """Same size, same time of change as far as a program can set it."""
    text = (tree / "2.txt").read_text()
    (tree / "2.txt").write_text(text.replace("file", "FILE"))
    os.utime(tree / "2.txt", ns=(NOW, NOW))


def _replace(tree: Path) -> None:
    shutil.copy2(tree / "2.txt", tree / "new")
    os.rename(tree / "new", tree / "2.txt")


def _relink(tree: Path) -> None:
    (tree / "link").unlink()
    os.symlink("1.txt", tree / "link")
    os.utime(tree / "link", ns=(NOW, NOW), follow_symlinks=False)
    os.utime(tree, ns=(NOW, NOW))


CHANGES = {
    "a file is longer": _append,
    "a file has other bytes of the same size and time": _rewrite_unseen,
    "a file is another one": _replace,
    "a link leads elsewhere": _relink,
    "a file is new": lambda tree: (tree / "new").touch(),
    "a file is new, deep, and its folder looks old": lambda tree: (
        (tree / "sub" / "new").touch(),
        os.utime(tree / "sub", ns=(NOW, NOW)),
    ),
    "a file is gone": lambda tree: (tree / "2.txt").unlink(),
    "a folder is a link": lambda tree: (
        os.rename(tree / "sub", tree.with_name("moved")),
        os.symlink("../moved", tree / "sub"),
    ),
    "other rights": lambda tree: os.chmod(tree / "2.txt", 0o600),
    "other rights of a folder": lambda tree: os.chmod(tree / "sub", 0o700),
    "another attribute": lambda tree: os.setxattr(tree / "2.txt", "user.note", b"x"),
    "another attribute of a folder": lambda tree: os.setxattr(tree / "sub", "user.note", b"x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_since_the_export_is_not_deleted(tmp_path, change):
    """Nothing goes, and what changed is named."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    CHANGES[change](tree)
    changed = seen(tmp_path / "here")
    with pytest.raises(SourceChanged, match=rf"{tree}.* (is new|was changed|is gone).*Nothing was deleted"):
        source.delete(contents)
    assert seen(tmp_path / "here") == changed


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_between_look_and_rename_is_not_deleted(tmp_path, change):
    """A writer that comes in that moment: the tree gets its name back, with what was written."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    changed = {}

    def meanwhile() -> None:
        CHANGES[change](tree)
        changed.update(seen(tmp_path / "here"))

    def delete() -> None:
        with pytest.raises(SourceChanged, match="Nothing was deleted"):
            source.delete(contents)

    assert while_stopped_at(delete, "backup.paths.rename", meanwhile) == 0
    _without_times(changed, b".")
    after = seen(tmp_path / "here")
    _without_times(after, b".")
    assert after == changed


def _without_times(found: dict, *names: bytes) -> None:
    for name in names:
        del found[name]["mtime"]


@pytest.mark.parametrize("point", ["backup.paths.remove", "backup.paths.unlinked"])
def test_what_is_written_while_it_is_deleted_stays(tmp_path, point):
    """By a process that had a folder open: what was gone already is put back beside it."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    before = seen(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    handle = os.open(tree / "sub", os.O_RDONLY)

    def meanwhile() -> None:
        os.close(os.open("written", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=handle))

    def delete() -> None:
        with pytest.raises(SourceChanged, match="Nothing was deleted"):
            source.delete(contents)

    assert while_stopped_at(delete, point, meanwhile) == 0
    after = seen(tree)
    assert after.pop(b"sub/written")["size"] == 0
    assert after == before


def test_a_file_that_is_appended_to_while_it_goes(tmp_path):
    """Each file is looked at once more before it goes."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    handle = os.open(tree / "0.txt", os.O_WRONLY | os.O_APPEND)

    def delete() -> None:
        with pytest.raises(SourceChanged, match=r"0\.txt was changed"):
            source.delete(contents)

    assert while_stopped_at(delete, "backup.paths.unlinked", lambda: os.write(handle, b"late")) == 0
    assert (tree / "0.txt").read_text() == "file 0\nlate"
    assert (tree / "sub" / "5.txt").exists()


def test_changes_that_change_nothing(tmp_path):
    """Rights given and taken back, a name changed and changed back, another name: its bytes are compared, and it goes."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    os.chmod(tree / "2.txt", 0o600)
    os.chmod(tree / "2.txt", 0o644)
    os.rename(tree, tmp_path / "here" / "away")
    os.rename(tmp_path / "here" / "away", tree)
    os.link(tree / "4.txt", tmp_path / "elsewhere")
    source.delete(contents)
    assert os.listdir(tmp_path / "here") == []
    assert (tmp_path / "elsewhere").exists()


def test_a_change_in_the_tick_of_the_export(tmp_path):
    """Its times are those that were noted: a file that was written just before it was read is compared as a whole."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("exported")
    source = paths(tmp_path / "tree")
    contents = back_up(source, tmp_path / "backup")
    (tmp_path / "tree" / "file").write_text("EXPORTED")
    state = os.stat(tmp_path / "tree" / "file")
    contents.members["tree/file"].facts.update(
        mtime=state.st_mtime_ns, ctime=state.st_ctime_ns, read=state.st_ctime_ns + 10**6
    )
    with pytest.raises(SourceChanged):
        source.delete(contents)
    assert (tmp_path / "tree" / "file").read_text() == "EXPORTED"


@pytest.mark.parametrize("single", [False, True])
def test_killed_anywhere_in_a_delete(tmp_path, single):
    """kill -9 at every crash point. Called again, it finishes; restored, all is as it was."""
    here = tmp_path / "here"
    where = [here / "tree" / "2.txt"] if single else [here / "tree", here / "other"]
    here.mkdir()
    for name in ("tree", "other"):
        make_small(here / name)
    before = [seen(one) for one in where]
    source = paths(*where)
    contents = back_up(source, tmp_path / "backup")
    points = points_of(lambda: source.delete(contents))
    assert len(points) > (5 if single else 25)
    for number, (point, hit) in enumerate(points):
        source.restore(contents, Wish())
        assert [seen(one) for one in where] == before
        contents = back_up(source, tmp_path / f"backup-{number}")
        assert killed_at(lambda: source.delete(contents), point, hit), (point, hit)  # noqa: B023
        if number % 2:
            source.delete(contents)
            assert not any(one.exists() for one in where), (point, hit)
            assert not list(here.rglob(".*")), (point, hit)
            source.delete(contents)
    source.restore(contents, Wish())
    assert [seen(one) for one in where] == before


def test_killed_in_a_delete_then_restored(tmp_path):
    """What it left under another name comes back, and what is missing beside it, times of folders included."""
    tree = tmp_path / "here" / "tree"
    tree.parent.mkdir()
    make_everything(tree)
    before = seen(tree)
    source = paths(tree)
    for number, (point, hit) in enumerate(
        [("aside", 1), ("unlinked", 1), ("unlinked", 12), ("unlinked", 25), ("gone", 1)]
    ):
        contents = back_up(source, tmp_path / f"backup-{number}")
        assert killed_at(lambda: source.delete(contents), f"backup.paths.{point}", hit)  # noqa: B023
        assert not tree.exists()
        source.restore(contents, Wish(is_missing_only=number % 2 == 0))
        assert seen(tree) == before, (point, hit)
        assert os.listdir(tmp_path / "here") == ["tree"]


def test_something_new_at_its_place_is_not_touched(tmp_path):
    """A delete that was killed goes on with what it put aside, not with what has the name by now."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    assert killed_at(lambda: source.delete(contents), "backup.paths.unlinked", 3)
    tree.mkdir()
    (tree / "new").write_text("of somebody else")
    source.delete(contents)
    assert os.listdir(tmp_path / "here") == ["tree"]
    assert os.listdir(tree) == ["new"]


def test_changed_while_it_lay_aside(tmp_path):
    """Between a kill and the next call: it is put back whole, with the change."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    before = seen(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    assert killed_at(lambda: source.delete(contents), "backup.paths.unlinked", 3)
    aside = tmp_path / "here" / f".tree.waycairn-deleting-{ID}"
    (aside / "late").write_text("written")
    with pytest.raises(SourceChanged, match=r"tree/late is new"):
        source.delete(contents)
    after = seen(tree)
    assert after.pop(b"late")["content"] == b"written"
    assert after == before
    assert not aside.exists()


@pytest.mark.parametrize("hit", [1, 2, 5, 10])
def test_an_error_half_way_puts_all_back(tmp_path, hit):
    """The device fails: what was gone already comes from the backup, with its times."""
    tree = tmp_path / "here" / "tree"
    make_small(tree)
    before = seen(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    crashpoints.arm("backup.paths.unlinked", hit)
    try:
        with pytest.raises(BackupError, match=r"could not be deleted .*All of it is where it was"):
            source.delete(contents)
    finally:
        crashpoints.disarm()
    assert seen(tree) == before
    assert os.listdir(tmp_path / "here") == ["tree"]
    contents = back_up(source, tmp_path / "again")
    source.delete(contents)
    assert os.listdir(tmp_path / "here") == []


@pytest.mark.parametrize("single", [False, True])
def test_its_place_was_taken_when_it_is_put_back(tmp_path, single):
    """Neither what has the name by now nor what lies aside is lost, and the error says where it is."""
    here = tmp_path / "here"
    where = here / "tree"
    make_small(where)
    if single:
        where = where / "2.txt"
    source = paths(where)
    contents = back_up(source, tmp_path / "backup")
    assert killed_at(lambda: source.delete(contents), "backup.paths.aside", 1)
    aside = where.with_name(f".{where.name}.waycairn-deleting-{ID}")
    with open(aside if single else aside / "2.txt", "a") as file:
        file.write("late")
    where.write_text("of somebody else")
    with pytest.raises(
        BackupError, match=rf"putting it back failed .*something else is there .*lies at {aside}.*restore"
    ) as error:
        source.delete(contents)
    assert error.value.left == [str(aside)]
    assert where.read_text() == "of somebody else"
    assert (aside if single else aside / "2.txt").read_text().endswith("late")


def test_one_of_several_paths_is_gone(tmp_path):
    """The others stay; where all are gone there is nothing to do."""
    for name in ("a", "b"):
        make_small(tmp_path / name / "tree")
    source = paths(tmp_path / "a" / "tree", tmp_path / "b" / "tree")
    contents = back_up(source, tmp_path / "backup")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(SourceChanged, match="a/tree is gone"):
        source.delete(contents)
    assert (tmp_path / "b" / "tree" / "0.txt").exists()
    shutil.rmtree(tmp_path / "b")
    source.delete(contents)
