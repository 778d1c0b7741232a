"""What was measured and told, beside a model of what really happened: acts in any order that succeed, fail or are refused,
hours that pass, processes that come and go, a catalog that somebody else writes to."""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from programme.tally import Budget, Tally
from waycairn.errors import Damaged, OwnershipLost
from waycairn.model.histogram import Histogram
from waycairn.model.measures import HOUR
from waycairn.model.throttle import Throttle
from waycairn.upkeep.events import Event, events_of
from waycairn.upkeep.measured import condense
from waycairn.wiring import open_core
from waycairn.work.store import Store

__all__ = ["run"]

_ACTS = 40
"""Of one story."""


class Clock:
    """Hours pass when a story says so."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    sleep = staticmethod(time.sleep)


class Story:
    """One store, and what must have been measured and told of it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.clock = Clock()
        self.counted: Counter[str] = Counter()
        self.created: list[str] = []
        self.told: list[str] = []
        self.bad: list[str] = []
        self.store = self.opened()

    def opened(self) -> Store:
        store = Store(open_core(self.folder, clock=self.clock))
        store.on("created", self.note)
        return store

    def note(self, event: Event) -> None:
        """On another thread: what is told must be there by now, for everybody."""
        for checkpoint in event.checkpoints:
            self.told.append(checkpoint)
            run, _, sequence = checkpoint.partition(".")
            with closing(sqlite3.connect(self.folder / "catalog.db")) as connection:
                found = connection.execute(
                    "SELECT count(*) FROM checkpoints JOIN runs ON runs.num = run WHERE id = ? AND checkpoints.sequence = ?",
                    (run, sequence),
                ).fetchone()
            if not found[0]:
                self.bad.append(f"checkpoint {checkpoint} was told and is not there")

    # -- acts ----------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        self.created.append(self.store.save("value", {"content": self.chance.randbytes(20)}))
        self.counted.update(["save", "save.bytes"])

    def load(self) -> None:
        if self.store.latest("value") is not None:
            self.counted.update(["load", "load.bytes"])

    def load_damaged(self) -> None:
        """In a store of its own row: the state is there, and its bytes are not what they were."""
        saved = self.store.save("large", self.chance.randbytes(200_000))
        self.created.append(saved)
        self.counted.update(["save", "save.bytes"])
        for pack in (self.folder / "packs").glob("*/*"):
            pack.write_bytes(bytes(pack.stat().st_size))
        with suppress(Damaged):
            self.store.load(saved)
            self.bad.append(f"{saved} was loaded, and it is damaged")
        self.counted["load.failures"] += 1
        events_of(self.store.core).drain()  # who is told of it looks whether it is there
        self.store.delete(saved)

    def refused(self) -> None:
        """Somebody else takes the run: its next checkpoint is refused, and nobody is told of one."""
        run = self.store.start("job")
        run.state({"at": self.chance.random()})
        self.store.takeover("job")
        self.counted["takeovers.forced"] += 1
        try:
            run.checkpoint(force=True)
        except OwnershipLost:
            self.counted["ownership.lost"] += 1
        else:
            self.bad.append("a checkpoint of a run that was taken over was not refused")
        self.store.discard("job")

    def pass_time(self) -> None:
        self.clock.time += self.chance.choice([1.0, 70.0, HOUR, 5 * HOUR, 40 * 24 * HOUR])

    def flush(self) -> None:
        self.store.core.meter.flush()

    def flush_beside_a_writer(self) -> None:
        """Somebody else writes: it is written with the next."""
        with closing(sqlite3.connect(self.folder / "catalog.db", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self.store.core.meter.flush()

    def condense(self) -> None:
        """No hour is told apart any more that somebody may still write to."""
        self.store.core.meter.flush()
        condense(self.store.core)

    def reopen(self) -> None:
        self.store.close()
        self.store = self.opened()

    def tell(self) -> None:
        """Told at once, not again within its time, and again after it."""
        throttle, window = Throttle(100.0), 100.0
        last: dict[str, float] = {}
        held: Counter[str] = Counter()
        now = 1000.0
        for _ in range(30):
            now += self.chance.choice([1.0, 30.0, 150.0])
            key = self.chance.choice("ab")
            expected = key not in last or now >= last[key] + window
            if throttle.admit(key, now) is not expected:
                self.bad.append(f"{key} at {now}, told last at {last.get(key)}: {'held back' if expected else 'told'}")
            if expected:
                last[key] = now
                if throttle.released(key) != held.pop(key, 0):
                    self.bad.append(f"how often {key} was held back is wrong")
            else:
                held[key] += 1

    def end(self) -> None:
        self.store.close()
        core = open_core(self.folder, clock=self.clock)
        found: dict[str, Histogram] = {}
        for row in core.catalog.measured():
            found.setdefault(row.name, Histogram()).merge(row.histogram)
        core.close()
        for name, count in self.counted.items():
            there = found[name].count if name in found else 0
            if there != count:
                self.bad.append(f"{name}: {there} were counted, {count} happened")
        if self.told != self.created:
            self.bad.append(f"{len(self.told)} checkpoints were told, {len(self.created)} made")


_WEIGHTS: dict[Callable[[Story], None], int] = {
    Story.save: 8,
    Story.load: 6,
    Story.load_damaged: 2,
    Story.refused: 2,
    Story.pass_time: 8,
    Story.flush: 4,
    Story.condense: 4,
    Story.reopen: 3,
    Story.tell: 2,
    Story.flush_beside_a_writer: 1,
}


def run(budget: Budget, folder: Path) -> Tally:
    """Story after story."""
    tally = Tally("telling")
    logging.getLogger("waycairn").addHandler(logging.NullHandler())
    number = 0
    while not (budget.is_spent or number == budget.most or tally.bad):
        place = folder / f"story{number}"
        tally.bad += [f"story {number} of seed {budget.seed}: {one}" for one in _tell(place, budget, number, tally)]
        number += 1
    tally.seconds = time.monotonic() - budget.began
    return tally


def _tell(place: Path, budget: Budget, number: int, tally: Tally) -> list[str]:
    chance = budget.chance(f"story {number}")
    story = Story(place, chance)
    for _ in range(_ACTS):
        act = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        act(story)
        tally.delivered["acts told"] += 1
    story.end()
    return story.bad
