"""One connection to the database of a ledger, kept for the life of a sink, and the transactions of one stream on it.

Kept, because taking one from SQLAlchemy's pool costs as much as the ledger's own statements; replaced when it is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, event, exc, text

from waycairn.errors import CommitUnknown, StoreError, StoreUnreachable
from waycairn.streams import ledger
from waycairn.streams.failures import kind_of, told
from waycairn.streams.records import Holder, Standing, Step
from waycairn.world.crashpoints import crashpoint

_DATABASES = {"sqlite", "postgresql"}


class LedgerConnection:
    """Belongs to one thread at a time."""

    def __init__(
        self, engine: Engine, *, deadline: float = 10.0, pause: Callable[[float], object] = time.sleep
    ) -> None:
        if engine.dialect.name not in _DATABASES:
            raise ValueError(
                f"a stream cannot be kept in {engine.dialect.name}: its ledger needs SQLite or PostgreSQL. Give an "
                "engine of one of these, or a function as sink."
            )
        self.engine = engine
        self._deadline = deadline
        self._pause = pause
        self._connection: Connection | None = None
        self._is_guarded = self._may_commit = False
        self.name = ""
        self._holder = Holder("", 0)

    @property
    def connection(self) -> Connection:
        """The one that is open; its COMMIT is ours alone."""
        assert self._connection is not None
        return self._connection

    def open(
        self,
        name: str,
        holder: Holder,
        *,
        parser: str,
        facts: Mapping[str, Any],
        now: float,
        claimed: Callable[[Standing], Standing] = lambda standing: standing,
    ) -> Standing:
        """Create the tables if they are missing, and make the holder the one who moves the stream. `claimed` is called
        inside of that transaction. See `ledger.claim`."""
        self.name, self._holder = name, holder
        with self._translated():
            with self.transaction() as connection:
                if connection.get_isolation_level() == "AUTOCOMMIT":
                    raise _without_transactions()
                ledger.prepare(connection)
            with self.transaction() as connection:
                standing = ledger.claim(connection, name, holder, parser=parser, facts=facts, now=now)
                if not self._is_in_transaction():  # sqlite3 with isolation_level=None says nothing of it elsewhere
                    raise _without_transactions()
                return claimed(standing)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A small one of our own, committed at its end, undone by an exception."""
        connection = self._connected()
        connection.begin()
        try:
            yield connection
            self._commit()
        except BaseException:
            self.rollback()
            raise

    # -- batches ----------------------------------------------------------------------------------------------------

    def begin(self) -> Connection:
        """Begin the transaction of a batch: from here on nobody else moves the stream. Raises OwnershipLost, and
        StoreUnreachable if the database is away: nothing was done then, and it can be tried again."""
        crashpoint("stream.begin")
        is_fresh = self._connection is None
        try:
            return self._begin()
        except StoreUnreachable:
            if is_fresh:
                raise
            # The server may have ended a connection that was quiet for long.
            return self._begin()

    def _begin(self) -> Connection:
        try:
            connection = self._connected()
            connection.begin()
            ledger.fence(connection, self.name, self._holder)
        except exc.SQLAlchemyError as error:
            self.rollback()
            raise told(error, self.engine) from error
        except BaseException:
            self.rollback()
            raise
        return connection

    def probe(self) -> None:
        """As `begin`, and leave nothing locked."""
        self.begin()
        self.rollback()

    def __enter__(self) -> None:
        """Around what ends the transaction of a batch: an exception undoes it."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.rollback()

    def settle(self, step: Step) -> None:
        """Move the ledger on, and commit all of the batch. See `commit` for what it means if this raises."""
        self.advance(step)
        crashpoint("stream.offsets")
        self.commit(step.operation)

    def advance(self, step: Step) -> None:
        """Move the ledger on, within the transaction of the batch."""
        if not self._is_in_transaction():
            raise RuntimeError(
                f"the transaction of a batch of {self.name!r} was ended by other hands than the stream's (a COMMIT or "
                "ROLLBACK among its statements). If it was a COMMIT, rows of this batch are there without their "
                "offsets and will come again. Leave both to the batch."
            )
        ledger.advance(self.connection, self.name, self._holder, step)

    def commit(self, operation: str) -> None:
        """COMMIT. When it returns, the batch is committed. When it raises an error of the store, it is not; only
        CommitUnknown says that nobody knows, and that opening the stream again will tell."""
        crashpoint("stream.commit")
        try:
            self._commit()
        except (exc.SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error) as error:
            failure = told(error, self.engine)
            self.rollback()
            if not self._happened(operation, failure):
                raise failure from error
        crashpoint("stream.committed")

    def rollback(self) -> None:
        """Undo whatever is not committed. Raises nothing: a connection that cannot do it is given up, and the database
        does it."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.rollback()
            if not connection.invalidated:
                connection.connection.rollback()  # SQLAlchemy forgets a transaction whose COMMIT was refused
        except (exc.SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error):
            self._drop()
        else:
            if connection.invalidated:
                self._drop()

    def close(self) -> None:
        """Undo what is open, and give the connection back. Idempotent."""
        self.rollback()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # -- connections ------------------------------------------------------------------------------------------------

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self.engine.connect()
            self._is_guarded = False
        return self._connection

    def guard(self) -> None:
        """From now on nobody else's COMMIT goes through the connection. Only where its user works with it: with a
        listener SQLAlchemy looks for events at every statement."""
        if not self._is_guarded:
            event.listen(self.connection, "commit", self._refuse_commit)
            self._is_guarded = True

    def _refuse_commit(self, _: Connection) -> None:
        if not self._may_commit:
            raise RuntimeError(
                "a batch commits its rows together with its offsets, when its `with` block ends. Nothing was "
                "committed now. Leave out the commit()."
            )

    def _drop(self) -> None:
        """Give up the connection: nobody gets it from the pool again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(exc.SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error):
                connection.invalidate()
            connection.close()

    def _commit(self) -> None:
        self._may_commit = True
        try:
            self.connection.commit()
        finally:
            self._may_commit = False

    def _is_in_transaction(self) -> bool:
        """As far as the driver tells: what it was told in plain text SQLAlchemy does not know."""
        connection = self.connection
        if not connection.in_transaction():
            return False
        driver = connection.connection.driver_connection
        if self.engine.dialect.name == "sqlite":
            return bool(getattr(driver, "in_transaction", True))
        status = getattr(getattr(driver, "info", None), "transaction_status", None)
        return status is None or int(status) != 0

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            failure = told(error, self.engine)
            raise failure from error

    # -- the lost reply ---------------------------------------------------------------------------------------------

    def _happened(self, operation: str, failure: StoreError) -> bool:
        """Whether a COMMIT is there whose reply was an error or no reply. It is asked, never guessed."""
        end = time.monotonic() + self._deadline
        wait = 0.05
        while True:
            try:
                with self._translated():
                    return self._ask(operation)
            except StoreError as error:
                if kind_of(error) not in {"away", "busy"}:
                    raise failure from error
                if time.monotonic() + wait > end:
                    raise self._unknown(failure) from error
            self._pause(wait)
            wait *= 2

    def _ask(self, operation: str) -> bool:
        """Reads only: a COMMIT, even of nothing, could be refused for the same reason."""
        connection = self._connected()
        connection.begin()
        try:
            if self.engine.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            return ledger.happened(connection, self.name, self._holder, operation)
        finally:
            self.rollback()

    def _unknown(self, failure: StoreError) -> CommitUnknown:
        return CommitUnknown(
            f"the reply to a COMMIT of the stream {self.name!r} was lost, and for {self._deadline:g} s nobody could say "
            f"whether it was done ({failure}). Rows and offsets are both there or both not: run the job again, it goes "
            "on from what is there.",
            stream=self.name,
        )


def _without_transactions() -> ValueError:
    return ValueError(
        "this engine commits every statement by itself (AUTOCOMMIT), so rows and offsets cannot be committed together. "
        "No event was read. Give the stream an engine with transactions."
    )
