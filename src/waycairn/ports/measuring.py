"""What acts are measured with, and who is told of what was committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from waycairn.model.ids import CheckpointId
from waycairn.model.measures import Measured
from waycairn.model.records import Commit

T = TypeVar("T")


class Meter(Protocol):
    """Told how long acts took and what came of them. Thread-safe, also in a signal handler; never raises, never waits,
    costs below 1 µs. Names are those of `model.measures`. What it was told may be lost if the process dies."""

    def timed(self, act: str, call: Callable[..., T], *given: Any, **facts: Any) -> T:
        """Make the call (with `given`) and note how long it took, or that it failed. What it returns or raises goes on
        unchanged. `facts` describe it to whoever traces it."""
        ...

    def record(self, name: str, value: float) -> None:
        """One measurement: seconds or bytes."""
        ...

    def count(self, name: str) -> None:
        """It happened once more."""
        ...

    def flush(self) -> None:
        """Write down what was told until now, unless the catalog cannot be written to."""
        ...

    def close(self) -> None:
        """Write down what is left. Idempotent."""
        ...


class MeasureRows(Protocol):
    """What was measured. Not worth waiting for: written without a flush, and lost in a power cut."""

    def put_measured(self, rows: Sequence[Measured]) -> None:
        """Each row replaces the one of its hour, name and writer. Does not stand in the queue of writers: raises
        StoreError if somebody else writes for longer than half a second; nothing was changed then."""
        ...

    def measured(self, since: int = 0, until: int | None = None) -> Sequence[Measured]:
        """Rows of these hours (the last one included), by hour and name; hour 0 is always among them if `since` is 0."""
        ...

    def condense_measured(self, before: int, keep_from: int) -> int:
        """Put the rows of each hour before `before` together to one a name, and what is older than `keep_from` to one in
        hour 0. Nothing that was counted is lost. How many rows fewer there are. A process that writes to such an hour
        afterwards is counted twice."""
        ...


class Listener(Protocol):
    """Told of commits, right after them, on the thread that committed. Never raises."""

    def committed(self, commit: Commit, checkpoint: CheckpointId | None) -> None: ...

    def drain(self) -> None:
        """Wait until everybody was told who asked for it."""
        ...
