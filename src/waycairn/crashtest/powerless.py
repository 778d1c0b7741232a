"""The back end `power`: the job runs once on a file system that records, and goes on from what power cuts leave of it."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from waycairn.crashtest.place import Place
from waycairn.crashtest.points import Point
from waycairn.crashtest.power import Disk, Model, State, missing, power_loss_states, recording
from waycairn.crashtest.power.oplog import acknowledged
from waycairn.crashtest.process import Ended, Running
from waycairn.crashtest.settings import Settings

_NAME = "power"


@dataclass
class PowerLoss:
    """What was not flushed may be lost, each act alone and in any order, as POSIX allows. ValueError where it cannot run."""

    settings: Settings
    covers: str = "power cuts: what was not flushed is lost, in part, in any order that POSIX allows"
    _states: list[State] = field(default_factory=list, init=False)
    _one: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        if reason := missing():
            raise ValueError(f"the back end power cannot run here: {reason}")

    def record(self, place: Place) -> tuple[Ended, list[Point]]:
        """Run the job on a recording file system; every state that a power cut can leave of it."""
        folder = place.root.parent / "power"
        folder.mkdir()
        with recording(folder) as disk:
            self._here = Place(disk.root, aside=folder)
            self._here.temporary.mkdir()
            disk.copy_in(place.work)
            more = {"WAYCAIRN_HISTORY": str(disk.ack), "WAYCAIRN_CRASH_RECORD": str(place.hits)}
            running = Running(self.settings.command, self._here, **more)
            ended = running.end(self.settings.timeout)
            shutil.rmtree(place.work)
            shutil.copytree(self._here.work, place.work, symlinks=True)
        place.said.write_bytes(self._here.said.read_bytes())
        self._acknowledged = acknowledged(disk.tape)
        self._states = power_loss_states(disk.tape, Model.POSIX, seed=0)
        # At the same path as it was recorded: jobs remember where their outputs lie.
        self._disk = Disk(disk.tape, self._here.root)
        return ended, self._points(len(disk.tape))

    def _points(self, acts: int) -> list[Point]:
        """Without those in which only the process died: kills are for the other back ends. Of one instant there are many
        states, and a choice by progress has to come to each of them."""
        chance = random.Random(self.settings.seed)
        return [
            Point(_NAME, number, (state.at - chance.random()) / acts)
            for number, state in enumerate(self._states, 1)
            if not state.lost.startswith("nothing")
        ]

    @contextmanager
    def after(self, point: Point) -> Iterator[Place]:
        """The place as that cut left it; one at a time."""
        if point.hit > len(self._states):
            raise ValueError(f"there are {len(self._states)} states, none is {point}")
        state = self._states[point.hit - 1]
        with self._one:
            self._disk.show(state)
            place = self._here
            place.work.mkdir(exist_ok=True)  # it was there before the job
            for file in (place.hits, place.said, place.struck):
                file.unlink(missing_ok=True)
            place.history.write_text("".join(f"{line}\n" for line in self._acknowledged[: state.acks]), "utf-8")
            yield place

    def lost(self, point: Point) -> str:
        """What that cut took, in words."""
        return self._states[point.hit - 1].lost
