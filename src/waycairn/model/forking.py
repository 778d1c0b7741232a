"""A fork: a new run that begins at a cut of another one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from waycairn.model.ids import OperationId, RunId
from waycairn.model.records import NewRun

_NOT_IN_NAMES = re.compile(r"[^\w.=+-]+")
_LONGEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFork:
    """What is to be made."""

    source: RunId
    sequence: int
    """Of the checkpoint of the source that it begins at."""
    run: NewRun
    operation: OperationId
    path_of: Callable[[str], str]
    """Where the fork has an output file of the source."""
    replaces: tuple[RunId, int] | None = None
    """A run that was given up, and its epoch, which lets go of the name."""


def mark_of(name: str, key: str | None) -> str:
    """What stands in the names of output files of a fork: its name and key, as far as a file name holds them."""
    words = name if key is None else f"{name}-{key}"
    return _NOT_IN_NAMES.sub("-", words).strip("-.")[:_LONGEST] or "fork"


def beside(path: str, mark: str) -> str:
    """The file of a fork, beside that of its source: `out/replies.jsonl` becomes `out/replies.MARK.jsonl`."""
    whole = PurePath(path)
    return os.fspath(whole.with_name(f"{whole.stem}.{mark}{whole.suffix}"))


def unmarked(path: str, mark: str) -> str:
    """Back from `beside`."""
    whole = PurePath(path)
    return os.fspath(whole.with_name(whole.stem.removesuffix(f".{mark}") + whole.suffix))
