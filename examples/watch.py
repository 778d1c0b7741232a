"""What a person sees of the job: a bar for each phase on a terminal, a plain line for each otherwise."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Piece = TypeVar("Piece")


class Watch:
    """Counts pieces as the loop asks for them: those that are skipped, because they are done, pass in no time."""

    def __init__(self, trace: Path | None) -> None:
        self._console = Console()
        self._bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if trace else None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
        if self._trace is not None:
            os.close(self._trace)

    def over(self, phase: str, pieces: Sequence[Piece]) -> Over[Piece]:
        """The pieces, in their order, shown as they are asked for."""
        return Over(self, phase, pieces)

    def walk(self, phase: str, pieces: Sequence[Piece]) -> Iterator[Piece]:
        started = time.monotonic()
        bar = self._bars.add_task(phase, total=len(pieces))
        for number, piece in enumerate(pieces):
            self._note(phase, number)
            yield piece
            self._bars.advance(bar)
        if not self._console.is_terminal:
            print(f"{phase:<9} {len(pieces)} of {len(pieces)}, {time.monotonic() - started:.1f} s", flush=True)

    def _note(self, phase: str, number: int) -> None:
        """One line for each piece that is asked for: `time phase number`. The demo reads from it what a kill cost."""
        if self._trace is not None:
            os.write(self._trace, f"{time.time():.4f} {phase} {number}\n".encode())


class Over(Generic[Piece]):
    """An input that knows its length, so that the run knows its total."""

    def __init__(self, watch: Watch, phase: str, pieces: Sequence[Piece]) -> None:
        self._watch, self._phase, self._pieces = watch, phase, pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[Piece]:
        return self._watch.walk(self._phase, self._pieces)
