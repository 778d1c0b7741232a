"""Kill a job for real, again and again, and show that its result is that of an uninterrupted run (`make demo`).

    python examples/demo.py [--kills N] [--seed S] [--most BOOKS] [--place DIR]

The exit code is 0 only if every kill was delivered and every file is the same to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import waycairn as wc

JOB = Path(__file__).resolve().with_name("books.py")
FILES = ("report.md", "report.json", "concordance.jsonl")
MARK = ".made-by-the-demo"
PHASES = ("clean", "measure", "count", "rank", "concord", "compare")


@dataclass(frozen=True)
class Piece:
    """A line of the trace: when the job asked for that piece of that phase."""

    at: float
    phase: str
    number: int


@dataclass(frozen=True)
class Whole:
    """A run from beginning to end."""

    seconds: float
    working: float
    """Seconds from the first piece to the end: without the start of the interpreter and the opening of the store."""
    cpu: float


@dataclass(frozen=True)
class Kill:
    after: float
    """Seconds since the first piece of that attempt."""
    phase: str
    committed: int
    total: int
    again: int
    """Pieces that were begun and not committed."""
    lost: float
    """Seconds of work in them."""


class Attempt:
    """One process that does the job, and what it said."""

    def __init__(self, place: Path, name: str, *options: str) -> None:
        self._trace = place / f"{name}.trace"
        self._trace.touch()
        self._seen = self._trace.stat().st_size
        self._log = place / f"{name}.log"
        command = [sys.executable, str(JOB), "--out", str(place / name), "--trace", str(self._trace), *options]
        with self._log.open("ab") as log:
            self.started = time.time()
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self._usage_before = os.times()

    def pieces(self) -> list[Piece]:
        """What this process has asked for so far."""
        with self._trace.open() as trace:
            trace.seek(self._seen)
            lines = [line.split() for line in trace.read().splitlines(keepends=True) if line.endswith("\n")]
        return [Piece(float(at), phase, int(number)) for at, phase, number in lines]

    def wait(self) -> Whole:
        """To the end; SystemExit with the job's own words if it failed."""
        code = self._process.wait()
        ended = time.time()
        if code:
            sys.exit(f"The job failed with exit code {code}:\n{self._log.read_text('utf-8')[-3000:]}")
        after = os.times()
        before = self._usage_before
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Whole(ended - self.started, ended - self.pieces()[0].at, cpu)

    def kill_after(self, seconds: float) -> float | None:
        """SIGKILL that long after its first piece; when it was sent, or None if the job had ended before."""
        while not self.pieces():
            if self._process.poll() is not None:
                self.wait()
                return None
            time.sleep(0.01)
        time.sleep(max(0.0, self.pieces()[0].at + seconds - time.time()))
        self._process.send_signal(signal.SIGKILL)
        sent = time.time()
        if self._process.wait() == -signal.SIGKILL:
            return sent
        self.wait()
        return None


def what_it_cost(store: Path, attempt: Attempt, sent: float) -> Kill:
    """From the trace what was begun, from the store what was committed."""
    pieces = attempt.pieces()
    last = pieces[-1]
    committed = total = 0
    with wc.open(store, create=False) as opened:
        for phase in opened.phases("books"):
            if phase.name == last.phase:
                committed, total = phase.progress.done, phase.progress.total or 0
    lost = [piece for piece in pieces if piece.phase == last.phase and piece.number >= committed]
    return Kill(
        after=sent - pieces[0].at,
        phase=last.phase,
        committed=committed,
        total=total,
        again=len(lost),
        lost=sent - lost[0].at if lost else 0.0,
    )


def kill_again_and_again(place: Path, options: list[str], gaps: list[float], console: Console) -> list[Kill]:
    """The job in its own store, killed after each gap and started again with the same command, then left in peace."""
    store = place / "store"
    kills: list[Kill] = []
    for gap in gaps:
        attempt = Attempt(place, "killed", "--store", str(store), *options)
        sent = attempt.kill_after(gap)
        if sent is None:
            console.print(f"  The job ended before kill {len(kills) + 1} could be sent.")
            return kills
        kills.append(what_it_cost(store, attempt, sent))
        console.print(
            f"  SIGKILL {len(kills)} of {len(gaps)}: in phase {kills[-1].phase}, after {kills[-1].after:.2f} s"
        )
    Attempt(place, "killed", "--store", str(store), *options).wait()
    return kills


def kills_table(kills: list[Kill]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("kill", "after", "in phase", "committed", "begun, not committed: done again"):
        table.add_column(title, justify="left" if title == "in phase" else "right")
    for number, kill in enumerate(kills, 1):
        again = f"{kill.again} piece{'s' * (kill.again != 1)}, {kill.lost:.2f} s"
        committed = f"{kill.committed} of {kill.total or '?'}"
        table.add_row(str(number), f"{kill.after:.2f} s", kill.phase, committed, again)
    return table


def compare(place: Path, console: Console) -> bool:
    """Show the files of both runs; True if all are the same."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("result", "bytes", "SHA-256, uninterrupted", "SHA-256, killed", ""):
        table.add_column(title, justify="right" if title == "bytes" else "left")
    same = True
    for name in FILES:
        golden, killed = (hashlib.sha256((place / run / name).read_bytes()).hexdigest() for run in ("golden", "killed"))
        size = (place / "golden" / name).stat().st_size
        same = same and golden == killed
        verdict = "[green]same[/]" if golden == killed else "[bold red]DIFFERENT[/]"
        table.add_row(name, f"{size:,}", golden[:16], killed[:16], verdict)
    console.print(table)
    return same


def prepare(place: Path) -> None:
    """An empty folder. Only one that the demo made is emptied."""
    if place.exists() and not (place / MARK).exists():
        sys.exit(f"{place} is there and was not made by the demo. Nothing was changed. Name another: --place DIR")
    shutil.rmtree(place, ignore_errors=True)
    for name in ("golden", "killed", "forget"):
        (place / name).mkdir(parents=True)
    (place / MARK).touch()


def overhead(golden: Whole, bare: Whole, console: Console) -> None:
    more = (golden.working - bare.working) / bare.working
    more_cpu = (golden.cpu - bare.cpu) / bare.cpu
    console.print(
        f"Cost of remembering: {golden.working:.2f} s of work with waycairn, {bare.working:.2f} s without: "
        f"[bold]{more:+.1%}[/] by the clock;\n{more_cpu:+.1%} processor time, start and opening of the store "
        "included. One run each, so a few per cent are noise.",
        highlight=False,
    )


def draw_gaps(seed: int, kills: int, seconds: float) -> list[float]:
    """Random lives of the attempts, which together stay inside the job."""
    chance = random.Random(seed)
    return [chance.uniform(0.3, 1.5) * seconds / (kills + 1) for _ in range(kills)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=6, help="how many times to kill (default 6)")
    parser.add_argument("--seed", type=int, default=None, help="of the random instants; drawn and printed if not given")
    parser.add_argument("--most", type=int, help="read only so many books")
    parser.add_argument("--place", type=Path, default=Path("build/demo"), help="folder to work in (default build/demo)")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    place: Path = given.place
    options = ["--most", str(given.most)] if given.most else []
    console = Console(highlight=False)
    prepare(place)
    console.print("[bold]A job reads books, counts, compares, and writes a report. It will be killed.[/]\n")

    with console.status("without waycairn, nothing remembered"):
        bare = Attempt(place, "forget", "--forget", *options).wait()
    console.print(f"1. without waycairn: {bare.seconds:.1f} s")
    with console.status("with waycairn, uninterrupted"):
        golden = Attempt(place, "golden", "--store", str(place / "golden-store"), *options).wait()
    console.print(f"2. with waycairn, uninterrupted: {golden.seconds:.1f} s")
    console.print(f"3. with waycairn, killed {given.kills} times with SIGKILL at random instants (seed {seed}):")
    with console.status("killed and started again"):
        kills = kill_again_and_again(place, options, draw_gaps(seed, given.kills, golden.working), console)
    console.print()
    console.print(kills_table(kills))
    same = compare(place, console)
    overhead(golden, bare, console)
    tell_more(place, console)
    delivered = len(kills) == given.kills > 0
    if same and delivered:
        console.print(f"[bold green]Killed {len(kills)} times; the result is the same to the byte.[/]")
    elif same:
        console.print(
            f"[bold red]Only {len(kills)} of {given.kills} kills were delivered: this run proves too little.[/]"
        )
    else:
        console.print("[bold red]The results differ. This is a bug in waycairn or in the job.[/]")
    return 0 if same and delivered else 1


def tell_more(place: Path, console: Console) -> None:
    console.print(
        f"\nThe report: {place / 'killed' / 'report.md'}    The store: {place / 'store'}\nTry next:\n"
        f"  export WAYCAIRN_STORE={place / 'store'}\n"
        "  .venv/bin/waycairn runs\n"
        "  .venv/bin/waycairn show books\n"
        "  .venv/bin/python examples/books.py      # press Ctrl-C whenever you like, and start it again\n",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
