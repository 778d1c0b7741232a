"""A sink that is a database: the rows of a batch and its offsets are one transaction of it.

A sink is opened for one stream, and then gives one transaction after the other: `begin`, what its user writes,
`commit(step)`. What `commit` returned from is committed exactly once; what raised is not, and the next `open` or the
standing that the ledger has says where to go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from waycairn.streams.barrier import barrier
from waycairn.streams.insert_many import Inserts
from waycairn.streams.ledger_connection import LedgerConnection
from waycairn.streams.records import Holder, Standing, Step
from waycairn.streams.writer import Writer
from waycairn.world.crashpoints import crashpoint


class EngineSink:
    """A SQLAlchemy engine for SQLite or PostgreSQL. Its settings, pool and isolation are left as they are.

    Belongs to one thread at a time. It keeps one connection of the pool from `open` to `close`.
    """

    def __init__(self, engine: Engine, **options: Any) -> None:
        self._ledger = LedgerConnection(engine, **options)
        self._inserts = Inserts()

    def open(
        self, name: str, holder: Holder, *, parser: str = "", facts: Mapping[str, Any] | None = None, now: float = 0.0
    ) -> Standing:
        """Make the holder the one who moves the stream, and say where it stands. Raises OwnershipLost, StoreTooNew,
        and errors of the store; nothing was changed then."""
        return self._ledger.open(name, holder, parser=parser, facts=facts or {}, now=now)

    def begin(self) -> EngineTransaction:
        """Begin the transaction of a batch. Raises OwnershipLost where somebody else moves the stream by now."""
        self._ledger.begin()
        return EngineTransaction(self._ledger, self._inserts)

    def barrier(self) -> None:
        """What was committed survives a power cut when this returns, whatever the settings of the database: before
        anything relies on it that cannot be read again, such as the deletion of a file that was consumed."""
        barrier(self._ledger)

    def close(self) -> None:
        """Undo what is open. Idempotent."""
        self._ledger.close()


class EngineTransaction:
    """One batch. Ends with `commit` or `rollback`, once."""

    __slots__ = ("_ledger", "user")

    def __init__(self, ledger: LedgerConnection, inserts: Inserts) -> None:
        self._ledger = ledger
        self.user = Writer(ledger.connection, inserts, ledger.guard)
        """What the user of the batch gets."""

    def commit(self, step: Step) -> None:
        """Commit what was written together with the step."""
        with self._ledger:
            crashpoint("stream.rows")
            self._ledger.settle(step)

    def rollback(self) -> None:
        """Nothing of the batch was there."""
        self._ledger.rollback()
