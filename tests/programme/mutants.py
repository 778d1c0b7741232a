"""Known mistakes, each with the harness that must find it: a proof that the harnesses bite.

A mistake is planted into the jobs of its harness, or, where that reads stores itself, into the process of the harness;
never into the library. Each hunt runs in a process of its own and ends with the first bad outcome.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crash.bugs import BUGS
from programme import isolation, planted_deceit, planted_rot, planted_telling
from programme.registry import find
from programme.tally import Budget, Tally
from programme.torture import ROOT, environment

__all__ = ["MUTANTS", "Hunt", "Mutant", "hunt", "quick", "run"]

RESULTS = ROOT / "build" / "mutants.json"
MISTAKES: Mapping[str, Callable[[], None]] = {
    **BUGS,
    **{bug: plant for bug, (_, plant) in planted_rot.BUGS.items()},
    **{bug: plant for bug, (_, plant) in planted_deceit.BUGS.items()},
    **planted_telling.BUGS,
}
"""All that are known, by name: how each is planted into the process that calls it."""
_GRACE = 120
"""Seconds beyond its budget after which a hunt is ended."""


@dataclass(frozen=True, slots=True)
class Mutant:
    bug: str
    harness: str
    given: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for the harness: a workload that comes to the mistake."""
    seconds: float = 120.0
    most: int | None = None
    """The budget within which it must be found."""
    is_planted_here: bool = False
    """Into the process of the harness, which reads stores itself."""
    is_slow: bool = False
    """Left to `make torture`; the others, some of each harness, are hunted by every test run as well."""

    @property
    def what(self) -> str:
        """In words."""
        return " ".join((MISTAKES[self.bug].__doc__ or "").split())

    def missing(self) -> str | None:
        """Why it cannot be hunted here."""
        return find(self.harness).missing()


def _killed(bug: str, workload: str, **more: bool) -> Mutant:
    return Mutant(bug, "kills", {"workloads": [workload]}, **more)


def _read(bug: str) -> Mutant:
    given = planted_rot.GIVEN.get(bug, {})
    is_slow = bug in {"no-root-on-read", "no-checksum-of-keys", "anew-for-older"}
    return Mutant(bug, planted_rot.BUGS[bug][0], given, is_planted_here=True, is_slow=is_slow)


def _deceived(bug: str) -> Mutant:
    is_slow = bug in {"column-unbound", "plain-taken"}
    return Mutant(bug, planted_deceit.BUGS[bug][0], is_planted_here=True, is_slow=is_slow)


def _cut(bug: str, workload: str, **more: bool) -> Mutant:
    return Mutant(bug, "power", {"workloads": [workload]}, **more)


def _refused(bug: str, workload: str, kind: str, **more: bool) -> Mutant:
    return Mutant(bug, "errors", {"workloads": [workload], "kinds": [kind]}, **more)


MUTANTS = (
    _killed("write-behind", "pages"),
    _killed("state-encoded-late", "groups", is_slow=True),
    _killed("items-apart-from-state", "fold"),
    _killed("error-swallowed", "fold"),
    _killed("delete-later", "forget"),
    _killed("output-unwritten", "fold", is_slow=True),
    _killed("drop-first", "fold"),
    _killed("same-epoch", "fold"),
    _killed("last-cut-forgotten", "fold", is_slow=True),
    _killed("chunks-after-commit", "pages"),
    _killed("commit-before-pack", "pages"),
    _killed("files-before-rows", "sweep"),
    _killed("sweep-epoch-ignored", "sweep"),
    _killed("results-not-marked", "sweep", is_slow=True),
    _killed("not-looked-at-again", "beside", is_slow=True),
    _killed("leftovers-unfenced", "beside", is_slow=True),
    _killed("copy-finished-first", "copy", is_slow=True),
    _killed("keys-not-held", "rotate", is_slow=True),
    _killed("packs-not-renewed", "rotate", is_slow=True),
    _killed("old-packs-first", "optimize"),
    _killed("switch-leaves-the-epoch", "optimize", is_slow=True),
    _killed("moved-partly", "optimize", is_slow=True),
    _killed("damaged-found-again", "repair"),
    _killed("numbers-given-again", "repair", is_slow=True),
    _killed("newest-not-spared", "retention"),
    _killed("log-not-emptied", "retention", is_slow=True),
    _killed("saved-uncopied", "learning"),
    _killed("random-numbers-forgotten", "learning"),
    _killed("steps-counted-late", "learning", is_slow=True),
    _killed("rows-before-offsets", "follow", is_slow=True),
    _killed("stream-state-forgotten", "follow"),
    _killed("sink-file-not-cut-back", "collect"),
    _killed("delivered-after-offsets", "deliver", is_slow=True),
    _killed("fork-without-steps", "fork"),
    _killed("fork-of-now", "fork", is_slow=True),
    _killed("fork-into-the-same-file", "fork", is_slow=True),
    _killed("later-items-stay", "rewind", is_slow=True),
    _killed("audit-apart", "rewind", is_slow=True),
    _killed("audit-unchained", "fork", is_slow=True),
    _killed("deleted-unverified", "backup-paths"),
    _killed("payload-first", "backup-expiry"),
    _killed("restored-in-place", "backup-paths"),
    _killed("backup-unread", "backup-runs", is_slow=True),
    Mutant("deleted-said-first", "kills", {"only": "backup-paths backup.paths.rename@2:KILL"}, is_slow=True),
    _killed("rows-unchecked", "backup-rows", is_slow=True),
    _cut("rename-unflushed", "backup-paths", is_slow=True),
    _cut("journal-comes-back", "backup-rows", is_slow=True),
    _cut("fork-copy-unflushed", "fork", is_slow=True),
    _cut("no-first-stream-state", "careless", is_slow=True),
    _cut("sink-file-not-flushed", "collect"),
    _cut("no-flush-of-files", "pages"),
    _cut("archive-not-flushed", "archive", is_slow=True),
    _cut("no-flush-of-directories", "pages", is_slow=True),
    _cut("no-flush-of-parents", "values"),
    _cut("synchronous-normal", "fold", is_slow=True),
    _cut("output-after-commit", "again"),
    _cut("ack-before-commit", "values"),
    Mutant("no-epoch-check", "owners", {"scenarios": ["zombie"]}),
    Mutant("lock-in-children", "owners", {"scenarios": ["child_that_outlives_the_owner"]}),
    Mutant("lease-by-wall-clock", "owners", {"scenarios": ["clocks_apart"]}),
    Mutant("commit-twice", "network", {"workloads": ["values"], "acts": ["lose reply"]}),
    Mutant("flush-errors-ignored", "flushes", {"workloads": ["pages"]}, is_slow=True),
    Mutant("flush-tried-again", "flushes", {"workloads": ["pages"]}),
    Mutant("output-flush-tried-again", "flushes", {"workloads": ["insist"]}, is_slow=True),
    _refused("full-disk-ignored", "pages", "write"),
    _refused("thread-error-swallowed", "huge", "write", is_slow=True),
    _refused("shared-commit-error-swallowed", "together", "write", is_slow=True),
    *map(_read, planted_rot.BUGS),
    *map(_deceived, planted_deceit.BUGS),
    *(
        Mutant(bug, "telling", is_planted_here=True, is_slow=bug == "hours-put-together-lose")
        for bug in planted_telling.BUGS
    ),
)


def quick(*harnesses: str) -> list[Mutant]:
    """Those of these harnesses that every test run hunts."""
    return [mutant for mutant in MUTANTS if mutant.harness in harnesses and not mutant.is_slow]


@dataclass(frozen=True, slots=True)
class Hunt:
    """What became of one mutant."""

    bug: str
    harness: str
    what: str
    by: str
    """The first bad outcome; empty if it survived."""
    faults: int
    seconds: float
    trouble: str = ""
    """Why the hunt itself ended too early."""


def hunt(mutant: Mutant, budget: Budget, folder: Path, **given: Any) -> Hunt:
    """In this process. `given` is more for the harness."""
    began = time.monotonic()
    if mutant.is_planted_here:
        MISTAKES[mutant.bug]()
        isolation.HOPELESS = 1
    else:
        given["bug"] = mutant.bug
    harness: Callable[..., Tally] = find(mutant.harness).harness
    tally = harness(budget, folder, **mutant.given, **given)
    by = tally.bad[0] if tally.bad else ""
    seconds = round(time.monotonic() - began, 1)
    return Hunt(mutant.bug, mutant.harness, mutant.what, by, tally.delivered.total(), seconds)


def apart(mutant: Mutant, seed: int) -> Hunt:
    """In a process of its own, which it may poison."""
    with tempfile.TemporaryDirectory(prefix="waycairn-mutant-") as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-m", "programme", "mutants", "--hunt", mutant.bug, "--seed", str(seed)]
        limit = mutant.seconds + _GRACE
        try:
            ended = subprocess.run(
                [*command, "--result", str(result)],
                capture_output=True,
                text=True,
                timeout=limit,
                env=environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Hunt(mutant.bug, mutant.harness, mutant.what, "", 0, limit, "it did not end in time")
        if not result.exists():
            last = (ended.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            return Hunt(mutant.bug, mutant.harness, mutant.what, "", 0, 0.0, f"exit code {ended.returncode}: {last}")
        return Hunt(**json.loads(result.read_text()))


def run(budget: Budget, folder: Path) -> Tally:
    """Every one once, while there is time, beginning anywhere."""
    del folder  # each hunt has its own
    tally = Tally("mutants")
    for mutant in budget.spread(MUTANTS):
        try:
            if not mutant.missing():
                _note(apart(mutant, budget.seed), tally)
        except ImportError as error:
            tally.bad.append(f"{mutant.bug} could not be hunted: {error}")
    tally.seconds = time.monotonic() - budget.began
    return tally


def _note(hunted: Hunt, tally: Tally) -> None:
    if hunted.by:
        tally.delivered["mutants killed"] += 1
    else:
        why = hunted.trouble or hunted.what
        tally.bad.append(f"{hunted.bug} survived {hunted.faults} faults of {hunted.harness}: {why}")


def main(words: Sequence[str]) -> int:
    """`python -m programme mutants`"""
    parser = argparse.ArgumentParser(prog="python -m programme mutants", description="Hunt planted mistakes.")
    parser.add_argument("--only", default="", help="bugs or harnesses, with commas")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--hunt", help=argparse.SUPPRESS)
    parser.add_argument("--result", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    if given.hunt:
        return _hunt_here(given.hunt, seed, Path(given.result))
    only = set(filter(None, given.only.split(",")))
    return _hunt_all([one for one in MUTANTS if not only or {one.bug, one.harness} & only], seed)


def _hunt_here(bug: str, seed: int, result: Path) -> int:
    (mutant,) = (one for one in MUTANTS if one.bug == bug)
    with tempfile.TemporaryDirectory(prefix="waycairn-hunt-") as folder:
        hunted = hunt(mutant, Budget(seconds=mutant.seconds, seed=seed, most=mutant.most), Path(folder))
    result.write_text(json.dumps(asdict(hunted)))
    return 0


def _hunt_all(mutants: Sequence[Mutant], seed: int) -> int:
    print(f"seed {seed}, {len(mutants)} mutants", flush=True)
    skipped = {mutant.bug: reason for mutant in mutants if (reason := mutant.missing())}
    for bug, reason in skipped.items():
        print(f"{bug}: skipped: {reason}", flush=True)
    hunted = []
    with ThreadPoolExecutor(2) as pool:
        for one in pool.map(lambda mutant: apart(mutant, seed), [one for one in mutants if one.bug not in skipped]):
            hunted.append(one)
            end = f"found by {one.harness} after {one.faults:,} faults: {one.by[:150]}" if one.by else "SURVIVED"
            print(f"{one.bug} ({one.seconds:.0f} s): {end} {one.trouble}".rstrip(), flush=True)
    survivors = [one.bug for one in hunted if not one.by]
    facts = {
        "seed": seed,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "mutants": [asdict(one) for one in hunted],
        "skipped": skipped,
        "survivors": survivors,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{len(hunted) - len(survivors)} of {len(hunted)} killed; everything is in {RESULTS}")
    return 1 if survivors or not hunted else 0
