"""The audit log: a chain of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from waycairn.model.audit import AuditEntry, AuditFilter, AuditRow
from waycairn.model.ids import RunId


class AuditRows(Protocol):
    """Appended, read, and cut off at the old end; nothing else ever changes a row."""

    def add_audit(self, entry: AuditEntry) -> AuditRow:
        """Append one row in a transaction of its own. Of several processes at once each gets the next number; the chain
        has neither gaps nor branches."""
        ...

    def riding(self, entry_of: Callable[[Any], AuditEntry | None]) -> AbstractContextManager[Rider]:
        """A transaction of this thread inside the block carries a row as well: both are there or neither. The entry is made
        of what the transaction gives; where that is None, the next one is asked. One row a block."""
        ...

    def audit_after(self, number: int) -> Iterator[AuditRow]:
        """Rows with higher numbers, in order, read lazily, a bounded number at a time."""
        ...

    def audit_before(self, number: int | None, which: AuditFilter = ...) -> Iterator[AuditRow]:
        """Rows with lower numbers, or all, that match, the newest first, read lazily."""
        ...

    def audit_of_run(self, run: RunId, limit: int) -> Sequence[AuditRow]:
        """What was done to a run or to checkpoints of it, the newest first, at most so many."""
        ...

    def newest_audit(self) -> tuple[int, bytes] | None:
        """Number and hash of the row that was appended last, as noted apart from the rows."""
        ...

    def cut_audit(self, through: int, entry_of: Callable[[AuditRow, int], AuditEntry]) -> int:
        """Remove the rows up to this number and append the row that says so (made of the last of them, and how many there
        were), in one transaction. Rows removed; 0, and nothing changed, if there are none."""
        ...


class Rider(Protocol):
    """A row on its way."""

    @property
    def is_there(self) -> bool:
        """Whether a transaction carried it."""
        ...
