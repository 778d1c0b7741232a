"""What was asked of a crash test."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from waycairn.crashtest.points import named

Backend = Literal["hooks", "timer", "syscalls", "power"]
"""How the moments are found: at crash points, by the clock, at system calls, or as lost writes of a power cut."""
Mode = Literal["kill", "worker", "term", "int", "takeover", "double"]
"""What happens there: SIGKILL of the whole process group; SIGKILL of the one worker that is there; SIGTERM; SIGINT;
the process is stopped, another one takes over and the first one wakes up; a second SIGKILL while it recovers."""

BACKENDS: tuple[Backend, ...] = get_args(Backend)
MODES: tuple[Mode, ...] = get_args(Mode)
_MODES_OF: dict[Backend, tuple[Mode, ...]] = {
    "hooks": MODES,
    "timer": ("kill", "term", "int", "double"),
    "syscalls": ("kill", "double"),
    "power": ("kill",),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """ValueError for what makes no sense."""

    command: Sequence[str]
    directory: Path = field(default_factory=Path.cwd)
    """Where the job runs; each trial runs in a copy of it."""
    points: int = 40
    every: bool = False
    """All points instead of so many."""
    at: Sequence[str] = ()
    """These points only, as a report names them: `cut.committed@3`, `31.4%`."""
    seed: int = 0
    time_budget: float | None = None
    """Seconds after which no further trial begins."""
    backend: Backend = "hooks"
    modes: Sequence[Mode] = ("kill",)
    skip: Sequence[str] = ()
    """Patterns of files and directories that are not copied."""
    ignore: Sequence[str] = ()
    """`PATTERN` or `PATTERN:FIELD`: what may differ. A field is a dotted path in JSON, a column in CSV, a table or
    `table.column` in SQLite, an array in npz and safetensors; `*` stands for anything."""
    normalize: Sequence[str] = ()
    """`PATTERN:REGEX=>TEXT`: replaced in the text of matching files before they are compared."""
    unordered: Sequence[str] = ()
    """Patterns of files whose lines may come in any order."""
    sql: Sequence[str] = ()
    """`DATABASE:SELECT ...`: a SQLite file and a query whose rows, sorted, must be equal."""
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Trials at once."""
    timeout: float = 600.0
    """Seconds one run of the command may take."""
    grace: float = 30.0
    """Seconds in which it must leave after SIGTERM or SIGINT."""
    attempts: int = 3
    """Times it is started again before it counts as stuck."""
    exit_code: int = 0
    """With which the job ends when all is well."""

    def __post_init__(self) -> None:
        if not self.command:
            raise ValueError("which command? For example: waycairn crashtest -- python job.py")
        if self.points < 1 or self.jobs < 1 or self.attempts < 1:
            raise ValueError("points, jobs and attempts are at least 1")
        self._check_modes()
        for point in self.at:
            named(point)
        for rule in self.normalize:
            split_rule(rule)
        for query in self.sql:
            if not query.partition(":")[2].strip():
                raise ValueError(f"--sql {query!r}: write DATABASE:SELECT ...")

    def _check_modes(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"back end {self.backend!r} is none of {', '.join(BACKENDS)}")
        if not self.modes:
            raise ValueError(f"at least one mode of {', '.join(MODES)}")
        for mode in self.modes:
            if mode not in MODES:
                raise ValueError(f"mode {mode!r} is none of {', '.join(MODES)}")
            if mode not in _MODES_OF[self.backend]:
                raise ValueError(f"mode {mode!r} needs another back end than {self.backend}")


def split_rule(rule: str) -> tuple[str, re.Pattern[str], str]:
    """Pattern of files, what is replaced, and by what. ValueError."""
    pattern, _, rest = rule.partition(":")
    regex, arrow, text = rest.partition("=>")
    if not pattern or not regex or not arrow:
        raise ValueError(f"--normalize {rule!r}: write PATTERN:REGEX=>TEXT")
    try:
        return pattern, re.compile(regex), text
    except re.error as error:
        raise ValueError(f"--normalize {rule!r}: {error}") from None


def split_field(ignored: str) -> tuple[str, str | None]:
    """Pattern of files and field in them; None is the whole file."""
    pattern, _, name = ignored.partition(":")
    return pattern, name or None
