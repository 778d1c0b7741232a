"""A stream without a ledger: keeps what a reader gives, and starts a new reader from what was kept."""

from __future__ import annotations

import itertools
import os
import time

import msgspec

from waycairn.streams.parsing import Parser
from waycairn.streams.reader import Reader, ReadOptions
from waycairn.streams.records import Counts, Generation


class SetClock:
    """Time stands still until it is moved. It begins now, since files have the times of the kernel."""

    def __init__(self):
        self.wall, self.steady = time.time(), 1000.0

    def now(self):
        return self.wall

    def monotonic(self):
        return self.steady

    def sleep(self, seconds):
        self.pass_(seconds)

    def pass_(self, seconds):
        self.wall += seconds
        self.steady += seconds


class Stream:
    """Files of a folder and what became of them."""

    def __init__(self, folder, *patterns, parser=None, batch=1000, **options):
        self.folder = os.fsencode(folder)
        self.patterns = [os.path.join(self.folder, os.fsencode(pattern)) for pattern in patterns or ["app.jsonl"]]
        self.parser = parser or Parser()
        self.options = ReadOptions(**options)
        self.batch = batch
        self.clock = SetClock()
        self.stored: dict[int, Generation] = {}
        self.events, self.places, self.dead, self.noticed = [], [], [], []
        self.counts = Counts()
        self.reader = self._reader()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()

    def _reader(self):
        known = msgspec.msgpack.decode(msgspec.msgpack.encode(list(self.stored.values())), type=list[Generation])
        return Reader(self.patterns, known, self.parser, self.options, self.clock)

    def restart(self):
        """As after a kill: only what was kept is known."""
        self.reader.close()
        self.reader = self._reader()

    def read(self):
        """Look once, and keep all that there is."""
        self.reader.look()
        for _ in range(100_000):
            taken = self.reader.take(self.batch)
            if taken is None:
                return self
            self.keep(taken)
        raise AssertionError("there is no end to it")

    def read_to_the_end(self):
        """Look, wait for what has to be waited for, and look again."""
        for _ in range(4):
            self.read()
            self.clock.pass_(self.options.rotate_wait)
        return self.read()

    def keep(self, taken):
        """What a commit would do, with the checks that a ledger makes."""
        assert len({generation.id for generation in taken.changed}) == len(taken.changed)
        changed = {generation.id: generation for generation in taken.changed}
        for portion in taken.portions:
            self._check(portion)
            assert changed[portion.after.id] is portion.after
            self.events += portion.events
            self.places += [(portion.before.id, place) for place in portion.places]
            self.dead += portion.dead
            self.counts += portion.counts
        self.noticed += taken.noticed
        self.stored.update(changed)
        self.reader.keep(taken)

    def _check(self, portion):
        before, after, counts = portion.before, portion.after, portion.counts
        known = self.stored.get(before.id)
        assert known is None or known.offset == before.offset, "the ledger has another offset"
        assert after.offset == before.offset + counts.bytes
        assert len(portion.events) == len(portion.places) == counts.events
        assert len(portion.dead) == counts.dead
        assert all(one < other for one, other in itertools.pairwise(portion.places))

    # -- files -----------------------------------------------------------------------------------------------

    def path(self, name="app.jsonl"):
        return os.path.join(self.folder, os.fsencode(name))

    def write(self, content, name="app.jsonl", mode="ab"):
        with open(self.path(name), mode) as file:
            file.write(content)

    def rename(self, old, new):
        os.rename(self.path(old), self.path(new))

    # -- looking ---------------------------------------------------------------------------------------------

    @property
    def kinds(self):
        return [letter.kind for letter in self.dead]

    @property
    def told(self):
        return [one.kind for one in self.noticed]

    def numbers(self):
        """Of lines made with `lines`."""
        return [event["n"] for event in self.events]

    def offsets(self):
        """By name, of the generations that have a file."""
        return {os.path.basename(one.path): one.offset for one in self.stored.values() if one.state != "missing"}


def lines(*numbers, pad=0):
    return b"".join(b'{"n":%d%s}\n' % (number, b',"p":"%s"' % (b"x" * pad) if pad else b"") for number in numbers)
