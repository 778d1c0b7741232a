"""The database of a sink, as somebody opens it who only looks: nothing is created in it, and no stream is claimed."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, exc, inspect, make_url
from sqlalchemy.pool import NullPool

from waycairn.errors import StoreNotFound
from waycairn.streams.failures import told
from waycairn.streams.tables import streams
from waycairn.world.forking import undivided

_HIDDEN = "***"
_PATIENCE = 10
"""Seconds to wait for somebody who writes, or for a server."""
_DATABASES = ("sqlite", "postgresql")


@contextmanager
def looking(address: str) -> Iterator[Connection | None]:
    """Read only; None where no stream was ever kept there. Raises StoreNotFound, and errors of the store."""
    with _connected(address, writes=False) as connection:
        yield connection if _has_ledger(connection) else None


@contextmanager
def writing(address: str) -> Iterator[Connection]:
    """For transactions of the caller. Raises StoreNotFound, and errors of the store."""
    with _connected(address, writes=True) as connection:
        is_there = _has_ledger(connection)
        connection.rollback()  # SQLAlchemy began a transaction to look
        if not is_there:
            raise StoreNotFound(
                f"no stream was ever kept in {shown(address)}. Nothing was changed. Name the database of the sink: --sink",
                address=shown(address),
            )
        yield connection


def shown(address: str) -> str:
    """Without the password."""
    return make_url(address).render_as_string(hide_password=True) if "://" in address else address


def is_same(one: str, other: str) -> bool:
    """Whether two addresses mean one database, whichever driver and password they name."""
    return _bare(one) == _bare(other)


def _bare(address: str) -> URL:
    url = make_url(address)
    return url.set(drivername=url.get_backend_name())._replace(password=None)


def _has_ledger(connection: Connection) -> bool:
    return inspect(connection).has_table(streams.name)


@contextmanager
def _connected(address: str, *, writes: bool) -> Iterator[Connection]:
    engine = engine_of(address, writes=writes)
    try:
        with undivided, engine.connect() as connection:
            yield connection
    except exc.SQLAlchemyError as error:
        raise told(error, engine) from error
    finally:
        engine.dispose()


def engine_of(address: str, *, writes: bool) -> Engine:
    """ValueError for what is no address of a sink; StoreNotFound for a file that is not there."""
    try:
        url = make_url(address)
    except exc.ArgumentError:
        raise ValueError(f"{address!r} is no address of a database; give sqlite:///FILE or postgresql://…") from None
    backend = url.get_backend_name()
    if backend not in _DATABASES:
        raise ValueError(f"{backend}:// is no sink of a stream; sqlite:///FILE and postgresql://… are.")
    return _sqlite(url, writes=writes) if backend == "sqlite" else _postgres(url, writes=writes)


def _sqlite(url: URL, *, writes: bool) -> Engine:
    path = Path(url.database or "").absolute()
    if not path.is_file():
        raise StoreNotFound(
            f"there is no database at {path}. Nothing was created. Name the database of the sink with --sink, as the job "
            "names it.",
            path=str(path),
        )

    def connect() -> sqlite3.Connection:
        # rw, not ro: a database in WAL mode needs its index beside it, and a reader may have to make that.
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", timeout=_PATIENCE, uri=True)
        if not writes:
            connection.execute("PRAGMA query_only = ON")
        return connection

    return create_engine(url.set(drivername="sqlite"), creator=connect, poolclass=NullPool)


def _postgres(url: URL, *, writes: bool) -> Engine:
    """The driver is ours where it is there: the job's may be one for coroutines."""
    if importlib.util.find_spec("psycopg"):
        url = url.set(drivername="postgresql+psycopg")
    if (
        url.password == _HIDDEN
    ):  # as a store knows it; the client library may know better (PGPASSWORD, its password file)
        url = url._replace(password=None)
    options: dict[str, Any] = {"connect_args": {"connect_timeout": _PATIENCE}, "poolclass": NullPool}
    engine = create_engine(url, **options)
    return engine if writes else engine.execution_options(postgresql_readonly=True)
