"""Files and folders as a source: exported, deleted and brought back, nothing about them is other than before."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from backup_folder import FolderContents, FolderTarget, back_up
from backups.trees import NOW, make_everything, make_small, make_sparse, seen
from waycairn.backups.paths import Paths, paths, source_of
from waycairn.backups.paths_names import TREE
from waycairn.backups.source import Source, Wish
from waycairn.errors import BackupError, BackupRefused, Damaged, WouldOverwrite


def test_all_kinds_of_things_come_back_as_they_were(tmp_path):
    """Content, rights, owners, times, attributes, holes, links and names, by lstat and by reading."""
    tree = tmp_path / "tree"
    make_everything(tree)
    before = seen(tree)
    source = paths(tree)
    assert isinstance(source, Source)
    count = source.count()
    contents = back_up(source, tmp_path / "backup")
    assert count.records == sum(member.records for member in contents.members.values())
    assert contents.target.told[-1] == (count.records, count.size)
    assert contents.target.told == sorted(contents.target.told)
    assert seen(tree) == before, "an export changes nothing"
    source.delete(contents)
    assert os.listdir(tmp_path) == ["backup"]
    restored = source.restore(contents, Wish())
    assert seen(tree) == before
    assert (restored.records, restored.skipped, restored.overwritten) == (count.records, 0, 0)
    assert restored.details["twin"] == 2
    elsewhere = tmp_path / "not" / "there yet"
    source.restore(contents, Wish(to=elsewhere))
    assert seen(elsewhere / "tree") == before


def test_what_is_there_and_the_same_is_skipped(tmp_path):
    """A second restore has nothing to do; without waycairn's own files left anywhere."""
    make_everything(tmp_path / "tree")
    before = seen(tmp_path / "tree")
    source = paths(tmp_path / "tree")
    contents = back_up(source, tmp_path / "backup")
    again = source.restore(contents, Wish())
    assert (again.records, again.skipped) == (0, source.count().records)
    assert seen(tmp_path / "tree") == before


def test_the_second_export_reads_what_changed_only(tmp_path):
    """The rest is carried over from the backup before, if that can be leaned on."""
    tree = tmp_path / "tree"
    make_small(tree)
    source = paths(tree)
    first = back_up(source, tmp_path / "1")
    _age(first)
    (tree / "2.txt").write_text("other\n")
    second = back_up(source, tmp_path / "2", FolderContents(tmp_path / "1"))
    files = {name for name in first.members if name != TREE}
    assert set(second.target.carried) == files - {"tree/2.txt"}
    assert second.target.told[-1] == (source.count().records, source.count().size)
    second.file_of("tree/0.txt").unlink()
    third = back_up(source, tmp_path / "3", second)
    assert "tree/0.txt" not in third.target.carried
    source.restore(third, Wish(to=tmp_path / "to"))
    assert seen(tmp_path / "to" / "tree") == seen(tree)


def _age(contents: FolderContents) -> None:
    """As if the files had been written long before they were read."""
    index = contents.folder / "index.json"
    text = index.read_text()
    for member in contents.members.values():
        if "read" in member.facts:
            text = text.replace(f'"read":{member.facts["read"]}', f'"read":{member.facts["read"] + 10**12}')
    index.write_text(text)


def test_a_file_written_in_the_same_tick_is_read_again(tmp_path):
    """Times alone do not tell that it is unchanged when it was written just before it was read."""
    (tmp_path / "file").write_text("new")
    source = paths(tmp_path / "file")
    state = os.stat(tmp_path / "file")
    contents = back_up(source, tmp_path / "1")
    assert contents.members["file"].facts["read"] - state.st_ctime_ns < 50_000_000
    assert back_up(source, tmp_path / "2", contents).target.carried == []


def test_several_paths(tmp_path):
    """Each has a name of its own in the backup, also where their last parts are the same."""
    for name in ("a", "b"):
        make_small(tmp_path / name / "x")
    (tmp_path / TREE).write_text("called as the list of the rest is")
    os.symlink("a", tmp_path / "link")
    os.link(tmp_path / "a" / "x" / "2.txt", tmp_path / "b" / "x" / "of another root")
    where = [tmp_path / "a" / "x", tmp_path / "b" / "x", tmp_path / TREE, tmp_path / "link"]
    source = paths(*where)
    before = [seen(one) for one in where]
    contents = back_up(source, tmp_path / "backup")
    source.delete(contents)
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "backup"]
    source_of(contents.record.source, None).restore(contents, Wish())
    assert [seen(one) for one in where] == before
    source.restore(contents, Wish(to=tmp_path / "to"))
    assert len(os.listdir(tmp_path / "to")) == 4


def test_a_path_that_is_a_link(tmp_path):
    """The link goes and comes back; what it leads to is never touched."""
    make_small(tmp_path / "real")
    before = seen(tmp_path / "real")
    os.symlink("real", tmp_path / "link")
    source = paths(f"{tmp_path}/link/")
    assert source.label == f"{tmp_path}/link"
    contents = back_up(source, tmp_path / "backup")
    source.delete(contents)
    assert not os.path.lexists(tmp_path / "link")
    assert seen(tmp_path / "real") == before
    source.restore(contents, Wish())
    assert os.readlink(tmp_path / "link") == "real"


def test_a_huge_sparse_file_is_not_read(tmp_path):
    """A tebibyte of nothing: neither export nor restore nor the look before a delete goes through it."""
    make_sparse(tmp_path / "disk.img", 2**40, {2**30: b"here", 2**39: b"and here"})
    before = os.stat(tmp_path / "disk.img")
    source = paths(tmp_path / "disk.img")
    contents = back_up(source, tmp_path / "backup")
    assert contents.members["disk.img"].size < 100_000
    source.delete(contents)
    source.restore(contents, Wish())
    assert source.restore(contents, Wish()).skipped == 1
    after = os.stat(tmp_path / "disk.img")
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert after.st_blocks <= before.st_blocks
    with open(tmp_path / "disk.img", "rb+") as file:
        file.seek(2**39)
        assert file.read(8) == b"and here"
        file.seek(2**38)
        file.write(b"in a hole")
    os.utime(tmp_path / "disk.img", ns=(NOW, NOW))
    with pytest.raises(WouldOverwrite):
        source.restore(contents, Wish())


def test_parts_of_it(tmp_path):
    """`only` names members: a file, all in a folder, or with `*`."""
    make_everything(tmp_path / "tree")
    before = seen(tmp_path / "tree")
    source = paths(tmp_path / "tree")
    contents = back_up(source, tmp_path / "backup")

    def brought(*only: str) -> set[bytes]:
        shutil.rmtree(tmp_path / "to", ignore_errors=True)
        source.restore(contents, Wish(to=tmp_path / "to", only=only))
        return set(seen(tmp_path / "to" / "tree"))

    assert brought("tree/zero") == {b".", b"zero"}
    assert brought("tree/sub/") == {b".", b"sub", b"sub/deep", b"sub/deep/a.txt", b"sub/another twin"}
    assert brought("*.txt", "tree/*hole") == {b".", b"sub", b"sub/deep", b"sub/deep/a.txt", b"all hole"}
    assert brought("*twin") == {b".", b"twin", b"sub", b"sub/another twin"}
    twins = seen(tmp_path / "to" / "tree")
    assert twins[b"twin"]["content"] == before[b"twin"]["content"]
    assert twins[b"twin"]["first"] == b"sub/another twin"
    assert brought("tree/%FF%FE not utf-8") == {b".", b"\xff\xfe not utf-8"}
    with pytest.raises(BackupError, match="nothing in the backup is called tree/nothing"):
        brought("tree/nothing")


def test_a_restore_does_not_overwrite(tmp_path):
    """What differs is named before anything is changed; told to, it is replaced, each thing in one step."""
    tree = tmp_path / "tree"
    make_small(tree)
    before = seen(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    os.chmod(tree / "sub", 0o700)
    (tree / "sub" / "1.txt").write_text("FILE 1\nfile 1\n")
    (tree / "link").unlink()
    (tree / "link").mkdir()
    (tree / "4.txt").unlink()
    (tree / "added").write_text("stays")
    changed = seen(tree)
    with pytest.raises(WouldOverwrite, match=r"tree/link, .*tree/sub/1\.txt") as refused:
        source.restore(contents, Wish())
    assert len(refused.value.conflicts) == 2
    assert seen(tree) == changed
    restored = source.restore(contents, Wish(is_missing_only=True))
    assert (restored.records, restored.details) == (1, {"file": 1})
    assert (tree / "sub" / "1.txt").read_text().startswith("FILE")
    restored = source.restore(contents, Wish(overwrite=True))
    assert restored.overwritten == 2
    after = seen(tree)
    assert after.pop(b"added")["content"] == b"stays"
    assert after == before


def test_a_folder_with_something_in_it_is_never_replaced(tmp_path):
    """Not even by a restore that may overwrite."""
    (tmp_path / "file").write_text("x")
    source = paths(tmp_path / "file")
    contents = back_up(source, tmp_path / "backup")
    source.delete(contents)
    make_small(tmp_path / "file")
    with pytest.raises(WouldOverwrite, match="folders with something in them"):
        source.restore(contents, Wish(overwrite=True))
    assert (tmp_path / "file" / "0.txt").exists()


def test_a_restore_does_not_follow_links_out_of_its_place(tmp_path):
    """A folder of the backup that is a link by now is not gone through, also where it may be replaced."""
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    make_small(tree)
    source = paths(tree)
    contents = back_up(source, tmp_path / "backup")
    source.delete(contents)
    outside.mkdir()
    tree.mkdir()
    os.symlink(outside, tree / "sub")
    with pytest.raises(WouldOverwrite, match="tree/sub"):
        source.restore(contents, Wish())
    with pytest.raises(WouldOverwrite, match="tree/sub"):
        source.restore(contents, Wish(is_missing_only=True))
    source.restore(contents, Wish(overwrite=True))
    assert os.listdir(outside) == []
    assert stat.S_ISDIR(os.lstat(tree / "sub").st_mode)


@pytest.mark.parametrize("path", [b"../../escaped", b"/etc/escaped", b"sub/../../../escaped", b"sub//x", b"a\0b"])
def test_a_hostile_backup_is_refused(tmp_path, path):
    """A path that leads out of the folder is damage, whatever the hashes say."""
    from base64 import b64encode

    make_small(tmp_path / "tree")
    source = paths(tmp_path / "tree")
    contents = back_up(source, tmp_path / "backup")
    member = contents.members["tree/0.txt"]
    member.facts["raw"] = b64encode(path).decode()
    with pytest.raises(Damaged, match="leads out"):
        source.restore(contents, Wish(to=tmp_path / "to"))
    with pytest.raises(Damaged, match="leads out"):
        source.delete(contents)
    assert not (tmp_path / "to").exists()


def test_a_link_of_the_backup_is_not_gone_through(tmp_path):
    """A backup that says that a folder is a link, and then puts a file into it."""
    make_small(tmp_path / "tree")
    contents = back_up(paths(tmp_path / "tree"), tmp_path / "backup")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "tree").mkdir()
    target = FolderTarget(tmp_path / "hostile")
    lines = [b'{"version":1,"roots":["tree"]}']
    from base64 import b64encode

    rights = '"mode":448,"uid":0,"gid":0,"mtime":0,"ctime":0,"dev":0,"ino":0'
    lines.append(f'{{"name":"tree","kind":"folder",{rights}}}'.encode())
    leads = b64encode(os.fsencode(outside)).decode()
    lines.append(f'{{"name":"tree/sub","kind":"link","target":"{leads}",{rights}}}'.encode())
    with target.member("tree/sub/x", **contents.members["tree/0.txt"].facts) as member:
        for piece in contents.read("tree/0.txt"):
            member.write(piece, 1)
    with target.member(TREE) as member:
        member.write(b"\n".join(lines))
    hostile = target.finish(paths(tmp_path / "tree"), "0123456789abd")
    with pytest.raises(BackupError):
        paths(tmp_path / "tree").restore(hostile, Wish(to=tmp_path / "to"))
    assert os.listdir(outside) == []


def test_what_cannot_be_a_source(tmp_path, monkeypatch):
    """Nothing, the root, paths in one another; a path where nothing is."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="at least one"):
        paths()
    with pytest.raises(ValueError, match="'/' cannot be"):
        paths("/")
    with pytest.raises(ValueError, match="lies in another"):
        paths("a", "a/b")
    with pytest.raises(ValueError, match="name it once"):
        paths("a", tmp_path / "a")
    source = paths("nothing", "../here")
    assert source.describe()["paths"] == [f"{tmp_path}/nothing", f"{tmp_path.parent}/here"]
    with pytest.raises(BackupError, match="there is nothing at"):
        source.count()
    with pytest.raises(BackupError, match="there is nothing at"):
        back_up(source, tmp_path / "backup")


def test_a_device_is_refused(tmp_path):
    """It has no content; only root could make it again."""
    try:
        os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices are made by root")
    with pytest.raises(BackupRefused, match="is a device"):
        back_up(paths(tmp_path / "device"), tmp_path / "backup")


def test_the_store_is_no_part_of_it(tmp_path):
    """Neither within what is backed up, nor around it, also through a link; nor is it restored into."""
    (tmp_path / "tree" / "store").mkdir(parents=True)
    os.symlink("tree", tmp_path / "link")
    source = paths(tmp_path / "tree")
    for store in (tmp_path / "tree" / "store", f"sqlite:///{tmp_path}/link/store", tmp_path / "tree", tmp_path):
        with pytest.raises(BackupRefused, match="lie in one another"):
            source.refuse_store(store)
    source.refuse_store("postgresql://user@host/database")
    source.refuse_store(tmp_path / "tree-store")
    contents = back_up(source, tmp_path / "backup")
    with pytest.raises(BackupRefused, match="lies in the store"):
        source.restore(contents, Wish(to=tmp_path / "tree-store" / "packs"))


def test_bytes_that_do_not_fit_are_damage(tmp_path):
    """A member that is longer or shorter than its facts say is not half restored."""
    (tmp_path / "file").write_bytes(b"0123456789")
    source: Paths = paths(tmp_path / "file")
    for size in (5, 15):
        contents = back_up(source, tmp_path / f"backup-{size}")
        contents.members["file"].facts["size"] = size
        with pytest.raises(Damaged, match="more or fewer bytes"):
            source.restore(contents, Wish(to=tmp_path / "to"))
        assert os.listdir(tmp_path / "to") == []


def test_a_damaged_piece_leaves_no_file(tmp_path):
    """What is read is compared; the file is not put in place."""
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    source = paths(tmp_path / "file")
    contents = back_up(source, tmp_path / "backup")
    read = contents.read

    def breaks(name: str, start: int = 0) -> Iterator[bytes]:
        yield from islice(read(name, start), 2)
        if name == "file":
            raise Damaged(name)

    contents.read = breaks
    with pytest.raises(Damaged):
        source.restore(contents, Wish(to=tmp_path / "to"))
    assert os.listdir(tmp_path / "to") == []


def test_progress_of_a_restore(tmp_path):
    """Records and bytes, up to all."""
    make_small(tmp_path / "tree")
    source = paths(tmp_path / "tree")
    contents = back_up(source, tmp_path / "backup")
    told: list[tuple[int, int]] = []
    source.restore(contents, Wish(to=Path(tmp_path / "to"), progress=lambda *all_: told.append(all_)))
    assert told[-1] == (source.count().records, source.count().size)
