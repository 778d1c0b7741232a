"""What every benchmark needs: a scratch directory, timings, and JSON lines.

Figures of different runs do not compare on a shared machine: each benchmark measures ours, the floor and the peers
in turn within one run, and reports ratios.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def scratch(name: str) -> Path:
    """A fresh directory on the disk under test (--dir, by default bench/results/scratch)."""
    place = Path(arguments().dir) / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", default=str(Path(__file__).parent / "results" / "scratch"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a first look")
    parser.add_argument("--kills", type=int, help="how often each contender is killed")
    parser.add_argument("--mib", type=int, default=128, help="of a save, or of events")
    parser.add_argument("--steps", type=int, default=2000, help="of a job that is killed")
    parser.add_argument("--files", type=int, default=10_000, help="that are looked at")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--only", default="", help="contenders, by commas; all by default")
    return parser.parse_args()


def timings(call: Callable[[int], Any], count: int) -> dict[str, float]:
    """Call it count times; per second, and p50/p99 in microseconds."""
    taken = []
    for number in range(count):
        started = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - started)
    return summary(taken)


def summary(seconds: list[float]) -> dict[str, float]:
    """Of single calls: per second, and p50/p99 in microseconds."""
    taken = sorted(seconds)
    return {
        "n": len(taken),
        "per_s": round(len(taken) / sum(taken), 1),
        "p50_us": round(1e6 * taken[len(taken) // 2], 1),
        "p99_us": round(1e6 * taken[int(len(taken) * 0.99)], 1),
    }


def median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def report(bench: str, **figures: Any) -> None:
    print(json.dumps({"bench": bench, **figures}), flush=True)


def skip(bench: str, why: str) -> None:
    print(json.dumps({"bench": bench, "skipped": why}), file=sys.stdout, flush=True)
