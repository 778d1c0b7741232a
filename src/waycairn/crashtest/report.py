"""What a crash test found, for people and programs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from waycairn.crashtest.difference import Difference, Kind, hint
from waycairn.crashtest.settings import Settings
from waycairn.crashtest.trial import Trial

Verdict = Literal["survived", "broken", "not deterministic", "nothing delivered", "no golden run"]
"""`survived`: every trial that was delivered ended as an undisturbed run does."""


@dataclass(frozen=True)
class Fault:
    """Something that came out wrong, at one or many points."""

    difference: Difference
    """As it was found first."""
    points: Sequence[str]
    hint: str
    again: str
    """The command that shows it."""
    kept: Path | None


@dataclass
class Report:
    settings: Settings
    covers: str
    """What was tried, in a sentence."""
    golden_seconds: float = 0.0
    hits: int = 0
    """Points passed by an undisturbed run."""
    names: int = 0
    """Different ones."""
    files: int = 0
    stores: int = 0
    trials: list[Trial] = field(default_factory=list)
    left_out: int = 0
    """Trials that the time budget did not reach."""
    problem: str = ""
    """Why there was no trial."""
    doubt: list[Difference] = field(default_factory=list)
    """What differs between two undisturbed runs."""
    seconds: float = 0.0

    @property
    def delivered(self) -> int:
        return sum(trial.delivered for trial in self.trials)

    @property
    def bad(self) -> list[Trial]:
        return [trial for trial in self.trials if not trial.passed]

    @property
    def verdict(self) -> Verdict:
        if self.problem:
            return "no golden run"
        if self.doubt:
            return "not deterministic"
        if self.bad:
            return "broken"
        return "survived" if self.delivered else "nothing delivered"

    @property
    def passed(self) -> bool:
        return self.verdict == "survived"

    def check(self) -> None:
        """AssertionError, with what a person needs to know, unless the job survived everything."""
        if not self.passed:
            raise AssertionError("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """The verdict with its reasons."""
        if self.problem:
            return [f"no crash test: {self.problem}"]
        if self.doubt:
            told = [f"  {difference}" for difference in self.doubt]
            return ["two undisturbed runs differ, so nothing could be told from a crash:", *told, *self.ways_out()]
        lines = [f"{self.verdict}: {self.delivered} delivered, {len(self.bad)} of {len(self.trials)} trials bad"]
        for fault in self.faults():
            lines += [str(fault.difference), f"  at: {', '.join(fault.points)}"]
            lines += [f"  why: {fault.hint}", f"  again: {fault.again}"]
        return lines

    def faults(self) -> list[Fault]:
        """What came out wrong, each thing once however often it did; what tells most first."""
        found: dict[tuple[str, str], list[Trial]] = {}
        first: dict[tuple[str, str], Difference] = {}
        for trial in self.bad:
            for one in trial.differences:
                key = (re.sub(r"\d+", "0", one.where), one.kind)
                first.setdefault(key, one)
                if trial not in found.setdefault(key, []):
                    found[key].append(trial)
        causes = get_args(Kind)
        return [
            Fault(
                first[key],
                [str(trial.point) for trial in trials],
                hint(first[key].kind),
                self.again(trials[0]),
                next((trial.place for trial in trials if trial.place), None),
            )
            for key, trials in sorted(found.items(), key=lambda item: (causes.index(item[0][1]), -len(item[1])))
        ]

    def ways_out(self) -> list[str]:
        """Options under which the job would be the same each time."""
        names = list(dict.fromkeys(one.where.partition(", table ")[0] for one in self.doubt))
        options = [f"--ignore {shlex.quote('store' if name.startswith('store ') else name)}" for name in names]
        return [
            "make the job do the same each time (a seed, a sorted listing), or say what may differ:",
            f"  {' '.join(options)}",
            "  --ignore FILE:FIELD leaves out a field, --unordered FILE the order of lines, --normalize FILE:REGEX=>TEXT a part of each line",
        ]

    def again(self, trial: Trial) -> str:
        """The command that does this one trial."""
        given = self.settings
        words = ["waycairn", "crashtest", "--point", str(trial.point), "--mode", trial.mode]
        if given.backend != "hooks":
            words += ["--backend", given.backend]
        for option in ("skip", "ignore", "normalize", "unordered", "sql"):
            for value in getattr(given, option):
                words += [f"--{option}", value]
        return shlex.join([*words, "--", *given.command])

    def facts(self) -> dict[str, Any]:
        """One JSON document."""
        resumed = sorted(trial.resumed_in for trial in self.trials if trial.attempts)
        return {
            "verdict": self.verdict,
            "command": list(self.settings.command),
            "backend": self.settings.backend,
            "covers": self.covers,
            "seed": self.settings.seed,
            "problem": self.problem or None,
            "differs_without_a_crash": [_difference_facts(one) for one in self.doubt],
            "golden": {
                "seconds": round(self.golden_seconds, 3),
                "points_passed": self.hits,
                "names": self.names,
                "files": self.files,
                "stores": self.stores,
            },
            "trials": len(self.trials),
            "delivered": self.delivered,
            "bad": len(self.bad),
            "left_out": self.left_out,
            "redone": _spread([trial.redone for trial in self.trials if trial.delivered]),
            "resume_seconds": _spread(resumed),
            "extra_seconds": _spread(self._extra()),
            "seconds": round(self.seconds, 3),
            "points": [self._trial_facts(trial) for trial in self.trials],
        }

    def _extra(self) -> list[float]:
        """Seconds that a kill cost: all starts together, without an undisturbed run."""
        return [
            max(0.0, trial.seconds - self.golden_seconds) for trial in self.trials if trial.delivered and trial.attempts
        ]

    def _trial_facts(self, trial: Trial) -> dict[str, Any]:
        return {
            "point": str(trial.point),
            "mode": trial.mode,
            "progress": round(trial.point.progress, 4),
            "delivered": trial.delivered,
            "note": trial.note or None,
            "passed": trial.passed,
            "differences": [_difference_facts(one) for one in trial.differences],
            "starts": trial.attempts + 1,
            "redone": trial.redone,
            "killed_after": round(trial.killed_after, 3),
            "resumed_in": round(trial.resumed_in, 3),
            "seconds": round(trial.seconds, 3),
            "kept": str(trial.place) if trial.place else None,
            "again": self.again(trial),
        }


def _difference_facts(one: Difference) -> dict[str, str]:
    return {"where": one.where, "what": one.what, "kind": one.kind}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {"median": round(ordered[len(ordered) // 2], 4), "max": round(ordered[-1], 4)}
