"""Kill a job that trains networks, again and again, and show that weights, losses and report are those of one that ran
undisturbed.

    python examples/training_demo.py [--kills N] [--seed S] [--iterations N] [--place DIR]

The exit code is 0 only if every kill was delivered and everything is the same to the bit.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from demo import compare_digests, prepare
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import waycairn as wc

HERE = Path(__file__).resolve().parent
WAYCAIRN = [sys.executable, "-m", "waycairn"]


@dataclass(frozen=True)
class Death:
    by: str
    after: float
    """Seconds since the process was started."""
    committed: int
    """Steps that are durable."""


class Job:
    """The job in a place of its own."""

    def __init__(self, place: Path, *options: str) -> None:
        self.place = place
        self.store = place / "store"
        self._log = place / "said.log"
        self._command = [sys.executable, str(HERE / "training.py"), "--store", str(self.store)]
        self._command += ["--output-dir", str(place), *options]

    def start(self, *, resume: bool = False) -> subprocess.Popen[bytes]:
        """By its own command, or by the one that the store knows."""
        command = [*WAYCAIRN, "resume", "digits", "--store", str(self.store)] if resume else self._command
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def finish(self) -> float:
        """To the end, and how long that took; SystemExit with the job's own words if it failed."""
        started = time.monotonic()
        if code := self.start().wait():
            sys.exit(f"The job failed with exit code {code}:\n{self._log.read_text('utf-8')[-3000:]}")
        return time.monotonic() - started

    def kill_at(self, steps: int, later: float, by: signal.Signals, *, resume: bool) -> Death | None:
        """So many seconds after that many steps were durable; None if the job had ended, or ended otherwise."""
        started = time.monotonic()
        before = self.committed()
        process = self.start(resume=resume)
        # It has to be at work: who is told to stop while it imports its libraries ends without a last save.
        while self.committed() < max(steps, before + 1) and process.poll() is None:
            time.sleep(0.02)
        time.sleep(later)
        process.send_signal(by)
        code = process.wait()
        after = time.monotonic() - started
        # SIGKILL cannot be answered. At SIGTERM the job saves once more and says by which signal it ended.
        is_delivered = code == (-by if by == signal.SIGKILL else 128 + by)
        return Death(by.name, after, self.committed()) if is_delivered else None

    def committed(self) -> int:
        if not self.store.exists():
            return 0
        with wc.open(self.store) as store:
            runs = store.runs(name="digits")
            return runs[0].progress.done if runs else 0

    def digests(self) -> dict[str, str]:
        """SHA-256 of all that the job leaves, but for times."""
        with wc.open(self.store) as store:
            newest = store.checkpoints("digits", role="state", limit=1)[0]
            network = store.load(str(newest.id), only="network")
            report = store.report("digits")
        found = {
            "last weights": (array.tobytes() for array in [*network["weights"], *network["biases"]]),
            "losses": (repr((curve.name, curve.places, curve.values)) for curve in report.curves),
            "iterations": (repr((one.number, one.metrics, one.improvement)) for one in report.iterations),
            "rules": (repr((one.iteration, one.rule, one.score, one.is_promoted)) for one in report.rules),
            "patterns": (repr((one.iteration, one.pattern, one.effectiveness)) for one in report.patterns),
        }
        files = {name: [(self.place / name).read_bytes()] for name in ("best.npz", "losses.txt")}
        return {name: digest(parts) for name, parts in (found | files).items()}


def digest(parts: Iterable[bytes | str]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
    return whole.hexdigest()


def kill_again_and_again(job: Job, kills: int, steps: int, seed: int) -> list[Death]:
    """One death in each part of the work, the middle one by SIGTERM; every other time the store starts it again."""
    chance = random.Random(seed)
    deaths: list[Death] = []
    for number in range(kills):
        share = 0.8 * (number + chance.random()) / kills  # towards the end there is hardly anything left to kill
        by = signal.SIGTERM if number == kills // 2 else signal.SIGKILL
        death = job.kill_at(int(share * steps), chance.uniform(0, 0.1), by, resume=number % 2 == 1)
        if death is None:
            break
        deaths.append(death)
    return deaths


def deaths_table(deaths: list[Death], steps: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("kill", "by", "lived", "durable"):
        table.add_column(title, justify="left" if title == "by" else "right")
    for number, death in enumerate(deaths, 1):
        table.add_row(str(number), death.by, f"{death.after:.2f} s", f"{death.committed:,} of {steps:,} steps")
    return table


def show_report(job: Job) -> Path:
    """As `waycairn report` has it: here as text, and a page with charts."""
    page = job.place / "report.html"
    report = [*WAYCAIRN, "report", "digits", "--store", str(job.store)]
    sys.stdout.flush()
    subprocess.run(report, check=True)
    subprocess.run([*report, "--output", str(page), "--quiet"], check=True)
    return page


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="how many times to kill (default 10)")
    parser.add_argument("--seed", type=int, default=None, help="of the random instants; drawn and printed if not given")
    parser.add_argument("--iterations", type=int, default=24, help="rules that the job tries (default 24)")
    parser.add_argument("--place", type=Path, default=Path("build/training"), help="folder to work in")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    console = Console(highlight=False)
    prepare(given.place, "golden", "killed")
    options = ("--iterations", str(given.iterations), "--save-every", "0.1s")
    golden, killed = (Job(given.place.resolve() / name, *options) for name in ("golden", "killed"))
    console.print("[bold]A job trains networks and looks for better rules to do so. It will be killed.[/]\n")

    with console.status("undisturbed"):
        seconds = golden.finish()
    steps = golden.committed()
    console.print(f"1. undisturbed: {seconds:.1f} s, {steps:,} steps in {given.iterations} iterations")
    console.print(f"2. killed at random instants (seed {seed}), and started again:")
    with console.status("killed and started again"):
        deaths = kill_again_and_again(killed, given.kills, steps, seed)
        killed.finish()
    console.print(deaths_table(deaths, steps))
    is_same = compare_digests(golden.digests(), killed.digests(), console)
    page = show_report(killed)
    console.print(f"\nThe same with charts: {page}\n", soft_wrap=True)
    if not is_same:
        console.print("[bold red]The results differ. This is a bug in waycairn or in the job.[/]")
    elif len(deaths) != given.kills or not deaths:
        console.print(f"[bold red]Only {len(deaths)} of {given.kills} kills were delivered: this proves too little.[/]")
    else:
        console.print(f"[bold green]Killed {len(deaths)} times; weights, losses and report are the same to the bit.[/]")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
