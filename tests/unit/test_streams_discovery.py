"""Which files are there."""

import os
import time

import pytest

from waycairn.streams.births import born, born_open
from waycairn.streams.discovery import Discovery
from waycairn.streams.rotation import LIVE, base_of, rank_of


def make(folder, *names):
    for name in names:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab") as file:
            file.write(b"{}\n")


def names_of(folder, *patterns):
    found, _ = Discovery([os.path.join(folder, pattern) for pattern in patterns]).scan()
    return sorted(os.path.relpath(path, os.fsencode(folder)).decode() for path in found)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.jsonl", ["a.jsonl"]),
        ("*.jsonl", ["a.jsonl", "b.jsonl"]),
        ("[b-z].jsonl", ["b.jsonl"]),
        ("?.log", ["c.log"]),
        ("*/a.jsonl", ["sub/a.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "b.jsonl", "sub/a.jsonl", "sub/deep/d.jsonl"]),
        ("sub/**", ["sub/a.jsonl", "sub/deep/d.jsonl"]),
        (".*.jsonl", [".hidden.jsonl"]),
        ("nothing/*.jsonl", []),
    ],
)
def test_patterns(tmp_path, pattern, expected):
    """As a shell reads them, with ** for any directories."""
    make(tmp_path, "a.jsonl", "b.jsonl", "c.log", ".hidden.jsonl", "sub/a.jsonl", "sub/deep/d.jsonl", ".git/e.jsonl")
    assert names_of(tmp_path, pattern) == expected


def test_a_link_to_a_directory_above_has_no_end(tmp_path):
    """** does not follow it."""
    make(tmp_path, "sub/a.jsonl")
    os.symlink(tmp_path, tmp_path / "sub" / "up")
    assert names_of(tmp_path, "**/*.jsonl") == ["sub/a.jsonl"]


@pytest.mark.parametrize(
    ("name", "base"),
    [
        (b"app.jsonl.1", b"app.jsonl"),
        (b"app.jsonl.12.gz", b"app.jsonl"),
        (b"app.jsonl-20261121", b"app.jsonl"),
        (b"app.jsonl-20261121-1763700000.gz", b"app.jsonl"),
        (b"app.jsonl.2026-11-21_13-00", b"app.jsonl"),
        (b"app.jsonl.gz", b"app.jsonl"),
        (b"app.jsonl.old", b"app.jsonl"),
        (b"a\nb.1", b"a\nb"),
        (b"app.jsonl", None),
        (b"app.1.jsonl", None),
        (b"app-20261121.jsonl", None),
        (b"app.jsonl.tmp", None),
    ],
)
def test_rotated_forms(name, base):
    """Which names count as such."""
    assert base_of(name) == base


def test_the_oldest_first():
    """Dates grow, numbers fall, and the live file is last."""
    names = [b"a.2", b"a", b"a.10.gz", b"a-20261121", b"a-20261120.gz", b"a.1"]
    ordered = [b"a-20261120.gz", b"a-20261121", b"a.10.gz", b"a.2", b"a.1", b"a"]
    assert sorted(names, key=rank_of) == ordered
    assert rank_of(b"a") == LIVE


def test_rotated_forms_of_what_was_asked_for(tmp_path):
    """Are seen beside it, and are known as such; other files are not seen."""
    make(tmp_path, "app.jsonl", "app.jsonl.1", "app.jsonl.2.gz", "app.jsonl.tmp", "other.jsonl.1")
    discovery = Discovery([tmp_path / "app.jsonl"])
    found, _ = discovery.scan()
    told = {os.path.basename(path): (seen.is_rotated, seen.is_asked) for path, seen in found.items()}
    assert told == {b"app.jsonl": (False, True), b"app.jsonl.1": (True, False), b"app.jsonl.2.gz": (True, False)}
    assert {os.path.basename(seen.base) for seen in found.values()} == {b"app.jsonl"}
    assert discovery.base_of(os.fsencode(tmp_path / "app.jsonl.7")) == os.fsencode(tmp_path / "app.jsonl")
    assert discovery.base_of(os.fsencode(tmp_path / "other.jsonl.7")) == os.fsencode(tmp_path / "other.jsonl.7")


def test_nothing_new_is_the_same_object(tmp_path):
    """So that whoever looks often compares nothing; any change of a file makes it another one."""
    make(tmp_path, "a.jsonl", "b.jsonl")
    discovery = Discovery([tmp_path / "*.jsonl"])
    first, _ = discovery.scan()
    again, _ = discovery.scan()
    assert again is first
    time.sleep(0.02)
    status = os.stat(tmp_path / "a.jsonl")
    os.utime(tmp_path / "a.jsonl", ns=(status.st_atime_ns, status.st_mtime_ns))
    changed, _ = discovery.scan()
    path = os.fsencode(tmp_path / "a.jsonl")
    other = os.fsencode(tmp_path / "b.jsonl")
    assert changed[path] is not first[path]
    assert changed[other] is first[other]


def test_a_path_without_wildcards_is_not_listed_again(tmp_path, monkeypatch):
    """One question for the file and one for its directory; a new name in that is found all the same."""
    make(tmp_path, "a.jsonl")
    old = time.time() - 10
    os.utime(tmp_path, (old, old))
    discovery = Discovery([tmp_path / "a.jsonl"])
    discovery.scan()
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", None)
        make(tmp_path, "a.jsonl")
        found, _ = discovery.scan()
        assert [seen.size for seen in found.values()] == [6]
    make(tmp_path, "a.jsonl.1")
    found, _ = discovery.scan()
    assert len(found) == 2


def test_what_cannot_be_read_is_told_once(tmp_path):
    """And again when it is something else."""
    os.mkfifo(tmp_path / "a.jsonl")
    discovery = Discovery([tmp_path / "*.jsonl"])
    assert [one.message.split(" is left out: ")[1][:12] for one in discovery.scan()[1]] == ["it is a FIFO"]
    assert discovery.scan()[1] == []
    os.unlink(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").mkdir()
    assert "is a directory" in discovery.scan()[1][0].message


def test_a_stream_of_nothing_is_a_mistake():
    """It would never end and never tell why."""
    with pytest.raises(ValueError, match="at least one path"):
        Discovery([])


def test_time_of_birth(tmp_path):
    """Where the file system tells it, it is that of the file and not of its last change."""
    make(tmp_path, "a")
    path = os.fsencode(tmp_path / "a")
    told = born(path, os.stat(path))
    if not told:
        pytest.skip("this file system tells no birth times")
    time.sleep(0.02)
    make(tmp_path, "a")
    assert born(path, os.stat(path)) == told
    assert abs(told / 1e9 - time.time()) < 60
    assert born(path + b"x", os.stat(path)) == 0
    with open(path, "rb") as file:
        assert born_open(file.fileno(), os.stat(path)) == told
