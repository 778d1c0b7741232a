"""Disks that fill up, and stores that cannot be written: nothing is lost, all of it can be read."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import waycairn as wc
from programme import full
from programme.tally import Budget
from waycairn.errors import StoreFull, StoreReadOnly

READING = ["runs", "show job", "checkpoints value", "results job", "verify", "stats", "orphans"]


def test_bounds_are_told_and_survived(tmp_path):
    """A disk of any size, a limit of file size, a limit of open files; the next call ends as if there had been none."""
    tally = full.run(Budget(seconds=240, seed=1, most=60), tmp_path)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["limits of file size"] >= 10
    assert tally.delivered["limits of open files"] >= 10
    with full.small_disk() as disk:
        assert disk is None or tally.delivered["full disks"] >= 10


@pytest.fixture
def disk():
    with full.small_disk() as disk:
        if disk is None:
            pytest.skip("a small file system cannot be mounted here")
        yield disk


def fill(place: Path) -> None:
    """To the last byte."""
    with (place / "fill").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))


def make_store(place: Path) -> Path:
    with wc.open(place / "store") as store:
        for page in range(3):
            store.save("value", {"page": page, "data": os.urandom(200_000)})
        with store.run("job") as run:
            for item in run.items(range(3)):
                with item:
                    item.result = item.value
    return place / "store"


def test_a_full_disk_can_be_read(disk):
    """Although nothing can be made beside the catalog; a save is told that there is no room, and works with room."""
    place = make_store(disk.place)
    disk.resize(disk.used + 8192)
    fill(disk.place)
    with wc.open(place) as store:
        assert store.latest("value")["page"] == 2
        assert len(list(store.checkpoints("value"))) == 3
        with pytest.raises(StoreFull, match="Free space"):
            store.save("value", {"page": 3})
        assert store.latest("value")["page"] == 2
        (disk.place / "fill").unlink()
        disk.resize(disk.used + 1024 * 1024)
        store.save("value", {"page": 3})
        assert store.latest("value")["page"] == 3


def test_a_little_room_is_enough_to_delete(disk):
    """What is deleted on a disk that is nearly full is gone, and the next save has its place in the catalog."""
    place = make_store(disk.place)
    disk.resize(disk.used + 160 * 1024)
    with wc.open(place) as store:
        store.clear("value")
        assert list(store.checkpoints("value")) == []
        store.save("value", {"page": 0})
    assert wc.open(place).latest("value") == {"page": 0}


def commands(store: Path, *prefix: str) -> None:
    """Everything that only reads works; what would write is refused in our words."""
    for command in (*READING, "discard job --yes"):
        ended = subprocess.run(
            [*prefix, sys.executable, "-m", "waycairn", "--store", store, *command.split()],
            capture_output=True,
            text=True,
            check=False,
        )
        if command in READING:
            assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        else:
            assert ended.returncode != 0
            assert "Traceback" not in ended.stderr
            assert "written" in ended.stderr or "read-only" in ended.stderr


def test_without_the_permission_a_store_can_be_read(tmp_path):
    """Files and directories that this user may not write."""
    prefix = []
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to give that up")
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    store = make_store(tmp_path)
    places = [store, *store.rglob("*")]
    for place in places:
        place.chmod(stat.S_IMODE(place.stat().st_mode) & ~0o222)
    try:
        commands(store, *prefix)
    finally:
        for place in places:
            place.chmod(stat.S_IMODE(place.stat().st_mode) | 0o200)


def test_on_a_read_only_mount_a_store_can_be_read(disk):
    """And a save says what is the matter."""
    store = make_store(disk.place)
    subprocess.run(["mount", "-o", "remount,ro", str(disk.place)], check=True)
    commands(store)
    with wc.open(store) as opened, pytest.raises(StoreReadOnly, match="mounted read-only"):
        opened.save("value", {"page": 3})
