"""Who runs what a map hands out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from waycairn.model.tasks import Outcome, Task


class Job(Protocol):
    """What an executor runs for each task. Picklable if its function is. None of its methods raises."""

    is_async: bool

    def perform(self, number: int, value: Any) -> Outcome: ...

    async def perform_async(self, number: int, value: Any) -> Outcome: ...

    def failed(self, number: int, error: BaseException) -> Outcome:
        """The outcome of a call that ended with this error."""
        ...


class Executor(Protocol):
    """Runs a job for many tasks, away from the thread that asks. One map uses it, from one thread."""

    workers: int
    """How many run at once."""
    is_local: bool
    """Whether they run in this process, so that results and errors are handed over as they are."""

    def start(self, job: Job, post: Callable[[Sequence[Outcome], float], None], flights: Flights) -> None:
        """Begin. `post` is called from any thread with what became of tasks and the seconds that took; before a task
        runs, its digest stands in the slot of its worker (`flights.begin`)."""
        ...

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand out tasks: one worker does them, in their order. Returns at once. Once an outcome asked to wait (`after`),
        what was handed out and has not begun waits too."""
        ...

    def tend(self, now: float) -> None:
        """Called several times a second: whatever runs out of time is ended here."""
        ...

    def close(self) -> None:
        """Stop. Nothing is posted after this; what still runs is given up."""
        ...


class Flights(Protocol):
    """Which items run right now, kept outside this process so that its death leaves their names behind."""

    path: str

    def begin(self, slot: int, digest: bytes) -> None: ...

    def end(self, slot: int) -> None: ...
