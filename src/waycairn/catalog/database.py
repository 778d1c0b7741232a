"""What the rows need of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, TypeVar

from waycairn.catalog.sql import MetaData
from waycairn.catalog.statement import Statement, Texts
from waycairn.ports import Vault

T = TypeVar("T")
Row = tuple[Any, ...]
Values = Mapping[str, Any]
_NOTHING: Values = {}
_SOME = 256
"""Rows that are brought at once where they are read one after the other."""


class Cursor(Protocol):
    """What sqlite3 and psycopg cursors have in common."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, query: Any, params: Any = ..., /) -> Any: ...

    def executemany(self, query: Any, params: Any, /) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def fetchmany(self, size: int, /) -> list[Any]: ...

    def close(self) -> None: ...


class Session:
    """Statements run one after the other on one connection. Belongs to one thread at a time."""

    __slots__ = ("_cursor", "_texts")
    is_sealed = False

    def __init__(self, cursor: Cursor, texts: Texts) -> None:
        self._cursor = cursor
        self._texts = texts

    def _run(self, statement: Statement, values: Values) -> Cursor:
        compiled = self._texts[statement]
        self._cursor.execute(compiled.text, compiled.bind(values))
        return self._cursor

    @property
    def address(self) -> str:
        """What SQLAlchemy calls this kind of database."""
        return self._texts.address

    @property
    def connection(self) -> object:
        """The driver's: the same one for as long as it is open."""
        return getattr(self._cursor, "connection", None)

    def sealed(self, vault: Vault) -> Session:
        """The same transaction, as one of an encrypted store."""
        from waycairn.catalog.sealed_session import SealedSession, Seals

        return SealedSession(self._cursor, Seals(vault, self._texts.sealed()))

    def define(self, *all_of_them: MetaData) -> None:
        """Create tables."""
        for text in self._texts.definitions(*all_of_them):
            self._cursor.execute(text)

    def one(self, statement: Statement, values: Values = _NOTHING) -> Row | None:
        """The first row, None if there is none. The statement selects at most one, so nothing stays open."""
        cursor = self._run(statement, values)
        row: Row | None = cursor.fetchone()
        return row

    def all(self, statement: Statement, values: Values = _NOTHING) -> list[Row]:
        return self._run(statement, values).fetchall()

    def each(self, statement: Statement, values: Values = _NOTHING, at_once: int = _SOME) -> Iterator[Row]:
        """One row after the other, in bounded memory. No other statement may run before the last one."""
        cursor = self._run(statement, values)
        while some := cursor.fetchmany(at_once):
            yield from some

    def change(self, statement: Statement, values: Values) -> int:
        """Run a statement that changes rows and returns none; how many it changed."""
        return self._run(statement, values).rowcount

    def close(self) -> None:
        """Let go of the last statement: SQLite keeps a file open for as long as one of them is there."""
        self._cursor.close()

    def run(self, statement: Statement) -> None:
        """A statement of which nothing is asked."""
        self._run(statement, _NOTHING)

    def many(self, statement: Statement, rows: Iterable[Values]) -> None:
        """The same statement for each row."""
        compiled = self._texts[statement]
        self._cursor.executemany(compiled.text, list(map(compiled.bind, rows)))


class Sessions:
    """Makes the sessions of one database: plain ones, until it is given a vault."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self.is_sealed = False
        self.hold_keys: Callable[[Session], None] = lambda _: None
        """Called in each transaction that writes, before anything else: the keys stay what they are until it ends."""
        self.new: Callable[[Cursor], Session] = partial(Session, texts=texts)

    def seal(self, vault: Vault, hold: Callable[[Session], None]) -> None:
        from waycairn.catalog.sealed_session import SealedSession, Seals

        self.is_sealed = True
        self.hold_keys = hold
        self.new = partial(SealedSession, seals=Seals(vault, self._texts.sealed()))


class Database(Protocol):
    """Connections, transactions and errors of one kind of database. Thread-safe."""

    @property
    def name(self) -> str:
        """The path or address, without a password, for messages."""
        ...

    def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` on a connection for reading. It may see a later state from one statement to the next."""
        ...

    @property
    def is_sealed(self) -> bool:
        """Whether sessions seal what they are given and open what they find."""
        ...

    def seal(self, vault: Vault, hold: Callable[[Session], None]) -> None:
        """From now on they do. Called before anything else uses the database. `hold` is called within each transaction that
        writes: it sees to it that the vault has the keys of this moment, and that they stay."""
        ...

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction and commit it durably; all of it or nothing. `work` may share the transaction
        with other threads' work and may be run again from its start: it must change nothing but rows."""
        ...

    def write_softly(self, work: Callable[[Session], T]) -> T:
        """The same for what is not worth waiting for: a transaction of its own outside of the queue, committed without a
        flush, so that a power cut may take it (never other commits). Raises StoreError, and nothing was changed, if
        somebody else writes for longer than half a second."""
        ...

    @property
    def address(self) -> str:
        """What SQLAlchemy calls this kind of database."""
        ...

    def migration(self) -> AbstractContextManager[Any]:
        """A driver's connection of its own in autocommit mode, with other writers of this library kept out where
        the database allows that."""
        ...

    def copy_aside(self, label: str) -> str:
        """Keep a copy of everything as it is now, durably; says where it lies, for the log."""
        ...

    def is_awaited(self) -> bool:
        """Whether others wait to write, or did since the last transaction of this process began. True where that cannot be
        known; False where transactions do not wait for each other."""
        ...

    def settle_log(self) -> bool:
        """See `ports.RoomRows`."""
        ...

    def write_back(self) -> None:
        """See `ports.RoomRows`."""
        ...

    def shrink(self, spare: float, rewrite: bool) -> int:
        """See `ports.RoomRows`."""
        ...

    def close(self) -> None:
        """Close every connection. Idempotent."""
        ...


def in_batches(values: Sequence[T], sizes: Sequence[int]) -> Iterable[Sequence[T]]:
    """Split into batches of the given sizes (ascending), so that few different statements serve any number.

    The last batch repeats its last value up to the size.
    """
    largest = sizes[-1]
    for start in range(0, len(values), largest):
        batch = values[start : start + largest]
        size = next(size for size in sizes if size >= len(batch))
        yield [*batch, *[batch[-1]] * (size - len(batch))]
