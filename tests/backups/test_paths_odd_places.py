"""Trees where rights are missing or other file systems are mounted; names and depths at their limits."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from backup_folder import FolderContents, back_up
from backups.forked import NOBODY, anybodys_folder, ended, killed_at, start, while_stopped_at
from backups.trees import make_small, seen
from programme.victim import in_memory
from waycairn.backups.paths import paths
from waycairn.backups.source import Wish
from waycairn.errors import BackupError, BackupRefused, SourceChanged


def _locked_tree(folder: Path) -> Path:
    """Whose first folder lets nothing go; things after it are removed before."""
    tree = folder / "here" / "tree"
    make_small(tree)
    (tree / "a").mkdir()
    (tree / "a" / "kept").write_text("kept")
    os.chmod(tree / "a", 0o555)
    os.chmod(tree / "sub", 0o755)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return tree


@pytest.mark.skipif(os.getuid() != 0, reason="a process gives up root's rights")
def test_no_permission_half_way(tmp_path):
    """A folder that must not be written: found when others are gone already. Killed while it puts back, it goes on."""
    with anybodys_folder() as folder:
        tree = _locked_tree(folder)
        before = seen(tree)
        source = paths(tree)

        def back_up_and_delete(name: str) -> None:
            contents = back_up(source, folder / name)
            with pytest.raises(BackupError, match=r"Permission denied at kept.*where it was") as refused:
                source.delete(contents)
            assert not isinstance(refused.value, SourceChanged)

        assert ended(start(lambda: back_up_and_delete("1"), user=NOBODY)) == 0
        assert seen(tree) == before
        for number, (point, hit) in enumerate(
            [("placed", 1), ("placed", 3), ("named", 1), ("dressed", 2), ("back", 1)]
        ):
            shutil.rmtree(folder / "1")
            assert killed_at(lambda: back_up_and_delete("1"), f"backup.paths.{point}", hit, user=NOBODY)
            contents = FolderContents(folder / "1")
            if number % 2:
                with suppress(SourceChanged):
                    source.delete(contents)  # goes through where its files got the same inodes again
                    assert not tree.exists()
                    source.restore(contents, Wish())
            else:
                assert ended(start(lambda: source.restore(contents, Wish(is_missing_only=True)), user=NOBODY)) == 0  # noqa: B023
            assert seen(tree) == before, point
            assert os.listdir(tree.parent) == ["tree"]


@pytest.mark.skipif(os.getuid() != 0, reason="a process gives up root's rights")
def test_no_permission_to_rename_or_to_read(tmp_path):
    """Nothing is changed, and the error names the path."""
    with anybodys_folder() as folder:
        tree = _locked_tree(folder)
        source = paths(tree)

        def refused() -> None:
            contents = back_up(source, folder / "1")
            os.chmod(tree.parent, 0o555)
            with pytest.raises(BackupError, match=r"could not be deleted \(Permission denied at tree"):
                source.delete(contents)
            os.chmod(tree.parent, 0o755)
            os.chmod(tree / "2.txt", 0)
            with pytest.raises(BackupError, match=r"tree/2\.txt cannot be read \(Permission denied\)"):
                back_up(source, folder / "2")
            os.chmod(tree / "2.txt", 0o644)
            os.chmod(tree / "sub", 0)
            with pytest.raises(BackupError, match=r"tree/sub cannot be read \(Permission denied\)"):
                back_up(source, folder / "3")

        assert ended(start(refused, user=NOBODY)) == 0


@contextmanager
def _mounted(what: Path, where: Path):
    if os.getuid() or subprocess.run(["mount", "--bind", what, where], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def test_what_is_mounted_in_it_is_not_touched(tmp_path):
    """A bind mount looks like a folder of the same file system; neither export nor delete goes into it."""
    tree, other = tmp_path / "tree", tmp_path / "other"
    make_small(tree)
    make_small(other)
    (tree / "mount me here").mkdir()
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    with _mounted(other, tree / "mount me here"):
        with pytest.raises(BackupRefused, match=r"is mounted at .*tree/mount me here"):
            back_up(source, tmp_path / "again")
        with pytest.raises(BackupRefused, match="is mounted at"):
            source.count()
        with pytest.raises(BackupRefused, match="is mounted at"):
            source.delete(contents)
        with pytest.raises(BackupRefused, match="is mounted at"):
            back_up(paths(tree / "mount me here"), tmp_path / "third")
    assert (other / "0.txt").exists()

    def delete() -> None:
        with pytest.raises(BackupRefused, match="is mounted at"):
            source.delete(contents)

    mount = _mounted(other, tree / "mount me here")
    assert while_stopped_at(delete, "backup.paths.rename", mount.__enter__) == 0
    assert (other / "0.txt").exists()
    mount.__exit__(None, None, None)
    source.delete(contents)
    assert not tree.exists()


def test_a_name_as_long_as_a_name_may_be(tmp_path):
    """The name that it has while it is deleted would be too long."""
    make_small(tmp_path / "here" / ("n" * 255))
    source = paths(tmp_path / "here" / ("n" * 255))
    before = seen(tmp_path / "here" / ("n" * 255))
    contents = back_up(source, tmp_path / "backup")
    source.delete(contents)
    assert os.listdir(tmp_path / "here") == []
    source.restore(contents, Wish())
    assert seen(tmp_path / "here" / ("n" * 255)) == before


def test_a_tree_deeper_than_a_path_may_be_long(tmp_path):
    """Neither recursion nor the length of paths nor the number of open files is a limit."""
    with in_memory(tmp_path) as place:
        _deep_tree_goes_and_comes_back(place)


def _deep_tree_goes_and_comes_back(place: Path) -> None:
    tree = place / "here" / "tree"
    tree.mkdir(parents=True)
    handle = os.open(tree, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("deeper", dir_fd=handle)
        below = os.open("deeper", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("at the end", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=handle))
    os.close(handle)
    source = paths(tree)
    contents = back_up(source, place / "backup")
    assert source.count().details == {"folders": 601, "files": 1}
    source.delete(contents)
    assert os.listdir(place / "here") == []
    source.restore(contents, Wish())
    assert source.count().details == {"folders": 601, "files": 1}
    source.delete(back_up(source, place / "again"))
