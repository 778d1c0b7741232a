"""Whole runs: read as they are at one moment, removed if they are still what was read, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from waycairn.model.ids import RunId
from waycairn.model.records import RunRecord

T = TypeVar("T")
MovedRow = tuple[str, Mapping[str, Any]]
"""A table, and a row by column as it is in neither database: opened where it was sealed, JSON decoded. What hangs on a run
names it by its id (`run`), since small numbers are of one store. Who held a run is not in it."""
Puts = Callable[[], Iterable[MovedRow]]
"""Gives the rows from the beginning each time it is called."""


class RunReader(Protocol):
    """One moment of a catalog, for as long as the work on it takes."""

    def rows_of(self, root: RunId) -> Iterator[MovedRow]:
        """Of a root run, the runs below it and all that hangs on them: the runs first, those above before those below, then
        table by table in the order of its key. A bounded number at a time. Nothing if there is no such run."""
        ...


class MovingRows(Protocol):
    def weigh_run(self, root: RunId) -> Mapping[str, int]:
        """Rows by table, of a run and those below it, and `bytes` of all their states before anything was saved on them."""
        ...

    def read_runs(self, work: Callable[[RunReader], T]) -> T:
        """Run `work` on what is committed now; what is committed meanwhile it does not see. It is run once at most, as it may
        leave something behind: StoreUnreachable where the connection was lost in its midst."""
        ...

    def remove_runs(
        self, roots: Sequence[RunId], check: Callable[[RunId, Iterator[MovedRow]], None]
    ) -> Sequence[RunId]:
        """Remove those of these root runs that are there, with everything below them, in one transaction in which `check`
        has looked at the rows of each: what it raises leaves all as it was. Which they were. No commit, takeover or change
        of a checkpoint comes between the look and the removal."""
        ...

    def put_run(self, rows: Puts, epoch: int, replaces: Sequence[RunRecord] = ()) -> None:
        """Add a root run and all that hangs on it, in one transaction, durably; nobody holds it. `replaces` are removed in the
        same one. A rule that was promoted is, again, if nothing as good stands in this store.

        `epoch`: the sweep epoch under which the chunks that the rows need were there. Raises SweptMeanwhile if it is another
        one by now; WouldOverwrite if there is a run of that id, or of that name and key, that `replaces` does not hold as it
        is now; SchemaChanged for rows that have no place here. Then nothing was changed."""
        ...
