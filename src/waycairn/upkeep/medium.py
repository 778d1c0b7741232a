"""Examining what the store lies on: file system, flushes, locks, space, clock."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

from waycairn.catalog.mounts import check_local, file_system_of
from waycairn.errors import UnsafeFileSystem
from waycairn.ports import Clock
from waycairn.upkeep.finding import Finding
from waycairn.upkeep.sizes import duration_text, size_text
from waycairn.world.clock import SystemClock
from waycairn.world.files import flush, write_all

_IN_MEMORY = {"tmpfs", "ramfs"}
_FLUSHES = 15
_TOO_FAST = 20e-6
"""Seconds. The fastest devices with a protected cache need about that; what is faster did not reach a device."""
_SLOW = 0.05
_NO_SPACE_LEFT = 16 << 20
_LITTLE_SPACE = 1 << 30
_CLOCK_SLACK = 60.0
_FIRST_RELEASE = 1_767_225_600
"""2026-01-01 UTC: a clock before that is wrong."""
_CLOCK = SystemClock()


def file_system(place: Path) -> Finding:
    """Whether SQLite and power durability can hold where the store lies."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        kind = file_system_of(os.path.realpath(place), mounts)
    except OSError:
        kind = None
    if kind is None:
        return Finding(
            "file system",
            "note",
            "the file system of the store could not be found out on this platform",
            "SQLite loses commits on network file systems",
            "make sure that the store lies on a local disk",
        )
    facts = {"type": kind}
    try:
        check_local(place)
    except UnsafeFileSystem as error:
        return Finding("file system", "bad", str(error), "commits can be lost or mixed up", "move the store", facts)
    if kind in _IN_MEMORY:
        return Finding(
            "file system",
            "warning",
            f"the store lies on {kind}, which is memory",
            "it survives kill -9, and is gone after a power cut or a restart of the machine",
            "keep a store that matters on a disk",
            facts,
        )
    if kind == "overlay":
        return Finding(
            "file system",
            "note",
            "the store lies in the writable layer of a container (overlay)",
            "it is safe for SQLite, and is deleted together with the container",
            "keep a store that is to outlive the container on a volume",
            facts,
        )
    return Finding("file system", "ok", f"{kind}, local: safe for SQLite", facts=facts)


def locks(place: Path) -> Finding:
    """Whether file locks exclude each other here: some file systems grant every lock to everybody."""
    path = place / f".doctor.{os.getpid()}.lock"
    try:
        excludes = _excludes(path)
    except OSError as error:
        return Finding(
            "locks",
            "bad",
            f"a file cannot be locked in {place}: {error.strerror or error}",
            "no job can become the owner of a run here",
            "move the store to a local disk, or to PostgreSQL",
        )
    if not excludes:
        return Finding(
            "locks",
            "bad",
            f"two locks on one file were granted at once in {place}",
            "two jobs can own one run at the same time; the second is refused only at its commit",
            "move the store to a local disk, or to PostgreSQL",
        )
    return Finding("locks", "ok", "a second lock on a file is refused")


def _excludes(path: Path) -> bool:
    with path.open("wb") as one, path.open("rb") as other:
        try:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
        finally:
            path.unlink(missing_ok=True)


def flushes(place: Path, clock: Clock = _CLOCK) -> Finding:
    """Write and flush a small file some times. Too fast is as suspicious as too slow."""
    try:
        times = measure_flushes(place, clock)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return Finding(
            "flush",
            "bad",
            f"a small file could not be written and flushed in {place}: {error.strerror or error}",
            "nothing new can be saved here; what was acknowledged is safe",
            "free space" if full else "check permissions, mount options and the disk (dmesg)",
        )
    return judge_flushes(times)


def judge_flushes(times: list[float]) -> Finding:
    """What the seconds that flushes took say about the device."""
    median = statistics.median(times)
    text = f"a flush takes {median * 1e6:.0f} µs (median of {len(times)}; longest {max(times) * 1e3:.1f} ms)"
    facts = {"median_seconds": median, "longest_seconds": max(times), "count": len(times)}
    if median < _TOO_FAST:
        return Finding(
            "flush",
            "warning",
            text,
            "that is faster than devices are known to be, so flushes may be ignored here (eatmydata, libeatmydata, a "
            "virtual disk with cache=unsafe, memory): then a power cut can take acknowledged saves",
            "find out whether flushes reach the device; waycairn cannot see it from here",
            facts,
        )
    if median > _SLOW:
        return Finding(
            "flush",
            "note",
            text,
            "each durable commit waits at least that long",
            "a faster disk, or a slower pace, if saving takes too much time",
            facts,
        )
    return Finding("flush", "ok", text, facts=facts)


def measure_flushes(place: Path, clock: Clock = _CLOCK) -> list[float]:
    """Seconds that each of some flushes of 4 KiB took. The file is removed. Raises OSError."""
    path = place / f".doctor.{os.getpid()}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        return list(_timed_flushes(handle, clock))
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def _timed_flushes(handle: int, clock: Clock) -> Iterator[float]:
    for _ in range(_FLUSHES):
        write_all(handle, os.urandom(4096))
        began = clock.monotonic()
        flush(handle)
        yield clock.monotonic() - began


def space(place: Path) -> Finding:
    """Room for new saves."""
    try:
        usage = shutil.disk_usage(place)
    except OSError as error:
        return Finding("space", "warning", f"the free space of {place} is not known: {error.strerror or error}")
    text = f"{size_text(usage.free)} of {size_text(usage.total)} free"
    facts = {"free_bytes": usage.free, "total_bytes": usage.total}
    if usage.free < _NO_SPACE_LEFT:
        return Finding("space", "bad", text, "the next saves fail; what was acknowledged is safe", "free space", facts)
    if usage.free < _LITTLE_SPACE:
        return Finding("space", "warning", text, "saves fail when it is used up", "free space", facts)
    return Finding("space", "ok", text, facts=facts)


def clock_sanity(now: float, newest: float | None, offset: float) -> Finding:
    """Whether this clock goes with what was written before (`newest`, seconds since 1970) and the database's."""
    facts = {"offset_seconds": offset}
    if now < _FIRST_RELEASE:
        return Finding(
            "clock",
            "bad",
            "the clock of this host stands before the first release of waycairn",
            "times and ages in listings are wrong; commits and their order are not, they go by sequence",
            "set the clock",
            facts,
        )
    if newest is not None and newest > now + _CLOCK_SLACK:
        return Finding(
            "clock",
            "warning",
            f"the newest row of the store was written {duration_text(newest - now)} in the future",
            "the clock was set back, or another host's is wrong; ages in listings and expiry are off, commits and "
            "their order are not, they go by sequence",
            "check the clocks (timedatectl)",
            facts,
        )
    if abs(offset) > _CLOCK_SLACK / 2:
        return Finding(
            "clock",
            "warning",
            f"the clock of the database is {offset:+.0f} s from this host's",
            "leases go by the database's clock, so ownership is safe; times in listings are off",
            "check the clocks (timedatectl)",
            facts,
        )
    return Finding("clock", "ok", "goes with what was written before", facts=facts)
