"""How a job is recorded, and how it is struck at a point: by crash points, by the clock, or at system calls."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from waycairn.crashtest.place import Place
from waycairn.crashtest.points import Point, moments, points_of, read_hits
from waycairn.crashtest.process import Ended, Running, found
from waycairn.crashtest.settings import Settings

ACTS = {"kill": "GROUP", "double": "GROUP", "worker": "KILL", "term": "TERM", "int": "INT", "takeover": "STOP"}
"""What a crash point does in each mode."""
_SIGNALS = {"kill": signal.SIGKILL, "double": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}


class Recorder(Protocol):
    covers: str
    """What was tried, in a sentence of the report."""

    def record(self, place: Place) -> tuple[Ended, list[Point]]:
        """Run the job to its end; where it can be struck."""
        ...


class BackEnd(Recorder, Protocol):
    def start(self, point: Point, mode: str, place: Place) -> Running:
        """Start the job, to be struck at the point."""
        ...

    def strike(self, point: Point, mode: str, running: Running) -> bool:
        """Do from outside what is not done by the job itself; False if it ended before."""
        ...


def recording(place: Place) -> dict[str, str]:
    """What makes a job write down the crash points it passes."""
    return {"WAYCAIRN_CRASH_RECORD": str(place.hits)}


@dataclass
class Hooks:
    """The default: needs nothing, strikes exactly at the durability steps of the library and at your own crash points."""

    settings: Settings
    covers: str = "crash points of the library and of the job, each in the process that passes it"

    def record(self, place: Place) -> tuple[Ended, list[Point]]:
        running = Running(self.settings.command, place, **recording(place))
        ended = running.end(self.settings.timeout)
        hits = read_hits(place.hits)
        leader = hits[0].process if hits else running.pid
        return ended, points_of(hits, leader, running.began, ended.seconds)

    def start(self, point: Point, mode: str, place: Place) -> Running:
        crash = f"{point.name}@{point.hit}:{ACTS[mode]}"
        once = str(place.struck)
        return Running(self.settings.command, place, WAYCAIRN_CRASH=crash, WAYCAIRN_CRASH_ONCE=once, **recording(place))

    def strike(self, point: Point, mode: str, running: Running) -> bool:  # noqa: ARG002 - it does so itself
        return True


@dataclass
class Timer:
    """For scripts without crash points: strikes by the clock."""

    settings: Settings
    covers: str = "moments of the clock: a sample, which may miss a short window at every run"
    _seconds: float = field(default=0.0, init=False)

    def record(self, place: Place) -> tuple[Ended, list[Point]]:
        ended = Running(self.settings.command, place, **recording(place)).end(self.settings.timeout)
        self._seconds = ended.seconds
        return ended, moments(self.settings.points, self.settings.seed)

    def start(self, point: Point, mode: str, place: Place) -> Running:  # noqa: ARG002 - struck from outside
        return Running(self.settings.command, place, **recording(place))

    def strike(self, point: Point, mode: str, running: Running) -> bool:
        if running.wait(point.progress * self._seconds):
            return False
        running.signal(_SIGNALS[mode])
        return True


_CHANGING = (
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "ftruncate",
    "fallocate",
    "link",
    "linkat",
)
"""System calls that change what a crash leaves."""
_CALL = re.compile(rb"^\d+ +(\d+\.\d+) (\w+)\(")


@dataclass
class SystemCalls:
    """Strikes before the k-th call of a kind, of any script, without any crash point. One thread must do the writing."""

    settings: Settings
    covers: str = (
        "system calls that change files; of calls that several threads make, the order is not the same each time"
    )

    def __post_init__(self) -> None:
        if shutil.which("strace") is None:
            raise ValueError("the back end syscalls needs strace: apt-get install strace")

    def record(self, place: Place) -> tuple[Ended, list[Point]]:
        trace = place.root / "trace"
        command = self._traced(trace, f"trace={','.join(_known(_CHANGING))}", "-ttt")
        running = Running(command, place, **recording(place))
        ended = running.end(self.settings.timeout)
        return ended, self._points(trace, running.began, ended.seconds)

    def _traced(self, trace: Path | str, *options: str) -> list[str]:
        flags = [word for option in options for word in (("-e", option) if "=" in option else (option,))]
        # Neither --seccomp-bpf, with which strace delivers no signal, nor a shim in front of the interpreter.
        return ["strace", "-f", "-qq", "-o", str(trace), *flags, *found(self.settings.command)]

    def _points(self, trace: Path, began: float, seconds: float) -> list[Point]:
        counts: Counter[str] = Counter()
        points = []
        for line in trace.read_bytes().splitlines():
            if called := _CALL.match(line):
                name = called[2].decode()
                counts[name] += 1
                share = (float(called[1]) - began) / seconds
                points.append(Point(name, counts[name], min(1.0, max(0.0, share))))
        return points

    def start(self, point: Point, mode: str, place: Place) -> Running:  # noqa: ARG002 - always the same
        inject = f"inject={point.name}:signal=SIGKILL:when={point.hit}"
        command = self._traced(os.devnull, f"trace={point.name}", inject)
        return Running(command, place, **recording(place))

    def strike(self, point: Point, mode: str, running: Running) -> bool:  # noqa: ARG002 - the kernel does it
        return True


def _known(calls: tuple[str, ...]) -> list[str]:
    """Those of this architecture: others strace refuses. A question mark lets it pass over what it does not know."""
    return [f"?{call}" for call in calls]


BACK_ENDS: dict[str, Callable[[Settings], BackEnd]] = {"hooks": Hooks, "timer": Timer, "syscalls": SystemCalls}
