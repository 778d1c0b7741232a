"""One look at many files of which none has changed: what a stream does while nothing happens.

    python bench/polling.py [--files 10000] [--rounds 30]

Beside it the floor: listing the directory and asking the kernel for each file's status, which is how a change is seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from measuring import arguments, median, report, scratch

from waycairn.streams.options import ReadOptions
from waycairn.streams.parsing import Parser
from waycairn.streams.reader import Reader
from waycairn.world.clock import SystemClock


def floor(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries)


def taken_to_their_end(folder: Path) -> Reader:
    """A reader that has consumed all that is there."""
    reader = Reader([folder / "*.jsonl"], [], Parser(), ReadOptions(), SystemClock())
    reader.look()
    while taken := reader.take(1000):
        reader.keep(taken)
    return reader


def poll(reader: Reader) -> None:
    reader.look()
    assert reader.take(1000) is None


def milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def main() -> None:
    given = arguments()
    folder = scratch("polling")
    files = 1000 if given.quick else given.files
    for number in range(files):
        (folder / f"{number}.jsonl").write_text(f'{{"number": {number}}}\n')
    reader = taken_to_their_end(folder)
    time.sleep(0.1)
    polls, floors = [], []
    for _ in range(max(given.rounds, 10)):
        polls.append(milliseconds(lambda: poll(reader)))
        floors.append(milliseconds(lambda: floor(folder)))
    reader.close()
    report("polling", files=files, ms=round(median(polls), 1), floor_ms=round(median(floors), 1))


if __name__ == "__main__":
    main()
