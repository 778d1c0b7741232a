"""Power cuts on a real ext4: what its journal makes of a disk that lost the newest writes, or some of them.

A workload runs on ext4 over a disk that records. Then images of that disk are built as a cut could have left it: all
that was written before a flush, and of what was written since then a beginning, a part, or a part of a write. Each
is mounted, so that the real ext4 replays its journal, and looked at.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crash.workloads import WORKLOADS
from programme import recording_disk
from programme.recording_disk import Entry, Flush, Mark, Write
from programme.tally import Budget, Tally
from programme.taped import Story, check, check_end, events_of, run_story
from programme.victim import in_memory
from waycairn.crashtest.power import mounted
from waycairn.world.history import Event

__all__ = ["missing", "run"]

SIZE = 16 << 20
SECTOR = 4096
"""What a disk writes whole. The superblock of ext4 has 1 KiB, and a disk that tears it is one that ext4 refuses."""
IMAGES = 400
"""Of one recorded disk; then the next one is worth more."""
RESUMED = 10
"""One image in so many is taken to its end."""


def missing() -> str | None:
    """Why this cannot be done here."""
    if os.getuid() != 0:
        return "only root may mount ext4"
    if reason := mounted.missing():
        return reason
    if "\text4\n" not in Path("/proc/filesystems").read_text():
        return "this kernel has no ext4"
    if not shutil.which("mkfs.ext4") or not shutil.which("losetup"):
        return "mkfs.ext4 or losetup is missing: apt-get install e2fsprogs mount"
    if subprocess.run(["losetup", "--find"], capture_output=True, check=False).returncode != 0:
        return "there is no free loop device"
    return None


@dataclass(frozen=True, slots=True)
class Recorded:
    story: Story
    base: bytes
    log: list[Entry]
    history: Sequence[Event]


class Kept(NamedTuple):
    """A write that is on the medium: its first bytes, or all of them."""

    position: int
    length: int


class Image(NamedTuple):
    at: int
    """Number of entries of the log before the cut."""
    durable: int
    """Number of entries before the last flush."""
    kept: tuple[Kept, ...]
    """Of what was written since."""
    acks: int
    lost: str


def run(budget: Budget, folder: Path, *, bug: str = "", workloads: Sequence[str] = tuple(WORKLOADS)) -> Tally:
    """Disk after disk. `bug` is planted into every job that is recorded; then the first bad image is enough."""
    tally = Tally("block")
    for number, workload in _stories(workloads):
        images = tally.delivered["ext4 images"]
        if budget.is_spent or (bug and tally.bad) or (budget.most is not None and images >= budget.most):
            break
        most = IMAGES if budget.most is None else min(IMAGES, budget.most - images, -(-budget.most // len(workloads)))
        with in_memory(folder) as scratch:
            recorded = record(workload, number, budget.seed, scratch, bug)
            look(recorded, budget.chance(f"{workload} {number}"), most, budget, scratch, tally, bug)
    tally.seconds = time.monotonic() - budget.began
    return tally


def _stories(workloads: Sequence[str]) -> Iterator[tuple[int, str]]:
    number = 0
    while True:
        yield from ((number, workload) for workload in workloads)
        number += 1


def look(  # noqa: PLR0917 - one caller
    recorded: Recorded, chance: random.Random, most: int, budget: Budget, scratch: Path, tally: Tally, bug: str
) -> None:
    """Mount images of one disk and check what is there."""
    disk = Disk(recorded, scratch)
    for number, image in enumerate(choose(recorded.log, chance, most)):
        if budget.is_spent:
            return
        try:
            wrong = list(_look_at(disk, image, recorded, tally, is_resumed=number % RESUMED == 0))
        except subprocess.CalledProcessError as error:
            wrong = [f"{shlex.join(error.cmd)}: exit code {error.returncode}"]
        if wrong:
            tally.bad.append(f"{recorded.story}, after entry {image.at}, lost {image.lost}: {'; '.join(wrong)}")
            if bug:
                return


def _look_at(disk: Disk, image: Image, recorded: Recorded, tally: Tally, *, is_resumed: bool) -> Iterator[str]:
    with disk.mounted(image) as root:
        tally.delivered["ext4 images"] += 1
        wrong = list(check(recorded.story, root / "work", recorded.history[: image.acks]))
        if not wrong and is_resumed:
            tally.delivered["resumed"] += 1
            wrong = list(check_end(recorded.story, root / "work"))
        yield from wrong


# -- recording -----------------------------------------------------------------------------------------------------


def record(workload: str, number: int, seed: int, scratch: Path, bug: str = "") -> Recorded:
    """Run a story on ext4 on a recording disk."""
    base, log = scratch / "base", scratch / "log"
    _format(base)
    with ExitStack() as stack:
        mountpoint = scratch / "recording"
        mountpoint.mkdir()
        command = [sys.executable, recording_disk.__file__, str(mountpoint), str(base), str(log)]
        server = stack.enter_context(mounted.serving(command, mountpoint))
        with _mounted(mountpoint / recording_disk.DISK, scratch / "ext4") as root:
            work = root / "work"
            story = run_story(workload, number, seed, work, mountpoint / recording_disk.MARK, scratch, bug)
            (mountpoint / recording_disk.MARK).write_text(END)
        assert mounted.unmount(mountpoint), "the recording disk is still in use"
        assert server.wait(30) == 0, "the recording disk failed"
    entries = recording_disk.load(log)
    entries = entries[: entries.index(Mark(END))]
    lines = [entry.text.strip() for entry in entries if isinstance(entry, Mark)]
    return Recorded(story, base.read_bytes(), entries, events_of(lines, scratch))


END = "the job is done\n"


def _format(base: Path) -> None:
    """An empty ext4 with the job's folder in it."""
    with base.open("wb") as file:
        file.truncate(SIZE)
    options = ["-q", "-F", "-b", "4096", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
    subprocess.run(["mkfs.ext4", *options, str(base)], check=True, capture_output=True)
    with _mounted(base, base.with_name("formatting")) as root:
        (root / "work").mkdir()


@contextmanager
def _mounted(image: Path, place: Path) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "ext4", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


# -- images --------------------------------------------------------------------------------------------------------


def choose(log: Sequence[Entry], chance: random.Random, most: int) -> list[Image]:
    """Every flush, first with nothing and then with everything written until the next one, then by chance; at most so
    many, in the order of the log."""
    cuts = list(_cuts(log))
    chosen = {image[:3]: image for cut in cuts for image in cut.extremes()}
    loaded = [cut for cut in cuts if cut.pending]
    for _ in range(4 * most):
        if len(chosen) >= 2 * most or not loaded:
            break
        image = chance.choice(loaded).at_random(chance)
        chosen.setdefault(image[:3], image)
    images = list(chosen.values())
    return sorted(chance.sample(images, min(most, len(images))), key=lambda image: image.at)


@dataclass(frozen=True, slots=True)
class Cut:
    """An instant just before a flush or an acknowledgement, or at the end."""

    at: int
    durable: int
    pending: Sequence[Kept]
    acks: int

    def _image(self, kept: Sequence[Kept], lost: str) -> Image:
        return Image(self.at, self.durable, tuple(kept), self.acks, lost)

    def extremes(self) -> Iterator[Image]:
        yield self._image((), f"all {len(self.pending)} writes since the flush before")
        if self.pending:
            yield self._image(self.pending, "nothing")

    def at_random(self, chance: random.Random) -> Image:
        match chance.randrange(3):
            case 0:
                number = chance.randrange(len(self.pending))
                return self._image(self.pending[:number], f"the writes after the first {number}")
            case 1:
                share = chance.choice((0.2, 0.5, 0.8))
                kept = [write for write in self.pending if chance.random() < share]
                return self._image(kept, f"{len(self.pending) - len(kept)} of {len(self.pending)} writes")
            case _:
                number = chance.randrange(len(self.pending))
                torn = self.pending[number]
                length = chance.randrange(0, torn.length, SECTOR)
                kept = [*self.pending[:number], Kept(torn.position, length)]
                return self._image(kept, f"write {number} from byte {length} on, and those after it")


def _cuts(log: Sequence[Entry]) -> Iterator[Cut]:
    durable, acks, pending = 0, 0, []
    for position, entry in enumerate(log):
        match entry:
            case Write(_, data):
                pending.append(Kept(position, len(data)))
            case Flush():
                yield Cut(position, durable, pending, acks)
                durable, pending = position, []
            case Mark():
                acks += 1
                yield Cut(position + 1, durable, pending, acks)
                pending = list(pending)
    yield Cut(len(log), durable, pending, acks)


class Disk:
    """Images, mounted one after the other; the fastest when their flushes are in order."""

    def __init__(self, recorded: Recorded, scratch: Path) -> None:
        self._recorded = recorded
        self._file, self._place = scratch / "image", scratch / "image-mounted"
        self._durable = bytearray(recorded.base)
        self._number = 0

    @contextmanager
    def mounted(self, image: Image) -> Iterator[Path]:
        self._play(image.durable)
        log = self._recorded.log
        # In place: most of the time of a new file goes into getting memory for it.
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(self._durable)
            for position, length in image.kept:
                entry = log[position]
                assert isinstance(entry, Write)
                file.seek(entry.offset)
                file.write(entry.data[:length])
        with _mounted(self._file, self._place) as root:
            yield root

    def _play(self, number: int) -> None:
        """Everything written before that entry is durable."""
        if number < self._number:
            self._durable, self._number = bytearray(self._recorded.base), 0
        for entry in self._recorded.log[self._number : number]:
            if isinstance(entry, Write):
                self._durable[entry.offset : entry.offset + len(entry.data)] = entry.data
        self._number = number
