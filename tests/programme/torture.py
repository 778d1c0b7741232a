"""A long run of many harnesses: the time shared by weight, two at once, each in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import queue
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from programme.registry import Entry
from programme.tally import Tally

__all__ = ["RESULTS", "ROOT", "Report", "apart", "environment", "shares", "torture", "versions"]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "torture.json"
_AT_ONCE = 2
_GRACE = 180
"""Seconds beyond its time after which a harness is ended: it may be in the middle of a long fault."""


@dataclass
class Report:
    """What one long run did."""

    seed: int
    minutes: float
    tallies: dict[str, Tally] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """Harness to the reason."""

    @property
    def bad(self) -> list[str]:
        """Every bad outcome, and harnesses that proved nothing."""
        found = [f"{name}: {what}" for name, tally in self.tallies.items() for what in tally.bad]
        idle = [f"{name}: nothing was delivered" for name, tally in self.tallies.items() if not tally.delivered.total()]
        return found + idle

    def facts(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "commit": _commit(),
            "versions": versions(),
            "harnesses": {
                name: {
                    "delivered": dict(tally.delivered),
                    "bad": tally.bad,
                    "seconds": round(tally.seconds, 1),
                    "commit": _commit(),
                }
                for name, tally in self.tallies.items()
            },
            "skipped": self.skipped,
            "bad": self.bad,
        }

    def write(self, path: Path = RESULTS) -> None:
        """Beside a run of more harnesses it takes the place of theirs: each says of which commit it is."""
        path.parent.mkdir(exist_ok=True)
        facts = self.facts()
        former = json.loads(path.read_text()) if path.exists() else {"harnesses": {}}
        if former["harnesses"].keys() > facts["harnesses"].keys():
            of_others = [what for what in former["bad"] if what.partition(":")[0] not in facts["harnesses"]]
            merged = {**former["harnesses"], **facts["harnesses"]}
            facts = {**former, "harnesses": merged, "bad": of_others + facts["bad"]}
        path.write_text(json.dumps(facts, indent=1) + "\n")


def versions() -> Mapping[str, str]:
    """What it ran on."""
    return {
        "waycairn": metadata.version("waycairn"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "processors": str(os.cpu_count()),
    }


def environment() -> Mapping[str, str]:
    """In which a process of the programme finds this checkout."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def torture(entries: Sequence[Entry], minutes: float, seed: int) -> Report:
    """Run them all; a line as each ends."""
    report = Report(seed, minutes)
    able = [entry for entry in entries if _is_able(entry, report)]
    waiting: queue.SimpleQueue[tuple[Entry, float]] = queue.SimpleQueue()
    for entry, seconds in shares(able, minutes * 60):
        waiting.put((entry, seconds))
    lanes = [threading.Thread(target=_lane, args=(waiting, seed, report)) for _ in range(_AT_ONCE)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    return report


def _is_able(entry: Entry, report: Report) -> bool:
    try:
        reason = entry.missing()
    except ImportError as error:  # of our own: that is no missing means
        report.tallies[entry.name] = Tally(entry.name, bad=[f"the harness itself failed: {error}"])
        print(f"{entry.name}: BAD {error}", flush=True)
        return False
    if reason:
        report.skipped[entry.name] = reason
        print(f"{entry.name}: skipped: {reason}", flush=True)
    return not reason


def shares(entries: Sequence[Entry], seconds: float) -> list[tuple[Entry, float]]:
    """The time of two lanes, by weight, the longest first; none gets more than one lane has."""
    total = sum(entry.weight for entry in entries)
    shared = [(entry, min(seconds, _AT_ONCE * seconds * entry.weight / total)) for entry in entries]
    return sorted(shared, key=lambda pair: -pair[1])


def _lane(waiting: queue.SimpleQueue[tuple[Entry, float]], seed: int, report: Report) -> None:
    while True:
        try:
            entry, seconds = waiting.get_nowait()
        except queue.Empty:
            return
        tally = apart(entry.name, seconds, seed)
        report.tallies[entry.name] = tally
        print("\n".join([str(tally), *(f"    BAD {what}" for what in tally.bad)]), flush=True)


def apart(name: str, seconds: float, seed: int) -> Tally:
    """One harness in a process of its own: whatever becomes of it, the others go on."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="waycairn-torture-") as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-m", "programme", "one", name, f"{seconds:.1f}", str(seed), str(result)]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
        )
        try:
            errors = process.communicate(timeout=seconds * 1.5 + _GRACE)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            errors = f"{process.communicate()[1]}\nit did not end in time"
        tally = Tally(name, seconds=time.monotonic() - began)
        if result.exists():
            told = json.loads(result.read_text())
            tally.delivered.update(told["delivered"])
            tally.bad += told["bad"]
        else:
            last = (errors.strip().splitlines() or ["nothing on stderr"])[-1]
            tally.bad.append(f"the harness itself failed (exit code {process.returncode}): {last}")
    return tally
