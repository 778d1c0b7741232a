"""PostgreSQL through psycopg 3: one writer connection a process, readers from a small pool, lost replies settled.

Transactions here are tiny, so one writer shared by group commit flushes less often than a connection a thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import TextLoader
from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from waycairn.catalog.database import Session, Sessions
from waycairn.catalog.failures import SAFE, from_postgres
from waycairn.catalog.forks import drop_in_children, refuse_after_fork
from waycairn.catalog.group import GroupCommit, Unit
from waycairn.catalog.phrases import meant
from waycairn.catalog.postgres_words import first_line, is_lost, is_silence, without_password
from waycairn.catalog.riding import write_with_rider
from waycairn.catalog.statement import Statement, Texts
from waycairn.catalog.tables import iterations
from waycairn.errors import CommitUnknown, StoreError, StoreUnreachable
from waycairn.model.policy import Durability
from waycairn.ports import Vault
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import translated

T = TypeVar("T")
# Beside its table it would make SQLAlchemy load all that it knows of PostgreSQL (30 ms) in every process.
Index("ix_iterations_metrics", meant(iterations).c.metrics, postgresql_using="gin").ddl_if(dialect="postgresql")
_DIALECT: Any = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_TEXTS = Texts("postgresql+psycopg://", lambda: _DIALECT)
_MOST_IDLE = 8
_ATTEMPTS = 3
"""Runs of one transaction: its connection was lost before COMMIT, or the server chose it to end a deadlock."""
_PAUSE = 0.05
_RUN_AGAIN = {"40001", "40P01"}
_SETTINGS = (
    "SET application_name = 'waycairn'",
    "SET lock_timeout = '10s'",
    # A process that is stopped inside a transaction must not hold its locks for ever; those who wait must outlast it.
    "SET idle_in_transaction_session_timeout = '7s'",
)


SOFT = (
    Statement("begin", "A transaction outside of the group.", text("BEGIN")),
    Statement("softly", "It is not waited for until it is flushed.", text("SET LOCAL synchronous_commit = off")),
    Statement("impatiently", "Nor does it wait for others.", text("SET LOCAL lock_timeout = '500ms'")),
)
COMMIT = Statement("commit", "The end of such a transaction.", text("COMMIT"))


class _Bounded(psycopg.Connection[Any]):
    """A connection that gives up on a silent server. Keepalives do not fire behind a proxy that acknowledges the
    bytes (measured), so the application has to watch the time itself."""

    deadline = 30.0

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        return super().wait(_bounded(gen, self.deadline), *args, **kwargs)


def _bounded(gen: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """The same generator, ended by an error once nothing was ready for that long."""
    end = time.monotonic() + seconds
    try:
        state = next(gen)
        while True:
            ready = yield state
            now = time.monotonic()
            if ready:
                end = now + seconds
            elif now > end:
                raise psycopg.OperationalError(f"no answer for {seconds:g} s")
            state = gen.send(ready)
    except StopIteration as finished:
        result: T = finished.value
        return result


class _UndoneError(Exception):
    """The transaction is certainly rolled back, for a reason outside of it: it can be run again."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class PostgresDatabase:
    """Implements `Database` on a PostgreSQL server (12 or newer)."""

    def __init__(self, url: str, durability: Durability, deadline: float) -> None:
        self._url = url
        self.name = without_password(url)
        self.address = _TEXTS.address
        self._deadline = deadline
        self._sessions = Sessions(_TEXTS)
        synchronous = "on" if durability == "power" else "off"
        self._settings = (*_SETTINGS, f"SET synchronous_commit = {synchronous}")
        self._group = GroupCommit(self._apply)
        self._writer: _Bounded | None = None
        self._readers: list[_Bounded] = []
        self._lent: set[_Bounded] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._is_forked = False
        drop_in_children(self)

    # -- Database ---------------------------------------------------------------------------------------------

    def read(self, work: Callable[[Session], T]) -> T:
        """A connection that turns out to be lost is replaced once: reading again changes nothing."""
        try:
            try:
                return self._read(work)
            except psycopg.Error as error:
                if not is_silence(error) and not (error.sqlstate or "").startswith(("08", "57")):
                    raise
                self._drop_idle()
                return self._read(work)
        except psycopg.Error as error:
            raise self._translated(error) from error

    def write(self, work: Callable[[Session], T]) -> T:
        self._check()
        try:
            with translated("the catalog", self.name):
                return write_with_rider(self._group.submit, work)
        except psycopg.Error as error:
            raise self._translated(error) from error

    @property
    def is_sealed(self) -> bool:
        return self._sessions.is_sealed

    def seal(self, vault: Vault, hold: Callable[[Session], None]) -> None:
        self._sessions.seal(vault, hold)

    def write_softly(self, work: Callable[[Session], T]) -> T:
        """On a connection for reading: the writer's next transaction may be one that has to be flushed."""

        def transaction(session: Session) -> T:
            for statement in SOFT:
                session.run(statement)
            result = work(session)
            session.run(COMMIT)
            return result

        try:
            return self._read(transaction)  # one that did not come to its end is not given back, but closed
        except psycopg.Error as error:
            raise self._translated(error) from error

    @contextmanager
    def migration(self) -> Iterator[Any]:
        self._check()
        connection = self.connect()
        try:
            yield connection
        except psycopg.Error as error:
            raise self._translated(error) from error
        finally:
            connection.close()

    def copy_aside(self, label: str) -> str:  # noqa: ARG002 - the contract of `Database`
        """Nothing: a server is backed up by its own tools, and the migration is one transaction."""
        return "no copy was made here: the server's own backups are the way back"

    def is_awaited(self) -> bool:
        """Rows are waited for there, by the few that need the same ones."""
        return False

    def settle_log(self) -> bool:
        """The server writes its log by itself, and VACUUM, which it runs by itself too, removes what was deleted."""
        return True

    def write_back(self) -> None:
        """Nothing: the server does that by itself."""

    def shrink(self, spare: float, rewrite: bool) -> int:  # noqa: ARG002 - the contract of `Database`
        """Nothing: that is the business of VACUUM there."""
        return 0

    def close(self) -> None:
        with self._lock:
            if self._is_closed or self._is_forked:
                return
            self._is_closed = True
            writer, self._writer = self._writer, None
        self._drop_idle()
        if writer is not None:
            writer.close()

    def rest(self) -> None:
        """Nothing: a child lets go of sockets without harm."""

    def abandon(self) -> list[Any]:
        """The child's copies of the sockets are let go without a word: else the sessions of a parent that dies live on
        with them, and so do the locks of its last transaction."""
        self._is_forked = True
        writer = [self._writer] if self._writer else []
        opened = [*writer, *self._readers, *self._lent]
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for connection in opened:
            with suppress(psycopg.Error):
                os.dup2(nothing, connection.fileno(), inheritable=False)  # the number stays taken
        os.close(nothing)
        return [*opened, self]

    # -- connections ------------------------------------------------------------------------------------------

    def connect(self) -> _Bounded:
        """A fresh connection in autocommit mode, with our settings. Raises StoreUnreachable."""
        given: dict[str, Any] = conninfo_to_dict(self._url)
        given.setdefault("connect_timeout", max(2, round(self._deadline)))
        try:
            connection = _Bounded.connect(**given, autocommit=True)
        except psycopg.OperationalError as error:
            raise StoreUnreachable(
                f"the database {self.name} cannot be reached ({first_line(error)}). Nothing was changed. Check the "
                "address, the server and the network, then run the job again.",
                address=self.name,
            ) from error
        connection.deadline = self._deadline
        # JSONB arrives as text: our own decoder knows what we wrapped (see `columns`).
        connection.adapters.register_loader("jsonb", TextLoader)
        try:
            connection.execute("; ".join(self._settings))
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self, work: Callable[[Session], T]) -> T:
        self._check()
        with self._lock:
            connection = self._readers.pop() if self._readers else None
        if connection is None:
            connection = self.connect()
        self._lent.add(connection)
        try:
            return work(self._sessions.new(connection.cursor()))
        finally:
            self._lent.discard(connection)
            self._give_back(connection)

    def _give_back(self, connection: _Bounded) -> None:
        idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if idle and not self._is_closed and len(self._readers) < _MOST_IDLE:
                self._readers.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._readers = self._readers, []
        for connection in idle:
            connection.close()

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _translated(self, error: psycopg.Error) -> Exception:
        return from_postgres(None if is_silence(error) else error.sqlstate or "no state", error, self.name)

    def _check(self) -> None:
        if self._is_forked:
            refuse_after_fork()
        if self._is_closed:
            raise StoreError(f"the catalog at {self.name} was closed. Nothing was changed. Open the store again.")

    # -- writing ----------------------------------------------------------------------------------------------

    def _apply(self, units: Sequence[Unit[Any]]) -> None:
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                self._transact(units)
                break
            except _UndoneError as undone:
                if not attempts_left:
                    raise undone.error from None
                # Else we may take the lock again before who waits for it has woken up, and meet in the same deadlock.
                time.sleep(_PAUSE)
        crashpoint("catalog.committed")

    def _transact(self, units: Sequence[Unit[Any]]) -> None:
        """Begin, run all units, commit. Raises _UndoneError where running it again may help."""
        if self._writer is None:
            self._writer = self.connect()
        connection = self._writer
        try:
            # The number of the transaction settles later whether it was committed; asked for in the same message.
            begun = connection.execute("BEGIN; SELECT txid_current()", prepare=False)
            begun.nextset()
            row = begun.fetchone()
            assert row is not None
            self._run(connection, units)
            crashpoint("catalog.commit")
        except BaseException as error:
            self._roll_back(connection)
            if isinstance(error, psycopg.Error) and (is_lost(connection, error) or error.sqlstate in _RUN_AGAIN):
                raise _UndoneError(error) from error
            raise
        if self._commit(connection, row[0]):
            for unit in units:
                unit.is_done = True

    def _run(self, connection: _Bounded, units: Sequence[Unit[Any]]) -> None:
        session = self._sessions.new(connection.cursor())
        self._sessions.hold_keys(session)
        if len(units) == 1:
            units[0].result = units[0].work(session)
            return
        for unit in units:
            connection.execute("SAVEPOINT unit", prepare=False)
            unit.attempt(session)
            error = unit.error
            if error is not None:
                if isinstance(error, psycopg.Error) and (is_lost(connection, error) or error.sqlstate in _RUN_AGAIN):
                    raise error
                connection.execute("ROLLBACK TO unit", prepare=False)
            connection.execute("RELEASE unit", prepare=False)

    def _roll_back(self, connection: _Bounded) -> None:
        """Leave nothing open: a connection that cannot be rolled back is dropped, and the server does it."""
        try:
            if not connection.closed:
                connection.execute("ROLLBACK", prepare=False)
        except psycopg.Error:
            connection.close()
        if connection.closed:
            self._drop_writer()

    def _commit(self, connection: _Bounded, transaction: int) -> bool:
        """COMMIT, and settle it if the answer is lost. True: it is there. Raises _UndoneError if it is not."""
        pid = connection.info.backend_pid
        try:
            # Never prepared: in the simple protocol COMMIT is one message and one answer.
            answer = connection.execute("COMMIT", prepare=False).statusmessage
        except BaseException as error:
            if isinstance(error, psycopg.Error) and not is_lost(connection, error):
                # The server answered: it refused, and rolled back.
                if error.sqlstate in _RUN_AGAIN:
                    raise _UndoneError(error) from error
                raise
            self._drop_writer()
            if not self._settle(transaction, pid, error):
                raise _UndoneError(error) from error
            if not isinstance(error, psycopg.Error):
                raise
            return True
        if answer != "COMMIT":
            raise StoreError(f"the database {self.name} answered {answer} to COMMIT. Nothing was changed.")
        return True

    def _settle(self, transaction: int, pid: int, cause: BaseException) -> bool:
        """Whether a transaction whose COMMIT was not answered is there, asked on new connections.

        The server may still be running it, or wait for a COMMIT that will never come: then its session is ended,
        and the outcome is certain.
        """
        end = time.monotonic() + self._deadline
        while True:
            try:
                status = self._ask(transaction, pid)
            except (psycopg.Error, StoreUnreachable):
                status = None
            if status in ("committed", "aborted"):
                return status == "committed"
            if time.monotonic() > end:
                raise CommitUnknown(
                    f"the connection to {self.name} broke during COMMIT ({first_line(cause)}), and for "
                    f"{self._deadline:g} s nobody could say whether it was done. {SAFE.replace('is not', 'may be')} "
                    "Run the job again: it finds out and goes on from what is there.",
                    address=self.name,
                ) from cause
            time.sleep(0.05)

    def _ask(self, transaction: int, pid: int) -> str | None:
        with self.connect() as connection:
            row = connection.execute("SELECT txid_status(%s)", (transaction,)).fetchone()
            if row is not None and row[0] == "in progress":
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_xid::text = %s",
                    (pid, str(transaction % 2**32)),
                )
            return None if row is None else row[0]


def server_settings(url: str) -> dict[str, str]:
    """Whether the server flushes what it commits, and can repair a page that was torn. Raises StoreUnreachable."""
    database = PostgresDatabase(url, "power", 30.0)
    names = ("fsync", "full_page_writes")
    with database.connect() as connection:
        answers = [connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in names]
    return {name: str(answer[0]) for name, answer in zip(names, answers, strict=True) if answer is not None}
