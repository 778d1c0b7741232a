"""Arrays to disk and back, beside the raw floor, in one run.

    python bench/arrays.py [--dir DIR] [--rounds 5] [--mib 1024]

Durable write: waycairn cuts, hashes (BLAKE3), stages, writes, flushes and commits; the floor writes the same number of
bytes out of one warm aligned buffer: preallocated, O_DIRECT, two threads, fsync, and nothing else.
Cold load: pages dropped first; the floors read one file into a warm buffer (through the page cache, and around it),
and into fresh memory as every library must whose caller keeps the result.
Prints one line of JSON; times in seconds, medians; `ratio` is ours over the better floor of the same run.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from waycairn.blobs import LocalBlobs
from waycairn.chunks import ChunkReader, ChunkWriter
from waycairn.model.encoded import Encoded
from waycairn.model.ids import PackId
from waycairn.model.records import ChunkPlace, NewData, StoreInfo

MIB = 1 << 20
INFO = StoreInfo(id="bench", format=1, secret=bytes(range(32)), created=0.0)


class Index:
    """Just enough of a chunk index; its cost is measured by the benches of the whole store."""

    def __init__(self):
        self.next, self.ids, self.places = 1, {}, {}

    def reserve_numbers(self, count):
        self.next += count
        return self.next - count

    def find_chunks(self, ids):
        return {chunk: self.ids[chunk] for chunk in ids if chunk in self.ids}

    def locate_chunks(self, numbers):
        return {number: self.places[number] for number in numbers}

    def sweep_epoch(self):
        return 0

    def packs(self) -> dict[PackId, int]:
        return {}

    def commit(self, data: NewData) -> None:
        blocks = {block.number: block for block in data.blocks}
        for chunk in data.chunks:
            self.ids[chunk.id] = chunk.number
            self.places[chunk.number] = ChunkPlace(
                chunk.number, chunk.id, chunk.start, chunk.length, blocks[chunk.block]
            )


def warm_buffer(size: int) -> memoryview:
    """Aligned memory that was written to; huge pages, as numpy asks for too."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    view = memoryview(memory)
    for start in range(0, size, 16 * MIB):
        view[start : start + 16 * MIB] = bytes(min(16 * MIB, size - start))
    return view


def random_arrays(count: int, size: int) -> list[memoryview]:
    """float32 arrays, each on its own, as numpy gives them out."""
    random = np.random.default_rng(0)
    return [memoryview(random.standard_normal(size // 4, dtype=np.float32)).cast("B") for _ in range(count)]


def timed(act: Callable[[], object]) -> float:
    os.sync()
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def two_threads(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(part,)) for part in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def floor_write(path: Path, source: memoryview) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DIRECT, 0o600)
    os.posix_fallocate(handle, 0, len(source))
    half = len(source) // 2

    def write(part: int) -> None:
        at, end = part * half, (part + 1) * half
        while at < end:
            at += os.pwrite(handle, source[at : min(end, at + 8 * MIB)], at)

    two_threads(write)
    os.fsync(handle)
    os.close(handle)


def floor_read(path: Path, target: memoryview, *, direct: bool) -> None:
    handle = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    half = len(target) // 2

    def read(part: int) -> None:
        at, end = part * half, (part + 1) * half
        while at < end:
            at += os.preadv(handle, [target[at : min(end, at + 16 * MIB)]], at)

    two_threads(read)
    os.close(handle)


def drop(path: Path) -> None:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


class Case:
    """One shape of state, measured against its floors."""

    def __init__(self, directory: Path, buffers: list[memoryview], pool: memoryview) -> None:
        self.directory, self.buffers = directory, buffers
        self.pool = pool[: sum(map(len, buffers))]
        self.times: dict[str, list[float]] = {}
        self.blobs = LocalBlobs(directory / "packs")

    def note(self, name: str, seconds: float) -> None:
        self.times.setdefault(name, []).append(seconds)

    def round(self) -> None:
        raw = self.directory / "raw"
        self.note("floor_write", timed(lambda: floor_write(raw, self.pool)))
        index = Index()
        writer, reader = ChunkWriter(index, self.blobs, INFO), ChunkReader(index, self.blobs, INFO)
        kept = []

        def save() -> None:
            stored, data = writer.write(Encoded(b"x" * 8192, self.buffers))
            index.commit(data)
            kept.append(stored)

        self.note("save", timed(save))
        fresh: list[object] = []
        for name, act in (
            ("floor_read_cached", lambda: floor_read(raw, self.pool, direct=False)),
            ("floor_read_direct", lambda: floor_read(raw, self.pool, direct=True)),
            ("floor_read_fresh", lambda: self._read_fresh(raw, fresh)),
            ("load", lambda: self._load(reader, kept[0], fresh)),
        ):
            drop(self.directory)
            self.note(name, timed(act))
            fresh.clear()
        raw.unlink()
        for pack in list(self.blobs.list()):
            self.blobs.delete(pack.name)

    def _read_fresh(self, raw: Path, kept: list[object]) -> None:
        memory = mmap.mmap(-1, len(self.pool), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
        floor_read(raw, memoryview(memory), direct=True)
        kept.append(memory)

    def _load(self, reader: ChunkReader, stored, kept: list[object]) -> None:
        state = reader.open(stored)
        state.prefetch()
        kept.extend(state.fetch(number) for number in range(state.buffer_count))
        assert len(state.document) == 8192

    def result(self) -> dict[str, float]:
        medians = {name: round(statistics.median(times), 4) for name, times in self.times.items()}
        reads = min(medians["floor_read_cached"], medians["floor_read_direct"])
        return medians | {
            "mib": len(self.pool) // MIB,
            "buffers": len(self.buffers),
            "save_ratio": round(medians["save"] / medians["floor_write"], 3),
            "load_ratio": round(medians["load"] / reads, 3),
            "load_ratio_fresh": round(medians["load"] / medians["floor_read_fresh"], 3),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("work"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=1024)
    options = parser.parse_args()
    options.dir.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=options.dir))
    pool = warm_buffer(options.mib * MIB)
    large = random_arrays(options.mib // 16, 16 * MIB)
    try:
        cases = {
            "large": Case(folder, large, pool),
            "many": Case(folder, random_arrays(3000, 65536), pool),
        }
        for _ in range(options.rounds):
            for case in cases.values():
                case.round()
    finally:
        shutil.rmtree(folder)
    print(json.dumps({name: case.result() for name, case in cases.items()}))


if __name__ == "__main__":
    main()
