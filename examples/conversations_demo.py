"""Kill a job that calls a failing service, again and again, and show that its results are those of an undisturbed run.

    python examples/conversations_demo.py [--kills N] [--seed S] [--workers N] [--on WHERE] [--place DIR]

The exit code is 0 only if every kill was delivered and the tables and the file are the same to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from demo import compare_digests, prepare
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from tables import Tables

import waycairn as wc

HERE = Path(__file__).resolve().parent
RECOVERED = "--service-recovered"


@dataclass(frozen=True)
class Death:
    after: float
    """Seconds since the process was started."""
    called: int
    """Conversations that were sent to the service so far."""
    committed: int


class Job:
    """The job in a place of its own: started with the same command again and again."""

    def __init__(self, place: Path, *options: str) -> None:
        self.place = place
        self._log = place / "said.log"
        self._command = [sys.executable, str(HERE / "conversations.py"), *options]
        self._command += ["--store", str(place / "store"), "--output-dir", str(place)]

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen([*self._command, *options], stdout=log, stderr=subprocess.STDOUT)

    def finish(self, *options: str) -> float:
        """To the end, and how long that took; SystemExit with the job's own words if it failed."""
        started = time.monotonic()
        if code := self.start(*options).wait():
            sys.exit(f"The job failed with exit code {code}:\n{self._log.read_text('utf-8')[-3000:]}")
        return time.monotonic() - started

    def kill_at(self, called: int, later: float) -> Death | None:
        """SIGKILL so many seconds after that many conversations were sent to the service; None if the job had ended."""
        started = time.monotonic()
        process = self.start()
        while len(self.calls()) < called and process.poll() is None:
            time.sleep(0.005)
        time.sleep(later)
        process.kill()
        after = time.monotonic() - started
        if process.wait() != -signal.SIGKILL:
            return None
        return Death(after, len(self.calls()), self.committed())

    def calls(self) -> Counter[str]:
        """How often each conversation was sent to the service."""
        log = self.place / "calls.log"
        return Counter(log.read_text("utf-8").splitlines()) if log.exists() else Counter()

    def committed(self) -> int:
        with wc.open(self.place / "store") as store:
            runs = store.runs(name="conversations")
            return runs[0].progress.done if runs else 0

    def digests(self) -> dict[str, str]:
        """SHA-256 of what the job leaves."""
        with Tables(self.place / "replies.db") as tables:
            _, digest = tables.digest()
        lines = (self.place / "replies.jsonl").read_bytes()
        return {"replies.db": digest, "replies.jsonl": hashlib.sha256(lines).hexdigest()}


def kill_again_and_again(job: Job, kills: int, conversations: int, seed: int) -> list[Death]:
    """One death in each part of the work."""
    chance = random.Random(seed)
    deaths = []
    for number in range(kills):
        share = 0.8 * (number + chance.random()) / kills  # towards the end there is hardly anything left to kill
        death = job.kill_at(int(share * conversations), chance.uniform(0, 0.05))
        if death is None:
            break
        deaths.append(death)
    return deaths


def deaths_table(deaths: list[Death], conversations: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("kill", "lived", "sent to the service", "committed"):
        table.add_column(title, justify="right")
    for number, death in enumerate(deaths, 1):
        of = f"of {conversations}"
        table.add_row(str(number), f"{death.after:.2f} s", f"{death.called} {of}", f"{death.committed} {of}")
    return table


def tell_calls(golden: Counter[str], killed: Counter[str], refused: set[str], deaths: int, console: Console) -> None:
    """What the kills cost. Calls for the refused are no such cost: each start tries them again, as it should."""
    again = killed - golden
    lost = sum(count for name, count in again.items() if name not in refused)
    retried = again.total() - lost
    console.print(
        f"Calls of the service: {golden.total()} undisturbed, {killed.total()} with {deaths} kills.\n"
        f"Made again for a kill before their answer was committed: {lost}, {lost / max(1, deaths):.1f} a kill.\n"
        f"Made again for the {len(refused)} refused, which each start tries once more: {retried}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=12, help="how many times to kill (default 12)")
    parser.add_argument("--seed", type=int, default=None, help="of the random instants; drawn and printed if not given")
    parser.add_argument("--workers", type=int, default=8, help="calls at once (default 8)")
    parser.add_argument("--on", choices=("threads", "processes", "async"), default="threads", help="what calls")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds a call takes on average (default 0.05)")
    parser.add_argument("--place", type=Path, default=Path("build/conversations"), help="folder to work in")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    console = Console(highlight=False)
    prepare(given.place, "golden", "killed")
    options = "--workers", str(given.workers), "--on", given.on, "--latency", str(given.latency)
    golden, killed = (Job(given.place / name, *options) for name in ("golden", "killed"))
    console.print("[bold]A job sends conversations to a service that is slow and fails. It is killed.[/]\n")

    seconds = golden.finish()
    first = golden.calls()
    recovered = golden.finish(RECOVERED)
    refused = set(golden.calls() - first)
    console.print(f"1. undisturbed: {seconds:.1f} s; {len(refused)} of {len(first)} conversations were refused")
    console.print(f"2. the service has recovered, once more: {recovered:.1f} s, nothing but these")
    console.print(f"3. killed {given.kills} times with SIGKILL at random instants (seed {seed}):\n")
    deaths = kill_again_and_again(killed, given.kills, len(first), seed)
    killed.finish()
    killed.finish(RECOVERED)

    console.print(deaths_table(deaths, len(first)))
    is_same = compare_digests(golden.digests(), killed.digests(), console)
    tell_calls(golden.calls(), killed.calls(), refused, len(deaths), console)
    are_delivered = len(deaths) == given.kills > 0
    if is_same and are_delivered:
        console.print(f"[bold green]Killed {len(deaths)} times; the tables and the file are the same to the byte.[/]")
    elif is_same:
        console.print(f"[bold red]{len(deaths)} of {given.kills} kills were delivered: this proves too little.[/]")
    else:
        console.print("[bold red]The results differ. This is a bug in waycairn or in the job.[/]")
    return 0 if is_same and are_delivered else 1


if __name__ == "__main__":
    sys.exit(main())
