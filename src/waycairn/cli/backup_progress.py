"""How far a backup, a delete or a restore is: bars on a terminal, else a line now and then, nothing with --json."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from waycairn.cli.output import Face, clean, no_color, without_passwords
from waycairn.model.backups import BackupProgress, BackupStage

if TYPE_CHECKING:
    from rich.progress import TaskID

Told = Callable[[BackupProgress], None]
_DRAWN_EVERY, _TOLD_EVERY = 0.1, 10.0
"""Seconds."""
_WORDS = {
    BackupStage.EXPORT: "exporting",
    BackupStage.VERIFY: "reading back",
    BackupStage.DELETE: "deleting",
    BackupStage.RESTORE: "restoring",
}


@contextmanager
def progress_shown(face: Face) -> Iterator[Told]:
    """What it yields may be called often, and by any thread."""
    try:
        with _shown(face) as told:
            yield told
    except KeyboardInterrupt as stop:
        for note in getattr(stop, "__notes__", ()):  # what is where: nobody else says it
            sys.stderr.write(f"{clean(without_passwords(note))}\n")
        raise


@contextmanager
def _shown(face: Face) -> Iterator[Told]:
    if face.as_json or face.quiet:
        yield lambda _: None
    elif not sys.stderr.isatty() or no_color():
        with _now_and_then(_line, first=_TOLD_EVERY, every=_TOLD_EVERY) as told:
            yield told
    else:
        with _bars() as draw, _now_and_then(draw, first=0.0, every=_DRAWN_EVERY) as told:
            yield told


@contextmanager
def _now_and_then(show: Told, first: float, every: float) -> Iterator[Told]:
    """A stage is shown when it ends, and while it goes on at these times, in seconds."""
    last: BackupProgress | None = None
    due = 0.0

    def told(progress: BackupProgress) -> None:
        nonlocal last, due
        now = time.monotonic()
        if last is None or last.stage is not progress.stage:
            if last is not None:
                show(last)
            due = now + first
        last = progress
        if now >= due:
            due = now + every
            show(progress)

    try:
        yield told
    finally:
        if last is not None:
            show(last)


def _line(progress: BackupProgress) -> None:
    sys.stderr.write(f"{_WORDS[progress.stage]}: {_far(progress)}\n")
    sys.stderr.flush()


def _far(progress: BackupProgress) -> str:
    from waycairn.upkeep.sizes import size_text

    parts = []
    if progress.records or progress.total_records:
        of = "" if progress.total_records is None else f" of {progress.total_records:,}"
        parts.append(f"{progress.records:,}{of}")
    if progress.size or progress.total_size:
        of = "" if progress.total_size is None else f" of {size_text(progress.total_size)}"
        parts.append(f"{size_text(progress.size)}{of}")
    return ", ".join(parts) or "begun"


@contextmanager
def _bars() -> Iterator[Told]:
    """One for each stage, which stay there when they are done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[far]}"),
    )
    tasks: dict[BackupStage, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as bars:

        def draw(progress: BackupProgress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(_WORDS[progress.stage], total=None, far="")
            done, total = _share(progress)
            bars.update(tasks[progress.stage], completed=done, total=total, far=_far(progress))

        yield draw


def _share(progress: BackupProgress) -> tuple[int, int | None]:
    """By bytes where their number is known: a large file is more than a small one."""
    if progress.total_records and progress.records >= progress.total_records:
        return 1, 1
    if progress.total_size:
        return min(progress.size, progress.total_size), progress.total_size
    if progress.total_records:
        return min(progress.records, progress.total_records), progress.total_records
    return 0, None
