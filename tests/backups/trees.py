"""Trees for tests: made, and compared as a whole."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

NOW = 1_700_000_000_123_456_789
ODD = [
    b"-rf",
    b"two words",
    b"new\nline",
    b"\xff\xfe not utf-8",
    "übergrößen 日本".encode(),
    b"100%25",
    b"back\\slash",
    b"*",
]


def seen(root: Path | bytes) -> dict[bytes, Any]:
    """Everything about a tree that lstat and reading tell, by path."""
    top = os.fsencode(root)
    paths = [top]
    for folder, folders, files in os.walk(top):
        paths += [os.path.join(folder, name) for name in (*folders, *files)]
    first: dict[int, bytes] = {}
    found = {}
    for path in sorted(paths):
        state = os.lstat(path)
        name = os.path.relpath(path, top)
        is_folder = stat.S_ISDIR(state.st_mode)
        found[name] = {
            "mode": oct(state.st_mode),
            "owner": (state.st_uid, state.st_gid),
            "mtime": state.st_mtime_ns,
            "size": 0 if is_folder else state.st_size,
            "links": 0 if is_folder else state.st_nlink,
            "first": name if is_folder else first.setdefault(state.st_ino, name),
            "sparse": stat.S_ISREG(state.st_mode) and state.st_blocks * 512 < state.st_size // 2,
            "content": _content(path, state),
        }
        if not stat.S_ISLNK(state.st_mode):
            found[name]["attributes"] = {key: os.getxattr(path, key) for key in os.listxattr(path)}
    return found


def _content(path: bytes, state: os.stat_result) -> bytes | None:
    if stat.S_ISLNK(state.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(state.st_mode) and state.st_size < 2**30:
        with open(path, "rb") as file:
            return file.read()
    return None


def make_everything(root: Path) -> None:
    """One of each kind, with odd names, rights and times."""
    root.mkdir()
    (root / "empty").mkdir()
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "sub" / "deep" / "a.txt").write_bytes(b"a" * 1000)
    (root / "zero").write_bytes(b"")
    (root / "big.bin").write_bytes(os.urandom(300_017))
    for number, name in enumerate(ODD):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(b"%d" % number)
    os.mkdir(os.path.join(os.fsencode(root), b"folder \xff"))
    with open(os.path.join(os.fsencode(root), b"folder \xff", b"\xfd" * 255), "wb") as file:
        file.write(b"a long odd name")
    os.symlink("zero", root / "link")
    os.symlink(b"nowhere/\xff\n", root / "dangling")
    os.symlink("sub", root / "link to a folder")
    os.link(root / "sub" / "deep" / "a.txt", root / "twin")
    os.link(root / "sub" / "deep" / "a.txt", root / "sub" / "another twin")
    os.mkfifo(root / "pipe", 0o640)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(root / "socket")) if len(str(root)) < 90 else os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
    make_sparse(root / "sparse", 2**26, {0: b"begin", 2**25: b"middle"})
    make_sparse(root / "all hole", 2**20, {})
    os.setxattr(root / "zero", "user.note", b"\x00\xff")
    os.setxattr(root / "sub", "user.note", b"of a folder")
    os.chmod(root / "zero", 0o4711)
    os.chmod(root / "sub" / "deep", 0o555)
    os.chmod(root / "empty", 0o1777)
    if os.getuid() == 0:
        os.chown(root / "big.bin", 1234, 5678)
        os.chown(root / "link", 1234, 5678, follow_symlinks=False)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(NOW, NOW + number * 1_000_000_007), follow_symlinks=False)
    os.utime(root, ns=(NOW, NOW))


def make_sparse(path: Path, size: int, data: dict[int, bytes]) -> None:
    with path.open("wb") as file:
        for offset, piece in data.items():
            file.seek(offset)
            file.write(piece)
        file.truncate(size)


def make_small(root: Path, count: int = 6) -> None:
    """Small, with a folder, a link and a twin."""
    (root / "sub").mkdir(parents=True)
    for number in range(count):
        (root / ("sub" if number % 2 else ".") / f"{number}.txt").write_text(f"file {number}\n" * (number + 1))
    os.symlink("0.txt", root / "link")
    os.link(root / "0.txt", root / "sub" / "twin")
    os.chmod(root / "sub", 0o500)
    for path in [*root.rglob("*"), root]:
        os.utime(path, ns=(NOW, NOW), follow_symlinks=False)
