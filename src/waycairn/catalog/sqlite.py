"""SQLite: one writer connection behind a fair queue, readers from a small pool, WAL, durability by `synchronous`."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from waycairn.catalog.database import Session, Sessions
from waycairn.catalog.failures import from_sqlite
from waycairn.catalog.forks import drop_in_children, inherits, refuse_after_fork, refuse_inherited
from waycairn.catalog.frozen import frozen_uri, has_no_room, is_frozen, refuse_to_write
from waycairn.catalog.group import GroupCommit, Unit
from waycairn.catalog.queue import FairQueue
from waycairn.catalog.riding import write_with_rider
from waycairn.catalog.sqlite_room import settle_log, shrink, write_back
from waycairn.catalog.statement import sqlite_texts
from waycairn.errors import StoreError, WriteFailed
from waycairn.model.policy import Durability
from waycairn.ports import Vault
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, make_directory, translated
from waycairn.world.forking import undivided

T = TypeVar("T")
OLDEST = (3, 35, 0)
"""RETURNING."""
BUSY_SECONDS = 10.0
"""For programs that write to the file outside the queue; ours never meet there."""
_PAUSE = 0.01
"""Seconds between two tries to make an empty file a database."""
SOFT_SECONDS = 0.5
"""For what is not worth waiting for."""
_AT_FIRST = "PRAGMA auto_vacuum = INCREMENTAL"
"""In a file that is still empty: pages that rows leave can be given back, a few at a time (see `sqlite_room`). Later it
changes nothing, but every connection would wait for whoever writes just then."""
_PRAGMAS = (
    # Only the first of all connections changes the file by this.
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8000",
    # A checkpoint of the WAL costs two flushes: every 1,000 pages. Rarer ones let the log grow, and a growing log costs each commit a journal commit of the file system.
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA journal_size_limit = 67108864",
    # What is deleted is overwritten. Many builds of SQLite have it on; it costs nothing that can be measured, since rows are replaced in pages that are written anyway.
    "PRAGMA secure_delete = ON",
)
_TEXTS = sqlite_texts()


def create_file(path: Path) -> None:
    """An empty file for the database, readable by its owner only. A kill in between leaves an empty file, which the
    next opening takes for a new store."""
    make_directory(path.parent)
    with translated("the catalog", path):
        try:
            # Never closed while a connection of this process is open on it (that would drop its locks): it is new.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return
    crashpoint("catalog.file")
    flush_directory(path.parent)
    crashpoint("catalog.file.done")


class SqliteDatabase:
    """Implements `Database` on one file of this host."""

    def __init__(self, path: Path, durability: Durability) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreError(
                f"this Python comes with SQLite {sqlite3.sqlite_version}, and waycairn needs "
                f"{'.'.join(map(str, OLDEST))} or newer. Nothing was changed. Use a newer Python, or PostgreSQL.",
            )
        self.path = path
        self.name = str(path)
        self.address = _TEXTS.address
        self._synchronous = "FULL" if durability == "power" else "NORMAL"
        self._is_frozen = is_frozen(path)
        self._lazy_queue: FairQueue | None = None
        self._group = GroupCommit(self._apply)
        self._writer: sqlite3.Connection | None = None
        self._session: Session
        self._sessions = Sessions(_TEXTS)
        self._readers: list[sqlite3.Connection] = []
        self._lent: set[sqlite3.Connection] = set()
        self._frozen_readers: set[sqlite3.Connection] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._is_forked = False
        self._rests = True
        """No connection was opened since the last fork for which all were closed."""
        self._broken: BaseException | None = None
        drop_in_children(self)

    # -- Database ---------------------------------------------------------------------------------------------

    def read(self, work: Callable[[Session], T]) -> T:
        try:
            with undivided:
                connection = self._borrow()
                try:
                    return work(self._sessions.new(connection.cursor()))
                finally:
                    self._give_back(connection)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._translated(error) from error

    def write(self, work: Callable[[Session], T]) -> T:
        self._check()
        if self._is_frozen:
            raise refuse_to_write(self.path)
        if self._broken is not None:
            raise WriteFailed(
                f"the device refused an earlier write to {self.path} ({self._broken}), so what this process would "
                "write on top of it cannot be trusted. Nothing was changed. Check the disk, then run the job again.",
                path=str(self.path),
            )
        try:
            return write_with_rider(self._group.submit, work)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._translated(error) from error
        except OSError:
            with translated("the catalog", self.path):
                raise
            raise  # never reached; a type checker cannot know that `translated` swallows nothing

    @property
    def is_sealed(self) -> bool:
        return self._sessions.is_sealed

    def seal(self, vault: Vault, hold: Callable[[Session], None]) -> None:
        self._sessions.seal(vault, hold)
        if self._writer is not None:
            self._session.close()
            self._session = self._sessions.new(self._writer.cursor())

    def write_softly(self, work: Callable[[Session], T]) -> T:
        """On a connection of its own, so that no commit of the job waits in line with it. It flushes all the same, once a
        minute: frames of the log that are not flushed would be lost by a flush of somebody else's that fails, whom SQLite
        does not always tell; and what is committed behind them would be lost with them."""
        self._check()
        if self._is_frozen or not self.path.exists():  # never made anew by this
            raise refuse_to_write(self.path)
        try:
            with undivided, closing(self.connect()) as connection:
                connection.execute(f"PRAGMA busy_timeout = {int(SOFT_SECONDS * 1000)}")
                connection.execute("BEGIN IMMEDIATE")
                # Closing takes back what was not committed.
                result = work(self._sessions.new(connection.cursor()))
                connection.execute("COMMIT")
                return result
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise from_sqlite(error, self.name) from error

    @contextmanager
    def migration(self) -> Iterator[sqlite3.Connection]:
        self._check()
        self._queue.acquire()
        try:
            with undivided, closing(self.connect()) as connection:
                # Alembic rebuilds tables that SQLite cannot alter; with the keys on, that would cascade.
                connection.execute("PRAGMA foreign_keys = OFF")
                yield connection
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._translated(error) from error
        finally:
            self._queue.release()

    def copy_aside(self, label: str) -> str:
        """By SQLite's backup, which copies a consistent state; never by reading the file (its locks would fall)."""
        target = self.path.with_name(f"{self.path.name}.{label}")
        unfinished = target.with_name(f"{target.name}.tmp")
        unfinished.unlink(missing_ok=True)
        try:
            with undivided, closing(self.connect()) as source, closing(sqlite3.connect(unfinished)) as copy:
                source.backup(copy)
        except sqlite3.Error as error:
            raise from_sqlite(error, str(unfinished)) from error
        crashpoint("catalog.copy")
        with unfinished.open("rb+") as file, translated("the copy of the catalog", unfinished):
            flush(file.fileno())
        unfinished.chmod(0o600)
        crashpoint("catalog.copy.rename")
        unfinished.replace(target)
        crashpoint("catalog.copy.directory")
        flush_directory(target.parent)
        crashpoint("catalog.copied")
        return f"the old store is kept at {target}"

    def is_awaited(self) -> bool:
        return self._group.is_awaited or self._queue.is_awaited

    def settle_log(self) -> bool:
        return self._aside(lambda: settle_log(self))

    def write_back(self) -> None:
        self._aside(lambda: write_back(self))

    def shrink(self, spare: float, rewrite: bool) -> int:
        return self._aside(lambda: shrink(self, spare, rewrite))

    def _aside(self, work: Callable[[], T]) -> T:
        """What is done with the files, on a connection of its own."""
        self._check()
        if self._is_frozen:
            raise refuse_to_write(self.path)
        try:
            with undivided, translated("the catalog", self.path):
                return work()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def close(self) -> None:
        with self._lock:
            if self._is_closed or self._is_forked:
                return
            self._is_closed = True
        with undivided:
            self._close_connections()
        if self._lazy_queue is not None:
            self._lazy_queue.close()

    def _close_connections(self) -> None:
        """Those that nobody uses; they are opened again when they are needed."""
        with self._lock:
            readers, self._readers = self._readers, []
            writer, self._writer = self._writer, None
        if writer is not None:
            self._session.close()
        for connection in (*readers, *([writer] if writer else [])):
            connection.close()

    def rest(self) -> None:
        self._close_connections()
        self._rests = True

    def abandon(self) -> list[Any]:
        self._is_forked = True
        if not self._rests:
            inherits(self.path)
        if self._lazy_queue is not None:
            self._lazy_queue.abandon()
        writer = [self._writer] if self._writer else []
        return [*writer, *self._readers, *self._lent, self]

    # -- connections ------------------------------------------------------------------------------------------

    def connect(self, *, frozen: bool = False) -> sqlite3.Connection:
        """A fresh connection in autocommit mode, with our pragmas; a frozen one changes nothing, not even beside the
        file."""
        frozen = frozen or self._is_frozen
        refuse_inherited(self.path)
        self._rests = False
        is_new = not frozen and self.path.exists() and not self.path.stat().st_size
        ends = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._connected(frozen=frozen, is_new=is_new)
            except sqlite3.OperationalError as error:
                # Of several who make an empty file a database SQLite sends some away at once, lest they wait for each other.
                is_busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
                if not (is_new and is_busy) or time.monotonic() > ends:
                    raise
                time.sleep(_PAUSE)

    def _connected(self, *, frozen: bool, is_new: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            frozen_uri(self.path) if frozen else self.path,
            uri=frozen,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            if is_new:
                connection.execute(_AT_FIRST)
            for pragma in () if frozen else (*_PRAGMAS, f"PRAGMA synchronous = {self._synchronous}"):
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def _queue(self) -> FairQueue:
        """Opened by the first who writes: two writers of one process are in line already (see `group`)."""
        if self._lazy_queue is None:
            self._lazy_queue = FairQueue(self.queue_path)
        return self._lazy_queue

    @property
    def queue_path(self) -> Path:
        """Where writers line up."""
        return self.path.with_name(self.path.name + ".queue")

    def _borrow(self) -> sqlite3.Connection:
        """An idle reader, or a new one: there are as many as threads read at the same time."""
        self._check()
        with self._lock:
            connection = self._readers.pop() if self._readers else None
        if connection is None:
            connection = self._reader()
        self._lent.add(connection)
        return connection

    def _reader(self) -> sqlite3.Connection:
        try:
            connection = self.connect()
        except sqlite3.OperationalError as error:
            if not (has_no_room(error) and self.path.is_file()):
                raise
            connection = self.connect(frozen=True)
            self._frozen_readers.add(connection)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._lent.discard(connection)
        with self._lock:
            # Somebody who may write to a frozen one can begin to: how it is opened is decided for each read.
            if not (self._is_closed or self._is_frozen or connection in self._frozen_readers):
                self._readers.append(connection)
                return
            self._frozen_readers.discard(connection)
        connection.close()

    def _check(self) -> None:
        if self._is_forked:
            refuse_after_fork()
        if self._is_closed:
            raise StoreError(f"the catalog at {self.path} was closed. Nothing was changed. Open the store again.")

    # -- writing ----------------------------------------------------------------------------------------------

    def _apply(self, units: Sequence[Unit[Any]]) -> None:
        """One transaction for all units: wait for our turn, begin, run them, commit, let the next process in."""
        self._queue.acquire()
        try:
            with undivided:
                if self._writer is None:
                    self._writer = self.connect()
                    self._session = self._sessions.new(self._writer.cursor())
                self._transact(self._writer, self._session, units)
        finally:
            self._queue.release()
        crashpoint("catalog.committed")

    def _transact(self, connection: sqlite3.Connection, session: Session, units: Sequence[Unit[Any]]) -> None:
        committing = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._sessions.hold_keys(session)
            if len(units) == 1:
                units[0].result = units[0].work(session)
            else:
                for unit in units:
                    self._attempt(connection, session, unit)
            crashpoint("catalog.commit")
            committing = True
            connection.execute("COMMIT")
        except sqlite3.Error:
            # On a full disk SQLite takes the transaction back by itself: ended, but not there.
            committing = False
            raise
        finally:
            # Not in a transaction any more after COMMIT: it is there, whatever interrupts this thread now.
            if not connection.in_transaction:
                for unit in units:
                    unit.is_done = committing
            else:
                connection.rollback()

    def _attempt(self, connection: sqlite3.Connection, session: Session, unit: Unit[Any]) -> None:
        """One of several units, so that its failure takes back its own changes only."""
        connection.execute("SAVEPOINT unit")
        unit.attempt(session)
        if unit.error is not None:
            if not connection.in_transaction:
                # A full disk or an I/O error ends the whole transaction: nobody's work stands.
                raise unit.error
            connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")

    def _translated(self, error: sqlite3.Error | UnicodeDecodeError) -> Exception:
        ours = from_sqlite(error, self.name)
        if isinstance(ours, WriteFailed):
            self._broken = error
        return ours
