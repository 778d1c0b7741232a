"""Restores that are killed, that run out of space or of rights: each file is there whole or not at all, and the next call
goes on."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from backup_folder import FolderContents, back_up
from backups.forked import NOBODY, anybodys_folder, ended, killed_at, points_of, start, while_stopped_at
from backups.trees import make_everything, make_small, seen
from programme.full import small_disk
from programme.victim import in_memory
from waycairn.backups.paths import paths
from waycairn.backups.paths_names import TREE
from waycairn.backups.source import Wish
from waycairn.errors import BackupError, StoreFull, WouldOverwrite


def _no_file_is_half_there(tree: Path, whole: dict) -> None:
    for name, found in seen(tree).items() if tree.exists() else ():
        if name.endswith(b".waycairn-part") or found["mode"].startswith("0o4"):
            continue
        for fact in ("mode", "size", "mtime", "content", "sparse", "owner"):
            assert found[fact] == whole[name][fact], (name, fact)


def test_killed_anywhere_in_a_restore(tmp_path):
    """kill -9 at every crash point: what has its name is whole, and the second call makes the tree what it was."""
    tree = tmp_path / "tree"
    make_everything(tree)
    before = seen(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    points = points_of(lambda: source.restore(contents, Wish(to=tmp_path / "first")))
    assert len(points) > 35
    kills = 0
    for number, (point, hit) in enumerate(points):
        to = tmp_path / str(number)
        assert killed_at(lambda: source.restore(contents, Wish(to=to)), point, hit), (point, hit)  # noqa: B023
        kills += 1
        _no_file_is_half_there(to / "tree", before)
        if hit % 3 == 0:
            killed_at(lambda: source.restore(contents, Wish(to=to)), "backup.paths.placed", 2)  # noqa: B023
        again = source.restore(contents, Wish(to=to))
        assert seen(to / "tree") == before, (point, hit)
        assert again.records + again.skipped == source.count().records
        shutil.rmtree(to)
    assert kills == len(points)


@pytest.mark.parametrize("name", ["2.txt", "link", "sub/twin"])
def test_what_appears_during_a_restore_is_not_replaced(tmp_path, name):
    """Between the look and the moment when it gets its name: the error names it, and the rest is there the next time."""
    tree = tmp_path / "tree"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    to = tmp_path / "to"

    def restore() -> None:
        with pytest.raises(BackupError, match=rf"something else is there by now: {Path(name).name}"):
            source.restore(contents, Wish(to=to))

    def meanwhile() -> None:
        (to / "tree" / name).write_text("of somebody else")

    point = "backup.paths.poured" if name == "link" else "backup.paths.written"
    assert while_stopped_at(restore, point, meanwhile) == 0
    assert (to / "tree" / name).read_text() == "of somebody else"
    assert not list(to.rglob("*.waycairn-part"))
    (to / "tree" / name).unlink()
    source.restore(contents, Wish(to=to))
    assert seen(to / "tree") == seen(tree)


def test_a_full_disk_and_on_again(tmp_path):
    """It says so; what is there stays whole; with room again the same call goes on."""
    with small_disk() as disk:
        if disk is None:
            pytest.skip("a small file system is mounted by root")
        tree = tmp_path / "tree"
        make_small(tree, 40)
        for number in range(12):
            (tree / "sub" / f"big-{number}").write_bytes(os.urandom(300_000))
        before = seen(tree)
        source = paths(tree)
        contents = back_up(source, tmp_path / "backup")
        to = disk.place / "to"
        for room in (1_000_000, 2_500_000):
            disk.resize(room)
            with pytest.raises(StoreFull, match=r"no space left while restoring .*stay there.*it goes on") as full:
                source.restore(contents, Wish(to=to))
            assert full.value.restored > 0
            _no_file_is_half_there(to / "tree", before)
            assert not list(to.rglob("*.waycairn-part"))
        disk.resize(64 * 2**20)
        done = source.restore(contents, Wish(to=to))
        assert done.skipped > 3
        assert seen(to / "tree") == before


@pytest.mark.skipif(os.getuid() != 0, reason="a process gives up root's rights")
def test_without_rights(tmp_path):
    """Who is not root restores what he may: files become his. Where he may not write, it says so, and goes on later."""
    with anybodys_folder() as folder:
        tree = folder / "tree"
        make_everything(tree)
        before = seen(tree)
        source = paths(tree)
        contents = back_up(source, folder / "backup")
        for path in (folder / "backup").iterdir():
            path.chmod(0o644)
        (folder / "to").mkdir()

        def restore() -> None:
            with pytest.raises(BackupError, match=r"restoring to .* failed \(Permission denied: .*it goes on"):
                source.restore(contents, Wish(to=folder / "to"))

        assert ended(start(restore, user=NOBODY)) == 0
        (folder / "to").chmod(0o777)
        assert ended(start(lambda: source.restore(contents, Wish(to=folder / "to")), user=NOBODY)) == 0
        after = seen(folder / "to" / "tree")
        assert {one.pop("owner") for one in after.values()} == {(NOBODY, NOBODY)}
        for one in before.values():
            del one["owner"]
        assert after == before


def test_a_folder_that_was_there_keeps_its_rights(tmp_path):
    """Those that were made get what they had."""
    tree = tmp_path / "tree"
    make_small(tree)
    before = seen(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    shutil.rmtree(tree)
    tree.mkdir()
    tree.chmod(0o750)
    source.restore(contents, Wish())
    after = seen(tree)
    assert after.pop(b".")["mode"] == "0o40750"
    del before[b"."]
    assert after == before


def test_a_twin_of_a_file_that_changed(tmp_path):
    """It is not linked to what is another file by now."""
    tree = tmp_path / "tree"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    (tree / "sub" / "twin").unlink()
    (tree / "0.txt").write_text("other")
    source.restore(contents, Wish(is_missing_only=True))
    assert (tree / "sub" / "twin").read_text() == "file 0\n"
    assert (tree / "0.txt").read_text() == "other"


def test_something_else_at_the_place_of_the_root(tmp_path):
    """A file where the folder was; a folder above it that is a file."""
    make_small(tmp_path / "above" / "tree")
    source = paths(tmp_path / "above" / "tree")
    contents = back_up(source, tmp_path / "backup")
    source.delete(contents)
    (tmp_path / "above" / "tree").write_text("a file")
    with pytest.raises(WouldOverwrite, match="above/tree"):
        source.restore(contents, Wish())
    os.remove(tmp_path / "above" / "tree")
    os.rmdir(tmp_path / "above")
    (tmp_path / "above").write_text("a file")
    with pytest.raises((BackupError, WouldOverwrite), match="above"):
        source.restore(contents, Wish())
    assert (tmp_path / "above").read_text() == "a file"


def test_many_small_files(tmp_path):
    """Twenty thousand: exported, carried over, deleted and restored."""
    with in_memory(tmp_path) as place:
        _many_go_and_come_back(place)


def _many_go_and_come_back(place: Path) -> None:
    tree = place / "tree"
    for folder in range(100):
        (tree / f"{folder:03}").mkdir(parents=True)
        for number in range(200):
            (tree / f"{folder:03}" / f"{number}.txt").write_bytes(b"%d of %d\n" % (number, folder))
    os.utime(tree / "050", ns=(5, 5))
    before = seen(tree)
    source = paths(tree)
    first = back_up(source, place / "1")
    assert (source.count().records, len(first.members)) == (20_000, 20_001)
    second = back_up(source, place / "2", FolderContents(place / "1"))
    assert len(second.target.carried) > 15_000
    source.delete(second)
    assert not tree.exists()
    source.restore(second, Wish())
    assert seen(tree) == before


def test_the_list_of_the_rest_is_readable(tmp_path):
    """`tree.jsonl`: a line of JSON each, the version first."""
    import json

    make_small(tmp_path / "tree")
    contents = back_up(paths(tmp_path / "tree"), tmp_path / "backup")
    head, *lines = b"".join(contents.read(TREE)).splitlines()
    assert json.loads(head) == {"version": 1, "roots": ["tree"]}
    found = {line["name"]: line for line in map(json.loads, lines)}
    assert list(found) == ["tree", "tree/link", "tree/sub", "tree/sub/twin"]
    assert found["tree/sub/twin"]["target"] == "tree/0.txt"
    assert found["tree/sub"]["mode"] == 0o500
    assert stat.S_ISDIR(os.lstat(tmp_path / "tree").st_mode)
