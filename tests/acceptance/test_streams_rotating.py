"""Rotations of every kind, one upon the other, with stops and looks at any time: every line once."""

import collections
import gzip
import os
import random
import shutil
import time

import pytest

from streamed import Stream, lines


class Log:
    """A log that is written, rotated, copied, truncated and compressed."""

    def __init__(self, stream, chance):
        self.stream, self.chance = stream, chance
        self.written = 0
        stream.write(b"")

    def write(self):
        count = self.chance.randint(1, 6)
        pad = self.chance.choice([0, 50, 400])
        self.stream.write(lines(*range(self.written, self.written + count), pad=pad))
        self.written += count

    def write_in_parts(self):
        line = lines(self.written)
        place = self.chance.randint(1, len(line) - 1)
        self.stream.write(line[:place])
        if self.chance.random() < 0.5:
            self.stream.read()
        self.stream.write(line[place:])
        self.written += 1

    def rename(self):
        self._shift()
        self.stream.rename("app.jsonl", "app.jsonl.1")
        time.sleep(0.005)  # times of files go in ticks
        self.stream.write(b"")

    def copy_and_truncate(self):
        self._shift()
        shutil.copyfile(self.stream.path(), self.stream.path("app.jsonl.1"))
        self._perhaps_look()
        self.stream.write(b"", mode="wb")
        time.sleep(0.005)

    def compress(self):
        """As gzip does it: the original stays until the other is whole, which has its times."""
        plain = [name for name in self._rotated() if not name.endswith(b".gz")]
        if not plain:
            return
        name = self.chance.choice(plain)
        status = os.stat(self.stream.path(name))
        with open(self.stream.path(name), "rb") as file:
            whole = gzip.compress(file.read())
        if self.chance.random() < 0.5:
            self.stream.write(whole[: len(whole) // 2], name + b".gz")
            self._perhaps_look()
        self.stream.write(whole, name + b".gz", mode="wb")
        os.utime(self.stream.path(name + b".gz"), ns=(status.st_atime_ns, status.st_mtime_ns))
        self._perhaps_look()
        os.unlink(self.stream.path(name))

    def look(self):
        self.stream.reader.look()

    def take(self):
        taken = self.stream.reader.take(self.stream.batch)
        if taken is not None and self.chance.random() < 0.2:
            self.stream.reader.put_back(taken)
            taken = self.stream.reader.take(1)
        if taken is not None and self.chance.random() < 0.8:
            self.stream.keep(taken)
        elif taken is not None:
            self.stream.restart()

    def read(self):
        self.stream.read()

    def restart(self):
        self.stream.restart()

    def _perhaps_look(self):
        if self.chance.random() < 0.5:
            self.stream.reader.look()

    def _rotated(self):
        names = [name for name in os.listdir(self.stream.folder) if name != b"app.jsonl"]
        return sorted(names, key=lambda name: -int(name.split(b".")[2]))

    def _shift(self):
        for name in self._rotated():
            number = int(name.split(b".")[2])
            self.stream.rename(name, name.replace(b".jsonl.%d" % number, b".jsonl.%d" % (number + 1)))


ACTS = [Log.write] * 6 + [Log.take] * 4 + [Log.look, Log.read, Log.restart, Log.write_in_parts] * 2
ACTS += [Log.rename, Log.copy_and_truncate, Log.compress] * 2


FOUND = [50575766, 50576645, 53564452, 55118941, 57272371]
"""Histories that went wrong once."""


@pytest.mark.parametrize("seeds", [FOUND, *(range(begin, begin + 12) for begin in range(0, 96, 12))])
def test_every_line_once(tmp_path, seeds):
    """Twelve histories at a time."""
    for seed in seeds:
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        turn = chance.choice([30, 200, 1 << 20])
        with Stream(folder, batch=chance.choice([1, 3, 1000]), turn=turn) as stream:
            log = Log(stream, chance)
            stream.read()
            for _ in range(chance.randint(5, 40)):
                chance.choice(ACTS)(log)
            stream.read_to_the_end()
            stream.restart()
            stream.read_to_the_end()
        times = collections.Counter(stream.numbers())
        wrong = {number: times[number] for number in range(log.written) if times[number] != 1}
        assert (wrong, stream.dead) == ({}, []), f"seed {seed}"
