"""Mount the recording file system, run processes on it, take the tape."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from power.oplog import AnyOp, load

__all__ = ["Recording", "missing", "recording"]


def missing() -> str | None:
    """Why a recording file system cannot be mounted here; None if it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not there or not ours"
    if ctypes.util.find_library("fuse") is None and ctypes.util.find_library("fuse3") is None:
        return "libfuse is missing: apt-get install libfuse2"
    try:
        import mfusepy  # noqa: F401 - only whether it is there
    except ImportError as error:
        return f"mfusepy does not import: {error}"
    return None


class Recording:
    """A mounted recording file system; `tape` is there after it was unmounted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tape: list[AnyOp] = []

    @property
    def ack(self) -> Path:
        """Text written to this file becomes an Ack on the tape, once the write returned."""
        return self.root / "ACK"


@contextmanager
def recording(folder: Path) -> Iterator[Recording]:
    """Mounted at folder/disk until the end of the block. Unmounts and ends the server even after an error."""
    mountpoint, tape = folder / "disk", folder / "tape"
    mountpoint.mkdir(parents=True)
    server = subprocess.Popen([sys.executable, str(Path(__file__).with_name("recfs.py")), str(mountpoint), str(tape)])
    try:
        _wait(mountpoint, server)
        disk = Recording(mountpoint)
        yield disk
        _unmount(mountpoint)
        assert server.wait(30) == 0, "the recording file system failed"
        disk.tape = load(tape)
    finally:
        if server.poll() is None:
            _unmount(mountpoint, "-l")
            server.kill()
            server.wait()


def _wait(mountpoint: Path, server: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        if mountpoint.is_mount():
            return
        assert server.poll() is None, "the recording file system ended before it was mounted"
        time.sleep(0.01)
    raise TimeoutError("the recording file system was not mounted within 5 s")


def _unmount(mountpoint: Path, *options: str) -> None:
    command = ["umount", *options] if os.getuid() == 0 else ["fusermount", "-u"]
    subprocess.run([*command, str(mountpoint)], check=False)
