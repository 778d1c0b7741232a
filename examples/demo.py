"""Kill a job for real, again and again, and show that its result is that of an uninterrupted run (`make demo`).

    python examples/demo.py [--kills N] [--seed S] [--most BOOKS] [--place DIR]

The exit code is 0 only if every kill was delivered and every file is the same to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import waycairn as wc

HERE = Path(__file__).resolve().parent
FILES = ("report.md", "report.json", "concordance.jsonl")
MARK = ".made-by-the-demo"


@dataclass(frozen=True)
class Piece:
    """A line of the trace: when the job asked for that piece of that phase."""

    at: float
    phase: str
    number: int


@dataclass(frozen=True)
class Whole:
    """A run from beginning to end; `seconds` include the start of the interpreter and the opening of the store."""

    seconds: float
    pieces: list[Piece]

    def totals(self) -> Counter[str]:
        """Pieces of each phase."""
        return Counter(piece.phase for piece in self.pieces)

    def place_of(self, share: float) -> tuple[Piece, float]:
        """The piece that was being done when that share of the work was over, and for how many seconds already.

        The work ends before the last piece was asked for: behind it there is hardly anything left to kill. And the
        seconds are few: the next attempt may be faster than this one was.
        """
        first, last = self.pieces[0].at, self.pieces[-1].at
        at = first + share * 0.9 * (last - first)
        piece = max((piece for piece in self.pieces if piece.at <= at), key=lambda piece: piece.at)
        return piece, min(at - piece.at, 0.3)

    def from_here_on(self, piece: Piece) -> set[tuple[str, int]]:
        """That piece and all behind it, in the order of the work."""
        order = [(one.phase, one.number) for one in self.pieces]
        return set(order[order.index((piece.phase, piece.number)) :])


@dataclass(frozen=True)
class Kill:
    after: float
    """Seconds since the process was started."""
    phase: str
    committed: int
    total: int
    again: int
    """Pieces that were begun and not committed."""
    lost: float
    """Seconds of work in them."""


class Attempt:
    """One process that does the job, and what it said."""

    def __init__(self, place: Path, name: str, *options: str, job: Sequence[str] = ("books.py",)) -> None:
        self._trace = place / f"{name}.trace"
        self._trace.touch()
        self._seen = self._trace.stat().st_size
        self._log = place / f"{name}.log"
        script, *first = job
        command = [sys.executable, str(HERE / script), *first, "--out", str(place / name), "--trace", str(self._trace)]
        with self._log.open("ab") as log:
            self.started = time.time()
            self._process = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)

    def pieces(self) -> list[Piece]:
        """What this process has asked for so far."""
        with self._trace.open() as trace:
            trace.seek(self._seen)
            lines = [line.split() for line in trace.read().splitlines(keepends=True) if line.endswith("\n")]
        return [Piece(float(at), phase, int(number)) for at, phase, number in lines]

    def wait(self) -> Whole:
        """To the end; SystemExit with the job's own words if it failed."""
        code = self._process.wait()
        seconds = time.time() - self.started
        if code:
            sys.exit(f"The job failed with exit code {code}:\n{self._log.read_text('utf-8')[-3000:]}")
        return Whole(seconds, self.pieces())

    def kill_at(self, pieces: set[tuple[str, int]], later: float) -> float | None:
        """SIGKILL so many seconds after it asked for one of these; when it was sent, or None if the job had ended."""
        while not any((seen.phase, seen.number) in pieces for seen in self.pieces()):
            if self._process.poll() is not None:
                self.wait()
                return None
            time.sleep(0.01)
        time.sleep(later)
        self._process.send_signal(signal.SIGKILL)
        sent = time.time()
        if self._process.wait() == -signal.SIGKILL:
            return sent
        self.wait()
        return None


def what_it_cost(store: Path, attempt: Attempt, sent: float, totals: Counter[str]) -> Kill:
    """From the trace what was begun, from the store what was committed."""
    last = attempt.pieces()[-1]
    with wc.open(store, create=False) as opened:
        committed = sum(phase.progress.done for phase in opened.phases("books") if phase.name == last.phase)
    lost = [piece for piece in attempt.pieces() if piece.phase == last.phase and piece.number >= committed]
    return Kill(
        after=sent - attempt.started,
        phase=last.phase,
        committed=committed,
        total=totals[last.phase],
        again=len(lost),
        lost=sent - lost[0].at if lost else 0.0,
    )


def kill_again_and_again(
    place: Path, options: list[str], golden: Whole, shares: list[float], console: Console
) -> list[Kill]:
    """The job in its own store, killed at each share of its work and started again with the same command, and at last
    left in peace."""
    store = place / "store"
    kills: list[Kill] = []
    for share in shares:
        piece, later = golden.place_of(share)
        attempt = Attempt(place, "killed", "--store", str(store), *options)
        # Or behind it: an attempt that was faster may have committed that piece already.
        sent = attempt.kill_at(golden.from_here_on(piece), later)
        if sent is None:
            console.print(f"   The job ended before kill {len(kills) + 1} could be sent.")
            return kills
        kills.append(what_it_cost(store, attempt, sent, golden.totals()))
        console.print(f"   SIGKILL {len(kills)} of {len(shares)}, {share:.0%} into the work: phase {kills[-1].phase}")
    Attempt(place, "killed", "--store", str(store), *options).wait()
    return kills


def kills_table(kills: list[Kill]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("kill", "lived", "died in phase", "committed", "begun, to be done again"):
        table.add_column(title, justify="left" if title == "died in phase" else "right")
    for number, kill in enumerate(kills, 1):
        again = f"{kill.again} piece{'s' * (kill.again != 1)}, {kill.lost:.2f} s"
        committed = f"{kill.committed} of {kill.total or '?'}"
        table.add_row(str(number), f"{kill.after:.2f} s", kill.phase, committed, again)
    return table


def compare_digests(golden: Mapping[str, str], killed: Mapping[str, str], console: Console) -> bool:
    """Show what two runs left, by name, with the head of each SHA-256; True if all are the same."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("result", "undisturbed", "killed", ""):
        table.add_column(title)
    is_same = True
    for (name, expected), found in zip(golden.items(), killed.values(), strict=True):
        is_same = is_same and expected == found
        verdict = "[green]same[/]" if expected == found else "[bold red]DIFFERENT[/]"
        table.add_row(name, expected[:16], found[:16], verdict)
    console.print(table)
    return is_same


def compare(place: Path, console: Console) -> bool:
    """Show the files of both runs with the head of their SHA-256; True if all are the same."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("result", "bytes", "uninterrupted", "killed", ""):
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


def prepare(place: Path, *names: str) -> None:
    """An empty folder with folders of these names. Only one that the demo made is emptied."""
    if place.exists() and not (place / MARK).exists():
        sys.exit(f"{place} is there and was not made by the demo. Nothing was changed. Name another: --place DIR")
    shutil.rmtree(place, ignore_errors=True)
    for name in names:
        (place / name).mkdir(parents=True)
    (place / MARK).touch()


def tell_cost(place: Path, golden: Whole, bare: Whole, console: Console) -> None:
    saves, seconds = (place / "stopwatch").read_text("utf-8").split()
    console.print(
        f"Cost of remembering: [bold]{float(seconds) / golden.seconds:.1%}[/] of the run time: "
        f"{saves} saves, {float(seconds):.2f} s of {golden.seconds:.1f} s.\n"
        f"By the clock {golden.seconds:.1f} s with waycairn, {bare.seconds:.1f} s without, start and opening included;\n"
        "one run each, so a difference of a few per cent is noise."
    )


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
    prepare(place, "golden", "killed", "forget")
    console.print("[bold]A job reads books, counts, compares, and writes a report. It will be killed.[/]\n")

    with console.status("without waycairn, nothing remembered"):
        bare = Attempt(place, "forget", "--forget", *options).wait()
    console.print(f"1. without waycairn: {bare.seconds:.1f} s")
    with console.status("with waycairn, uninterrupted"):
        timed = ("stopwatch.py", str(place / "stopwatch"))
        golden = Attempt(place, "golden", "--store", str(place / "golden-store"), *options, job=timed).wait()
    console.print(f"2. with waycairn, uninterrupted: {golden.seconds:.1f} s")
    console.print(f"3. with waycairn, killed {given.kills} times with SIGKILL at random instants (seed {seed}):")
    chance = random.Random(seed)
    shares = [(number + chance.random()) / given.kills for number in range(given.kills)]  # one in each part of the job
    with console.status("killed and started again"):
        kills = kill_again_and_again(place, options, golden, shares, console)
    console.print()
    console.print(kills_table(kills))
    same = compare(place, console)
    tell_cost(place, golden, bare, console)
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
        f"  .venv/bin/python examples/books.py --store {place / 'mine'} --out {place / 'my-report'}\n"
        "                # press Ctrl-C, or kill it, whenever you like, and start it again\n",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
