"""The reliability programme from the command line.

    make torture MINUTES=60 [SEED=7]                        all harnesses; build/torture.json
    PYTHONPATH=src:tests python -m programme --only kills --seconds 30 --seed 5
    PYTHONPATH=src:tests python -m programme case "fold cut.begin@2:KILL *@5:KILL"
    PYTHONPATH=src:tests python -m programme mutants        build/mutants.json
    PYTHONPATH=src:tests python -m programme record         both into docs/explanation/reliability.md

The exit code is 1 if anything was bad, or if a harness delivered nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from programme.registry import HARNESSES, find
from programme.tally import Budget, Tally
from programme.torture import RESULTS, torture


def main(arguments: Sequence[str]) -> int:
    words = list(arguments)
    acts = {"one": _one, "case": _case, "mutants": _mutants, "record": _record}
    if words and words[0] in acts:
        return acts[words[0]](words[1:])
    return _torture(words)


def _torture(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m programme", description="Run harnesses for a long time.")
    parser.add_argument("--minutes", type=float, default=60.0, help="of all of them together, two at once")
    parser.add_argument("--seconds", type=float, help="instead of minutes")
    parser.add_argument("--seed", type=int, default=None, help="the same seed tries the same faults in the same order")
    parser.add_argument("--only", default="", help="names, with commas")
    given = parser.parse_args(words)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    minutes = given.minutes if given.seconds is None else given.seconds / 60
    entries = [find(name) for name in given.only.split(",")] if given.only else HARNESSES
    print(f"seed {seed}, {minutes:g} minutes, {len(entries)} harnesses", flush=True)
    report = torture(entries, minutes, seed)
    report.write()
    _show(list(report.tallies.values()), report.skipped)
    print(f"{len(report.bad)} bad; everything is in {RESULTS}")
    return 1 if report.bad or not report.tallies else 0


def _show(tallies: Sequence[Tally], skipped: dict[str, str]) -> None:
    rows = [
        (tally.harness, f"{count:,}", kind, "", "")
        if at
        else (tally.harness, f"{count:,}", kind, str(len(tally.bad)), f"{tally.seconds:.0f}")
        for tally in tallies
        for at, (kind, count) in enumerate(sorted(tally.delivered.items()) or [("nothing delivered", 0)])
    ]
    rows += [(name, "", f"skipped: {reason}", "", "") for name, reason in skipped.items()]
    print(f"\n{'harness':<10}{'delivered':>12}  {'':<40}{'bad':>5}{'seconds':>9}")
    for name, count, kind, bad, seconds in rows:
        print(f"{name:<10}{count:>12}  {kind:<40}{bad:>5}{seconds:>9}")


def _one(words: Sequence[str]) -> int:
    """One harness in this process, its tally into a file."""
    name, seconds, seed, result = words
    tally = _try(name, Budget(seconds=float(seconds), seed=int(seed)))
    Path(result).write_text(json.dumps({"delivered": dict(tally.delivered), "bad": tally.bad}))
    return 0 if tally.passed else 1


def _try(name: str, budget: Budget) -> Tally:
    folder = Path(tempfile.mkdtemp(prefix=f"waycairn-{name}-"))
    try:
        return find(name).harness(budget, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _case(words: Sequence[str]) -> int:
    """One case of the kills, as a bad outcome names it."""
    from programme import kills

    with tempfile.TemporaryDirectory(prefix="waycairn-case-") as folder:
        tally = kills.run(Budget(seconds=600), Path(folder), only=" ".join(words))
    print("\n".join([str(tally), *tally.bad]))
    return 0 if tally.passed else 1


def _mutants(words: Sequence[str]) -> int:
    from programme import mutants

    return mutants.main(words)


def _record(_words: Sequence[str]) -> int:
    from programme import record

    return record.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
