"""Packs as local files: the contract, and what it takes that they survive."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from waycairn.blobs import LocalBlobs, large_pack, slabs
from waycairn.errors import StoreFull, StoreReadOnly, StoreUnreachable, WriteFailed
from waycairn.testing.blobs import BlobsContract
from waycairn.world import crashpoints
from waycairn.world.randomness import new_pack_id

MIB = 1 << 20
STEPS = ["pack.create", "pack.write", "pack.cut", "pack.flush", "pack.rename", "pack.directory", "pack.durable"]


@pytest.fixture(autouse=True)
def disarmed():
    yield
    crashpoints.disarm()


@pytest.fixture
def blobs(tmp_path):
    return LocalBlobs(tmp_path / "packs")


class TestLocalBlobs(BlobsContract):
    """On the file system of the temporary directory."""


class TestInMemoryFileSystem(BlobsContract):
    """Where the page cache cannot be gone around, or only in part."""

    @pytest.fixture
    def blobs(self):
        place = Path("/dev/shm")
        if not place.is_dir():
            pytest.skip("there is no /dev/shm here")
        folder = place / f"waycairn-test-{os.getpid()}-{time.monotonic_ns()}"
        yield LocalBlobs(folder)
        for file in sorted(folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        folder.rmdir()


def write(blobs, size, fill=b"x"):
    name = new_pack_id()
    writer = blobs.create(name, size)
    try:
        writer.append([fill * size])
        writer.finish()
    finally:
        writer.abort()
    return name


def files(blobs):
    return [path for path in blobs.path("0" * 32).parent.parent.rglob("*") if path.is_file()]


def test_a_refused_direct_write_goes_through_the_cache(blobs, monkeypatch):
    """Some file systems accept O_DIRECT and refuse the write: EINVAL is not the end of the save, also where it comes to
    two threads at once."""
    real, refused, second = os.pwrite, [], threading.Event()

    def pwrite(handle, data, offset):
        import fcntl

        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT:
            refused.append(offset)
            if len(refused) > 1:
                second.set()
            assert second.wait(10)
            raise OSError(errno.EINVAL, "no direct writes here")
        return real(handle, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    name = write(blobs, 20 * MIB + 3)
    target = bytearray(20 * MIB + 3)
    blobs.read_into(name, 0, memoryview(target))
    assert target == b"x" * len(target)
    assert len(refused) > 1


def test_short_writes_are_continued(blobs, monkeypatch):
    """One call may write less than it was given."""
    real_pwrite, real_writev = os.pwrite, os.writev
    monkeypatch.setattr(os, "pwrite", lambda handle, data, offset: real_pwrite(handle, data[: 4096 * 100], offset))
    monkeypatch.setattr(os, "writev", lambda handle, parts: real_writev(handle, [bytes(parts[0])[:7]]))
    for size in (10 * MIB, 100_000):
        name = write(blobs, size, b"y")
        target = bytearray(size)
        blobs.read_into(name, 0, memoryview(target))
        assert target == b"y" * size


@pytest.mark.parametrize("size", [1000, 20 * MIB])
@pytest.mark.parametrize("step", STEPS)
def test_an_error_at_any_step_leaves_nothing(blobs, step, size):
    """EIO becomes WriteFailed naming the pack, no file stays, no thread stays, and the next pack is written."""
    crashpoints.arm(step, act="RAISE")
    with pytest.raises(WriteFailed, match="pack"):
        write(blobs, size)
    crashpoints.disarm()
    assert files(blobs) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "waycairn-pack"]
    assert blobs.head(write(blobs, size)).size == size


@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_no_space_is_said(blobs, size):
    """ENOSPC becomes StoreFull and leaves nothing behind."""
    crashpoints.arm("pack.write", act="ENOSPC")
    with pytest.raises(StoreFull, match="no space left"):
        write(blobs, size)
    assert files(blobs) == []


def test_a_late_write_error_is_not_lost(blobs):
    """The third slab fails in a thread of its own: the save fails."""
    crashpoints.arm("pack.write", hit=3, act="RAISE")
    with pytest.raises(WriteFailed):
        write(blobs, 60 * MIB)
    assert files(blobs) == []


def test_a_failed_flush_is_never_tried_again(blobs, monkeypatch):
    """fsyncgate: the kernel may say yes the second time and have lost the data."""
    flushed = []

    def fsync(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            return
        flushed.append(os.readlink(f"/proc/self/fd/{handle}"))
        raise OSError(errno.EIO, "the disk said no")

    monkeypatch.setattr("waycairn.world.files.os.fsync", fsync)
    for _ in range(2):
        with pytest.raises(WriteFailed):
            write(blobs, 100)
    assert len(flushed) == len(set(flushed)) == 2


def test_order_of_the_steps(blobs):
    """Cut, flush, rename, flush of the folder: each once, in this order."""
    order = []
    for size in (1000, 20 * MIB):
        hits = crashpoints.arm("never")
        write(blobs, size)
        order.append([name for name in hits if name in STEPS])
    assert order == [STEPS, STEPS]


@pytest.fixture
def flushed(monkeypatch):
    """What was flushed, in order, with whether a pack had its name already."""
    order = []
    real = os.fsync

    def fsync(handle):
        order.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    monkeypatch.setattr("waycairn.world.files.os.fsync", fsync)
    return order


@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_everything_is_flushed(blobs, flushed, size):
    """The directory that got a new folder, the file before it has its name, the folder after: in this order."""
    path = blobs.path(write(blobs, size))
    packs = path.parent.parent
    above = packs.parent
    assert flushed == [above.parent, above, packs, packs, path.with_name(f"{path.name}.unfinished"), path.parent]


def test_folders_made_by_others_are_flushed_too(blobs, tmp_path, flushed):
    """That a folder exists does not say that its name is durable: the directory above is flushed first."""
    packs = tmp_path / "packs"
    packs.mkdir()
    for first in range(256):
        (packs / f"{first:02x}").mkdir()
    write(blobs, 10)
    assert flushed[0] == packs
    write(blobs, 10)
    assert flushed.count(packs) == 1


def test_a_directory_whose_maker_was_killed_is_flushed(tmp_path, flushed):
    """Killed between making the directory and flushing its name: whoever uses it next makes the name durable."""
    code = "import sys, pathlib; from waycairn.world.files import make_directory; make_directory(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "WAYCAIRN_CRASH": "files.mkdir.flush@1:KILL"}
    (tmp_path / "other").touch()
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "packs"], env=environment, check=False)
    assert done.returncode == -9
    assert (tmp_path / "packs").is_dir()
    write(LocalBlobs(tmp_path / "packs"), 10)
    assert flushed[0] == tmp_path
    flushed.clear()
    write(LocalBlobs(tmp_path / "packs"), 10)
    assert tmp_path not in flushed, "once there is something in it, that was done"


def test_a_killed_writer_leaves_only_an_unfinished_file(tmp_path):
    """SIGKILL at each step: the pack is there whole or not at all, and the rest is cleaned away when it is old."""
    code = (
        "import sys; from waycairn.blobs import LocalBlobs\n"
        "blobs = LocalBlobs(sys.argv[1]); writer = blobs.create(sys.argv[2], 12 << 20)\n"
        "writer.append([b'k' * (12 << 20)]); writer.finish()\n"
    )
    kills = 0
    for step in STEPS:
        place, name = tmp_path / step, new_pack_id()
        environment = {**os.environ, "WAYCAIRN_CRASH": f"{step}@1:KILL"}
        done = subprocess.run([sys.executable, "-c", code, place, name], env=environment, check=False)
        assert done.returncode == -9, step
        kills += 1
        blobs = LocalBlobs(place)
        info = blobs.head(name)
        assert info is None or info.size == 12 * MIB
        assert (info is not None) == (step in {"pack.directory", "pack.durable"})
        assert blobs.delete_unfinished(time.time() - 3600) == 0
        left = blobs.delete_unfinished(time.time() + 3600)
        assert left == (step in STEPS[1:5])
        assert len(files(blobs)) == (info is not None)
    assert kills == len(STEPS)


def test_errors_of_reading_and_writing_are_ours(tmp_path, blobs):
    """A directory where a file should be, a file where a directory should be."""
    name = write(blobs, 10)
    blobs.path(name).unlink()
    blobs.path(name).mkdir()
    with pytest.raises(StoreUnreachable):
        blobs.read_into(name, 0, memoryview(bytearray(1)))
    (tmp_path / "file").write_text("")
    with pytest.raises((WriteFailed, StoreReadOnly)):
        write(LocalBlobs(tmp_path / "file"), 10)


def test_names_cannot_leave_the_directory(blobs):
    """A name is 32 hexadecimal characters; anything else is a programmer's mistake."""
    for name in ("", "..", "../" * 10 + "a", "0" * 31, "0" * 33, "G" * 32, "0" * 30 + "/a"):
        with pytest.raises(ValueError, match="hexadecimal"):
            blobs.path(name)


def test_permissions(blobs):
    """Nobody else may read."""
    path = blobs.path(write(blobs, 10))
    assert [place.stat().st_mode & 0o777 for place in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_small_packs_start_no_thread(blobs, monkeypatch):
    """Neither threads nor slabs for what one write can do."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread was started"))
    monkeypatch.setattr(slabs, "_allocate", lambda: pytest.fail("a slab was taken"))
    write(blobs, 1 * MIB)


def test_memory_is_bounded(blobs, monkeypatch):
    """However large the pack, only a few slabs are in use, and they are used again."""
    allocated = []
    real = slabs._allocate
    monkeypatch.setattr(slabs, "_allocate", lambda: allocated.append(1) or real())
    write(blobs, 160 * MIB)
    assert 1 <= len(allocated) <= large_pack.THREADS
    write(blobs, 80 * MIB)
    assert len(allocated) <= large_pack.THREADS


def test_a_forked_child_does_not_share_slabs(blobs):
    """The pool of a child is its own."""
    write(blobs, 20 * MIB)
    pool = blobs._pool
    assert pool._free
    child = os.fork()
    if not child:
        slab = pool.take()
        os._exit(0 if not any(slab is other for other in pool._free) and not pool._free else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_listing_beside_others_at_work(blobs):
    """Files that are renamed or removed between the reading of a folder and the look at one are no error."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            blobs.delete(write(blobs, 10))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(200):
            list(blobs.list())
            blobs.delete_unfinished(0)
    finally:
        stop.set()
        thread.join()
    assert files(blobs) == []
