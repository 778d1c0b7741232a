"""Exports of what is written to meanwhile, and random trees that go and come back."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_folder import FolderTarget, back_up
from backups.trees import make_small, seen
from waycairn.backups.paths import paths
from waycairn.backups.paths_content import is_noise
from waycairn.backups.paths_names import escaped, member_name, root_names, unescaped
from waycairn.backups.source import Wish
from waycairn.errors import Interrupted, SourceChanged


class _Watched(FolderTarget):
    """Calls back when the n-th progress is told."""

    def __init__(self, folder: Path, at: dict[int, object]) -> None:
        super().__init__(folder)
        self.at = at

    def progress(self, records: int, size: int) -> None:
        super().progress(records, size)
        if act := self.at.pop(len(self.told), None):
            act()


def test_a_file_that_changes_once_is_read_again(tmp_path):
    """What is in the backup is the file as it was at one moment, once."""
    log = tmp_path / "log"
    log.write_bytes(os.urandom(20 * 2**20))

    def append() -> None:
        with log.open("ab") as file:
            file.write(b"more")

    source = paths(log)
    target = _Watched(tmp_path / "backup", {2: append, 7: append})
    source.export(target, None)
    assert target.members["log"].size == 20 * 2**20 + 8
    assert target.told[-1] == (1, 20 * 2**20 + 8)
    contents = target.finish(source)
    assert b"".join(contents.read("log")) == log.read_bytes()
    source.delete(contents)
    assert not log.exists()


def test_a_file_that_never_rests(tmp_path):
    """A writer that appends all the time: named after three attempts, nothing is exported of it."""
    log = tmp_path / "tree" / "log"
    log.parent.mkdir()
    log.write_bytes(bytes(8 * 2**20))
    done = threading.Event()

    def append() -> None:
        with log.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"more")

    writer = threading.Thread(target=append)
    writer.start()
    try:
        with pytest.raises(SourceChanged, match=r"tree/log was changed each of the 3 times.*Nothing was deleted"):
            back_up(paths(log.parent), tmp_path / "backup")
    finally:
        done.set()
        writer.join()


def test_a_file_that_is_cut_or_replaced_while_it_is_read(tmp_path):
    """A shorter one, and a pipe in its place."""
    file = tmp_path / "file"
    file.write_bytes(bytes(9 * 2**20))
    target = _Watched(tmp_path / "1", {1: lambda: os.truncate(file, 5 * 2**20)})
    paths(file).export(target, None)
    assert target.members["file"].size == 5 * 2**20

    def replace() -> None:
        os.remove(file)
        os.mkfifo(file)

    target = _Watched(tmp_path / "2", {1: replace})
    source = paths(file)
    with pytest.raises(SourceChanged):
        file.unlink()
        file.write_bytes(bytes(9 * 2**20))
        source.export(target, None)
        source.delete(target.finish(source))
    assert file.is_fifo()


def test_a_file_that_vanishes_meanwhile(tmp_path):
    """It is not in the backup; the delete sees that its folder changed."""
    tree = tmp_path / "tree"
    make_small(tree)
    source = paths(tree)
    target = _Watched(tmp_path / "backup", {2: (tree / "4.txt").unlink})
    source.export(target, None)
    assert "tree/4.txt" not in target.members
    with pytest.raises(SourceChanged):
        source.delete(target.finish(source))
    assert (tree / "2.txt").exists()


def test_an_export_that_is_stopped(tmp_path):
    """By its target, between any two pieces."""
    make_small(tmp_path / "tree")

    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        paths(tmp_path / "tree").export(_Watched(tmp_path / "backup", {3: stop}), None)


def test_memory_is_bounded(tmp_path):
    """A file is never in memory as a whole."""
    import tracemalloc

    from waycairn.backups.paths_content import holds
    from waycairn.backups.paths_entry import file_entry

    big = tmp_path / "big"
    with big.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(2**20))
    contents = back_up(paths(big), tmp_path / "backup")
    tracemalloc.start()
    try:
        back_up(paths(big), tmp_path / "again")
        member = contents.members["big"]
        folder = os.open(tmp_path, os.O_RDONLY)
        assert holds(folder, b"big", file_entry(member), member.sha256)
        os.close(folder)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


NAME = st.binary(min_size=1, max_size=24).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
PATHS = st.lists(NAME, min_size=1, max_size=4).map(b"/".join)


@given(PATHS)
def test_names_there_and_back(path):
    """Any bytes become text that is one line, and become the same bytes again."""
    text = escaped(path)
    assert unescaped(text) == path
    assert text.isprintable() or not any(ord(letter) < 32 for letter in text)
    text.encode()
    assert ".." not in member_name("root", path).split("/")


@given(st.lists(PATHS, unique=True, min_size=2, max_size=5))
def test_names_are_unique(found):
    """No two paths have one name; neither have two roots."""
    assert len({member_name("root", path) for path in found}) == len(found)
    assert len(set(root_names(found))) == len(found)


TREES = st.recursive(
    st.one_of(
        st.tuples(st.just("file"), st.binary(max_size=200)),
        st.tuples(st.just("holes"), st.lists(st.integers(0, 2**22), max_size=4)),
        st.tuples(st.just("link"), NAME),
        st.tuples(st.just("pipe"), st.none()),
        st.tuples(st.just("twin"), st.none()),
    ),
    lambda below: st.tuples(st.just("folder"), st.dictionaries(NAME, below, max_size=5)),
    max_leaves=15,
)
MODES = st.lists(st.sampled_from([0o644, 0o400, 0o000, 0o755, 0o4755, 0o1777, 0o2750]), min_size=40, max_size=40)


def _make(path: bytes, what, files: list[bytes], modes: list[int]) -> None:
    kind, more = what
    mode = modes.pop() if modes else 0o600
    if kind == "folder":
        os.mkdir(path)
        for name, below in more.items():
            _make(os.path.join(path, name), below, files, modes)
        os.chmod(path, mode)
    elif kind == "link":
        os.symlink(more, path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "twin" and files:
        os.link(files[len(files) // 2], path)
    else:
        with open(path, "wb") as file:
            for offset in more or () if kind == "holes" else ():
                file.seek(offset)
                file.write(b"data")
            if kind == "file":
                file.write(more)
        os.chmod(path, mode)
        files.append(path)
    os.utime(path, ns=(mode, mode * 10**9 + len(path)), follow_symlinks=False)


@pytest.mark.skipif(os.getuid() != 0, reason="trees that only root can read")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, MODES, NAME)
def test_random_trees_go_and_come_back(tree, modes, name):
    """Exported, deleted, restored: nothing is other than it was."""
    with tempfile.TemporaryDirectory(prefix="waycairn-paths-") as place:
        root = os.path.join(os.fsencode(place), b"here", name)
        os.mkdir(os.path.dirname(root))
        _make(root, tree, [], list(modes))
        before = seen(root)
        source = paths(os.fsdecode(root))
        contents = back_up(source, Path(place) / "backup")
        source.delete(contents)
        assert os.listdir(os.path.dirname(root)) == []
        source.restore(contents, Wish())
        assert seen(root) == before
        source.restore(contents, Wish(to=Path(place) / "to"))
        (copy,) = os.listdir(os.fsencode(Path(place) / "to"))
        assert copy == name
        assert seen(os.path.join(os.fsencode(place), b"to", copy)) == before


def test_noise_is_much_that_nowhere_compresses():
    noise, text = os.urandom(2**20), b"a line of text\n" * 70_000
    assert is_noise(noise * 2)
    assert not is_noise(noise[:-1])
    assert not is_noise(text)
    assert not is_noise(noise * 3 + text)
    assert not is_noise(text + noise * 3)
