"""Whole tables, for a copy of a store into another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
CopiedRow = Mapping[str, Any]
"""By column, as it is in neither database: opened where it was sealed, JSON decoded. `run_id` stands beside `run`."""


class TableReader(Protocol):
    """One moment of a catalog, for as long as the work on it takes."""

    def count(self, table: str) -> int: ...

    def rows(self, table: str) -> Iterator[Sequence[CopiedRow]]:
        """All of it, in the order of its key, a bounded number at a time."""
        ...


class CopyRows(Protocol):
    """What makes up a catalog, table by table."""

    def copied_tables(self) -> Sequence[str]:
        """All but those of which every store has its own (meta, keys) and those that follow from packs (packs, blocks, chunks),
        in an order in which they can be filled."""
        ...

    def at_one_moment(self, work: Callable[[TableReader], T]) -> T:
        """Run `work` on what is committed now; what is committed meanwhile it does not see."""
        ...

    def put_rows(self, table: str, rows: Sequence[CopiedRow]) -> None:
        """Add these, in one transaction, durably."""
        ...

    def clear_copied(self) -> None:
        """Empty the copied tables, in one transaction."""
        ...

    def add_chunks(self, data: Any, now: float) -> None:
        """NewData without a commit: rows of packs that are durable."""
        ...

    def note_copy(self, source: str, now: float) -> None:
        """Of which store this one is becoming a copy."""
        ...

    def copy_of(self) -> str | None:
        """The id that was noted."""
        ...

    def finish_copy(self) -> None:
        """From now on it is a store like any other: it can be opened. Durable when it returns."""
        ...
