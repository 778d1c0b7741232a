"""Kill a program between any two of its lines, run it again, and compare: the harness of the rules tests.

Each attempt is a forked child of a process that never opened a store, so it costs a few milliseconds; it is killed
with a real SIGKILL at the n-th line that the program (this file's functions only) executes.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

Program = Callable[[Path], Any]
"""Called with a directory of its own; returns what an outsider can see at the end, as JSON."""


@dataclass
class Attempt:
    code: int
    """Exit code; negative for the signal that ended it."""
    result: Any = None
    error: str = ""
    lines: int = 0


@dataclass
class Sweep:
    kills: int = 0
    refused: int = 0
    results: list[Any] = field(default_factory=list)


def _load_everything() -> None:
    """What a child would import at its first save: once here instead of in every child."""
    for name in ("catalog.opening", "catalog.whole", "chunks.writer", "chunks.reader", "blobs.local", "work.store"):
        importlib.import_module(f"waycairn.{name}")


_load_everything()


def attempt(
    program: Program, place: Path, kill_at: int | None = None, act: int = signal.SIGKILL, *, traced: bool = True
) -> Attempt:
    """Run the program once in a forked child, killed at its n-th line if asked. Not `traced`, which slows libraries of
    much Python down, it has to kill itself."""
    report = place / ".attempt.json"
    report.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = _in_child(program, place, kill_at, act, report, traced=traced)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    told = json.loads(report.read_text()) if report.exists() and report.stat().st_size else {}
    return Attempt(code, told.get("result"), told.get("error", ""), told.get("lines", 0))


def _in_child(program: Program, place: Path, kill_at: int | None, act: int, report: Path, *, traced: bool) -> int:
    counter = _Lines(program.__code__.co_filename, kill_at, act)
    if traced:
        sys.settrace(counter.trace)
    told: dict[str, Any] = {}
    code = 0
    try:
        told["result"] = program(place)
    except BaseException as error:
        told["error"] = f"{type(error).__name__}: {error}"
        code = 1
    sys.settrace(None)
    told["lines"] = counter.count
    report.write_text(json.dumps(told))
    return code


class _Lines:
    """Counts the lines that run in one file, and kills at one of them."""

    def __init__(self, file: str, kill_at: int | None, act: int) -> None:
        self.file, self.kill_at, self.act, self.count = file, kill_at, act, 0

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != self.file:
            return None
        if event == "line":
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), self.act)
        return self.trace


def sweep(
    program: Program,
    places: Path,
    *,
    may_refuse: str | None = None,
    twice: bool = False,
    stride: int = 1,
) -> Sweep:
    """Kill at every line in turn; resume; the result must be that of an uninterrupted run.

    `may_refuse` names an error that a resumed run may end with instead of a wrong result. `twice` kills the
    resumed run too, half-way, before it may finish. Fails if a kill was not delivered.
    """
    golden_place = places / "golden"
    golden_place.mkdir()
    golden = attempt(program, golden_place)
    assert golden.code == 0, golden.error
    done = Sweep()
    for line in range(1, golden.lines + 1, stride):
        place = places / f"line-{line}"
        place.mkdir()
        killed = attempt(program, place, kill_at=line)
        assert killed.code == -signal.SIGKILL, f"the kill at line {line} was not delivered: {killed}"
        done.kills += 1
        if twice:
            again = attempt(program, place, kill_at=max(1, line // 2))
            done.kills += again.code == -signal.SIGKILL
        last = attempt(program, place)
        if may_refuse and last.code and may_refuse in last.error:
            done.refused += 1
            continue
        assert last.code == 0, f"killed at line {line}, resuming failed: {last.error}"
        assert last.result == golden.result, f"killed at line {line}"
    assert done.kills, "no kill was delivered"
    return done
