"""Mount the recording file system, run processes on it, take the tape."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waycairn.crashtest.power.oplog import AnyOp, load

__all__ = ["Recording", "missing", "recording", "unmount"]

_PATIENCE = 60.0
"""Seconds for the server to start, on a machine that is busy."""


def missing() -> str | None:
    """Why a recording file system cannot be mounted here, and what to do; None if it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not there or not ours"
    if ctypes.util.find_library("fuse") is None and ctypes.util.find_library("fuse3") is None:
        return "libfuse is missing: apt-get install libfuse2"
    if os.getuid() and not shutil.which("fusermount"):
        return "only root can mount without fusermount: apt-get install fuse"
    if importlib.util.find_spec("mfusepy") is None:
        return "mfusepy is missing: pip install 'waycairn[power]'"
    return None


class Recording:
    """A mounted recording file system; `tape` is there after it was unmounted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tape: list[AnyOp] = []

    @property
    def ack(self) -> Path:
        """A line written to this file becomes an Ack on the tape, once the write returned."""
        return self.root / "ACK"

    def settled(self) -> None:
        """All that was done so far counts as durable: call it when the job's surroundings are ready."""
        (self.root / "SETTLED").write_text("all\n", encoding="ascii")

    def copy_in(self, folder: Path, name: str = "work") -> Path:
        """A durable copy of a directory, with its links, permissions and times; returns where it lies."""
        copy = self.root / name
        shutil.copytree(folder, copy, symlinks=True)
        self.settled()
        return copy


@contextmanager
def recording(folder: Path) -> Iterator[Recording]:
    """Mounted at folder/disk until the end of the block. Unmounts and ends the server even after an error."""
    mountpoint, tape = folder / "disk", folder / "tape"
    mountpoint.mkdir(parents=True)
    command = [sys.executable, "-m", "waycairn.crashtest.power.recfs", str(mountpoint), str(tape)]
    with serving(command, mountpoint) as server:
        disk = Recording(mountpoint)
        yield disk
        _unmount_patiently(mountpoint)
        code = server.wait(30)
    if code != 0:
        raise RuntimeError(f"the recording file system ended with exit code {code}; its tape is lost")
    disk.tape = load(tape)


@contextmanager
def serving(command: list[str], mountpoint: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that serves a mount, from when it is mounted; whatever is left of both at the end is removed."""
    with subprocess.Popen(command) as server:  # noqa: S603 - our own module
        try:
            _wait(mountpoint, server)
            yield server
        finally:
            if server.poll() is None:
                unmount(mountpoint, "-l" if os.getuid() == 0 else "-z")
                server.kill()


def _wait(mountpoint: Path, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if mountpoint.is_mount():
            return
        if server.poll() is not None:
            raise RuntimeError(f"the file system was not mounted; its server ended with exit code {server.returncode}")
        time.sleep(0.005)
    raise TimeoutError(f"the file system was not mounted within {_PATIENCE:.0f} s")


def _unmount_patiently(mountpoint: Path) -> None:
    """A process that was killed may take a moment to let go of its files."""
    end = time.monotonic() + _PATIENCE
    while not unmount(mountpoint):
        if time.monotonic() >= end:
            raise TimeoutError(
                f"{mountpoint} is still in use {_PATIENCE:.0f} s after the job: by `fuser -vm {mountpoint}`"
            )
        time.sleep(0.05)


def unmount(mountpoint: Path, *options: str) -> bool:
    """By the command that this user may use; whether it is unmounted."""
    command = ["umount", *options] if os.getuid() == 0 else ["fusermount", "-u", *options]
    done = subprocess.run([*command, str(mountpoint)], check=False, capture_output=True)  # noqa: S603 - fixed commands
    return done.returncode == 0
