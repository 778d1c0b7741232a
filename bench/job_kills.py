"""SIGKILL at random moments of a job of 2,000 steps, again and again: what is lost, what is done twice, how soon it goes on.

    python bench/job_kills.py [--steps 2000] [--kills 10] [--seed 0] [--only dbos,ours.step] [--dir DIR]

Each contender does the job some rounds without a kill, in turns, and once with all of them, in processes of its own. A
step sleeps a millisecond; that its body ran is noted outside of the contender, in a file that is appended to. `bare` is
the loop without anything, killed never; `by_hand` shows what the bench finds. All flush to the medium before a step
counts as done, but ours.each, which does so at its pace (1 % of the time). One line of JSON for each:

    lost             steps that are not in the result
    result_is_right  each step went into it once, in order
    redone           bodies that ran more than once, all kills together; `redone_most` of one kill
    redone_finished  of them those after which another had begun: the rest was open when the kill came
    lines_*          of the growing output, where there is one: twice, missing, torn
    resume_s         from the start of the process to the first body that had never run, median
    over_bare        time of the job without a kill, all of its process, over that of the bare loop
    over_undisturbed the same of the job with the kills, over that without
"""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from contenders.jobs import JOBS, LINES, START, line
from measuring import arguments, median, report, scratch, skip

WORK = 0.001
"""Seconds of a body."""
POLL = 0.0005


def link(number: int, chain: str) -> str:
    length, _, _ = chain.partition("-")
    return f"{int(length) + 1}-{hashlib.sha256(f'{number} {chain}'.encode()).hexdigest()[:16]}"


def child(name: str, place: Path, steps: int) -> None:
    """The process that is killed."""
    bodies = os.open(place / "bodies", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def body(number: int, chain: str) -> str:
        os.write(bodies, f"{number} {time.monotonic()}\n".encode())
        time.sleep(WORK)
        return link(number, chain)

    (place / "result").write_text(JOBS[name](place, steps, body))


def expected(steps: int) -> tuple[str, list[str]]:
    chain, lines = START, []
    for number in range(steps):
        chain = link(number, chain)
        lines.append(line(number, chain))
    return chain, lines


class Attempt:
    """One process of the job."""

    def __init__(self, name: str, place: Path, steps: int) -> None:
        self.bodies = place / "bodies"
        self.before = self.bodies.stat().st_size if self.bodies.exists() else 0
        self.began = time.monotonic()
        command = [sys.executable, __file__, "--child", name, str(place), str(steps)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def wait_for(self, number: int) -> bool:
        """Until that body has begun; False if the process ended before."""
        while self.process.poll() is None:
            if self.bodies.exists() and self._newest() >= number:
                return True
            time.sleep(POLL)
        return False

    def _newest(self) -> int:
        with self.bodies.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64))
            lines = file.read().split(b"\n")
        return int(lines[-2].split()[0]) if len(lines) > 1 else -1

    def kill(self) -> bool:
        """Whether it was killed: it may be done already."""
        self.process.kill()
        return self._end() == -9

    def finish(self) -> float:
        code = self._end()
        assert code == 0, f"the job ended with {code}"
        return time.monotonic() - self.began

    def _end(self) -> int:
        _, said = self.process.communicate()
        if self.process.returncode not in (0, -9):
            sys.stderr.write(said.decode())
        return self.process.returncode

    def ran(self) -> list[tuple[int, float]]:
        """The bodies that began in this process: number and moment."""
        with self.bodies.open("rb") as file:
            file.seek(self.before)
            pairs = [row.split() for row in file.read().decode().splitlines()]
        return [(int(number), float(moment)) for number, moment in pairs]


class Contender:
    def __init__(self, name: str, steps: int, kills: int) -> None:
        self.name, self.steps, self.kills = name, steps, kills
        self.whole: list[float] = []
        """Seconds without a kill: the process, until its first step, and of a step."""
        self.first: list[float] = []
        self.step: list[float] = []

    def run_undisturbed(self) -> None:
        place = scratch(f"job-{self.name}")
        attempt = Attempt(self.name, place, self.steps)
        self.whole.append(attempt.finish())
        ran = attempt.ran()
        self.first.append(ran[0][1] - attempt.began)
        self.step.append((ran[-1][1] - ran[0][1]) / (self.steps - 1))
        assert (place / "result").read_text() == expected(self.steps)[0], f"{self.name}: wrong without any kill"

    def figures(self, bare: "Contender") -> dict[str, float]:
        whole, step, floor = median(self.whole), median(self.step), median(bare.step)
        return {
            "undisturbed_s": round(whole, 2),
            "first_step_s": round(median(self.first), 2),
            "over_bare": round(whole / median(bare.whole), 2),
            "us_a_step_over_bare": round(1e6 * (step - floor), 1),
        }

    def killed(self, chance: random.Random) -> dict[str, Any]:
        place = scratch(f"job-{self.name}")
        attempts: list[Attempt] = []
        for number in sorted(chance.sample(range(1, self.steps - 20), self.kills)):
            attempts.append(Attempt(self.name, place, self.steps))
            assert attempts[-1].wait_for(number), f"{self.name} was done before body {number} began"
            time.sleep(chance.random() * 2 * median(self.step))
            assert attempts[-1].kill(), f"{self.name} was done before it was killed"
        attempts.append(Attempt(self.name, place, self.steps))
        attempts[-1].finish()
        total = time.monotonic() - attempts[0].began
        return {
            "kills": len(attempts) - 1,
            **self._result(place),
            **self._redone(attempts),
            **self._lines(place),
            "killed_s": round(total, 2),
            "over_undisturbed": round(total / median(self.whole), 2),
        }

    def _result(self, place: Path) -> dict[str, Any]:
        result = (place / "result").read_text()
        return {
            "lost": self.steps - int(result.partition("-")[0]),
            "result_is_right": result == expected(self.steps)[0],
        }

    def _redone(self, attempts: list[Attempt]) -> dict[str, Any]:
        """By what each process did again of what those before it had begun."""
        known: set[int] = set()
        newest_open: int | None = None
        redone, finished, resumes = [], 0, []
        for number, attempt in enumerate(attempts):
            ran, end = attempt.ran(), attempts[number + 1].before if number + 1 < len(attempts) else None
            ran = ran if end is None else ran[: self._count(attempt, end)]
            again = [step for step, _ in ran if step in known]
            new = [moment for step, moment in ran if step not in known]
            if number:
                redone.append(len(again))
                finished += sum(step != newest_open for step in again)
                resumes += [new[0] - attempt.began] if new else []
            known |= {step for step, _ in ran}
            newest_open = ran[-1][0] if ran else newest_open
        return {
            "redone": sum(redone),
            "redone_most": max(redone),
            "redone_finished": finished,
            "resume_s": round(median(resumes), 3),
            "resume_max_s": round(max(resumes), 3),
        }

    def _count(self, attempt: Attempt, end: int) -> int:
        with attempt.bodies.open("rb") as file:
            file.seek(attempt.before)
            return file.read(end - attempt.before).count(b"\n")

    def _lines(self, place: Path) -> dict[str, int]:
        if not (place / LINES).exists():
            return {}
        _, wanted = expected(self.steps)
        found = Counter((place / LINES).read_text().splitlines(keepends=True))
        return {
            "lines_twice": sum(found[one] - 1 for one in wanted if found[one] > 1),
            "lines_missing": sum(one not in found for one in wanted),
            "lines_torn": sum(found[one] for one in found if one not in set(wanted)),
        }


def is_there(name: str) -> bool:
    library = name.partition("_")[0]
    if library not in ("dbos", "langgraph"):
        return True
    try:
        __import__(library if library == "dbos" else "langgraph.checkpoint.sqlite")
    except ImportError:
        skip(f"job_kills/{name}", f"{library} is not installed")
        return False
    return True


def main() -> None:
    options = arguments()
    steps, kills = (400, 4) if options.quick else (options.steps, options.kills or 10)
    wanted = ["bare", *options.only.split(",")] if options.only else list(JOBS)
    contenders = [Contender(name, steps, kills) for name in wanted if is_there(name)]
    for _ in range(1 if options.quick else options.rounds):
        for contender in contenders:
            contender.run_undisturbed()
    bare = contenders[0]
    for contender in contenders:
        killed = {} if contender is bare else contender.killed(random.Random(options.seed))
        report("job_kills", contender=contender.name, steps=steps, **killed, **contender.figures(bare))


if __name__ == "__main__":
    if "--child" in sys.argv[1:2]:
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
