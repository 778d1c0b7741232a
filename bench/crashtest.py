"""How long a crash test takes: the books example in its small setting, 40 kills, two trials at once.

    python bench/crashtest.py [--quick]

Beside it the floor: as many starts of the same job as the test makes, undisturbed, on as many processors.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measuring import arguments, report

from waycairn.crashtest import crashtest
from waycairn.crashtest.place import Places
from waycairn.crashtest.process import Running

BOOKS = Path(__file__).resolve().parent.parent / "examples" / "books.py"
JOBS = 2


def undisturbed(command: list[str], starts: int, below: Path) -> float:
    """Seconds for so many whole runs of the job, JOBS at once."""
    empty = below / "empty"
    empty.mkdir()
    places = Places(empty, below, ())

    def run(number: int, **environment: str) -> None:
        ended = Running(command, places.make(f"run-{number}"), **environment).end(600)
        assert ended.code == 0, ended

    run(starts, PYTHONDONTWRITEBYTECODE="")  # with what it compiled, as the crash test has it
    began = time.perf_counter()
    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(run, range(starts)))
    return time.perf_counter() - began


def main() -> None:
    points = 6 if arguments().quick else 40
    command = [sys.executable, str(BOOKS), "--most", "2", "--out", "report"]
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as below:
        tested = crashtest(command, directory=directory, points=points, jobs=JOBS)
        starts = 2 + len(tested.trials) + sum(trial.attempts for trial in tested.trials)
        floor = undisturbed(command, starts, Path(below))
    facts = tested.facts()
    report(
        "crashtest",
        verdict=tested.verdict,
        delivered=tested.delivered,
        seconds=round(tested.seconds, 1),
        starts=starts,
        undisturbed_starts_seconds=round(floor, 1),
        ratio=round(tested.seconds / floor, 2),
        golden_seconds=facts["golden"]["seconds"],
        redone=facts["redone"],
        resume_seconds=facts["resume_seconds"],
    )


if __name__ == "__main__":
    main()
