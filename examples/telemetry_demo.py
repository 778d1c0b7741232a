"""Kill a job that follows a log again and again, while the log grows and is renamed, truncated and compressed under it.

    python examples/telemetry_demo.py [--kills N] [--seed S] [--place DIR]

10,000 real requests are written to logs/access.jsonl as a web server would. What the job learned from them is compared
with what a plain script learns that reads the same lines once, undisturbed. The exit code is 0 only if every kill was
delivered, every rotation happened, and the two databases are the same to the last count.
"""

from __future__ import annotations

import argparse
import gzip
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from demo import prepare
from patterns import Patterns
from rich.console import Console
from sqlalchemy import text
from telemetry import Request, add, database

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "events" / "access.jsonl.gz"
PIECE = 40
"""Lines that are written at once."""
AT_ONCE = 1000


@dataclass
class Log:
    """A log that is written by somebody else, who does with it what is usual."""

    folder: Path
    lines: list[bytes]
    chance: random.Random
    done: list[str] = field(default_factory=list)
    written: int = 0

    @property
    def live(self) -> Path:
        return self.folder / "access.jsonl"

    def write(self) -> bool:
        """The next lines, the last of them in two halves; False if there are none left."""
        piece = b"".join(self.lines[self.written : self.written + PIECE])
        if not piece:
            return False
        cut = len(piece) - self.chance.randrange(1, 60)
        for part in (piece[:cut], piece[cut:]):
            with self.live.open("ab") as file:
                file.write(part)
            time.sleep(0.002)
        self.written += PIECE
        return True

    def rename(self) -> None:
        """As logrotate does, with the older ones moved on."""
        for number in (2, 1):
            for suffix in ("", ".gz"):
                older = self.folder / f"access.jsonl.{number}{suffix}"
                if older.exists():
                    older.rename(self.folder / f"access.jsonl.{number + 1}{suffix}")
        self.live.rename(self.folder / "access.jsonl.1")
        self.done.append("renamed")

    def truncate(self) -> None:
        """Copied, then emptied in place."""
        for number in (2, 1):
            for suffix in ("", ".gz"):
                older = self.folder / f"access.jsonl.{number}{suffix}"
                if older.exists():
                    older.rename(self.folder / f"access.jsonl.{number + 1}{suffix}")
        shutil.copyfile(self.live, self.folder / "access.jsonl.1")
        self.live.open("wb").close()
        self.done.append("truncated")

    def compress(self) -> None:
        """The newest of the older ones."""
        plain = self.folder / "access.jsonl.1"
        (self.folder / "access.jsonl.1.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
        self.done.append("compressed")


def start(place: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / "telemetry.py"), "logs", *options]
    with (place / "said.log").open("ab") as said:
        return subprocess.Popen(command, cwd=place, stdout=said, stderr=subprocess.STDOUT)


def disturb(log: Log, place: Path, kills: int, console: Console) -> int:
    """Write all lines; kill the job and rotate its log on the way. How many kills were delivered."""
    pieces = len(log.lines) // PIECE
    moments = sorted(log.chance.sample(range(pieces), kills))
    acts = {
        pieces // 5: log.rename,
        2 * pieces // 5: log.truncate,
        3 * pieces // 5: log.rename,
        7 * pieces // 10: log.compress,
    }
    delivered = 0
    job = start(place)
    for piece in range(pieces + 1):
        if piece in acts and wait_for(place, 1, job):
            acts[piece]()  # whether it runs just then or is dead
        if piece in moments and wait_for(place, committed(place) + 1, job):
            time.sleep(log.chance.uniform(0, 0.2))
            job.kill()
            was_killed = job.wait() == -signal.SIGKILL
            delivered += was_killed
            console.print(
                f"  kill {delivered:>2} after {log.written:>6,} lines; the job had committed {committed(place):>6,}"
            )
            log.write()
            job = start(place)
        log.write()
    wait_for(place, len(log.lines), job)
    job.terminate()
    job.wait()
    return delivered


def wait_for(place: Path, requests: int, job: subprocess.Popen[bytes]) -> bool:
    """Until so many are committed; False if the job ended before."""
    while committed(place) < requests and job.poll() is None:
        time.sleep(0.01)
    return job.poll() is None


def committed(place: Path) -> int:
    with closing(sqlite3.connect(place / "telemetry.db")) as found:
        try:
            return int(found.execute("SELECT coalesce(sum(requests), 0) FROM hours").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def plain(lines: list[bytes], path: Path) -> None:
    """What the job does, in one pass that nothing disturbs and that remembers nothing."""
    patterns, decode = Patterns(), msgspec.json.Decoder(Request).decode
    engine = database(path)
    with engine.begin() as connection:
        for first in range(0, len(lines), AT_ONCE):
            add(connection, [decode(line) for line in lines[first : first + AT_ONCE]], patterns)
    engine.dispose()


TABLES = {"patterns": "SELECT * FROM patterns ORDER BY number", "hours": "SELECT * FROM hours ORDER BY hour"}


def learned(path: Path) -> dict[str, list[Any]]:
    """All rows of both tables."""
    engine = database(path)
    with engine.connect() as connection:
        found = {name: [tuple(row) for row in connection.execute(text(query))] for name, query in TABLES.items()}
    engine.dispose()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="how many times to kill (default 10)")
    parser.add_argument("--seed", type=int, default=None, help="of the random instants; drawn and printed if not given")
    parser.add_argument("--place", type=Path, default=Path("build/telemetry"), help="folder to work in")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    console = Console(highlight=False)
    prepare(given.place, "logs")
    place = given.place.resolve()
    log = Log(place / "logs", gzip.decompress(DATA.read_bytes()).splitlines(keepends=True), random.Random(seed))
    console.print(f"[bold]A job learns from a log that grows. Both are disturbed (seed {seed}).[/]\n")
    delivered = disturb(log, place, given.kills, console)
    plain(log.lines, place / "plain.db")
    killed, golden = learned(place / "telemetry.db"), learned(place / "plain.db")

    console.print(f"\nThe log was {', '.join(log.done)} meanwhile. What was learned:")
    for name in golden:
        requests = sum(row[-2 if name == "patterns" else 1] for row in killed[name])
        verdict = "[green]same[/]" if killed[name] == golden[name] else "[bold red]DIFFERENT[/]"
        console.print(f"  {name:<9} {len(killed[name]):>4} rows, {requests:,} requests: {verdict}")
    console.print("\nThe commonest patterns, and how many of their requests were served:")
    for _, pattern, requests, served in sorted(killed["patterns"], key=lambda row: -row[2])[:6]:
        console.print(f"  {requests:>5}  {served / requests:>6.1%}  {pattern}", markup=False)
    if killed != golden or delivered != given.kills or len(log.done) != 4:
        console.print(f"[bold red]Not proven: {delivered} of {given.kills} kills, {len(log.done)} of 4 rotations.[/]")
        return 1
    console.print(
        f"[bold green]Killed {delivered} times, rotated {len(log.done)} times: every request was counted once.[/]"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
