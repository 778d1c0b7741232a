"""The database that is meant, by an engine or an address; and what of it may be written down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, TextClause, create_engine, exc, make_url
from sqlalchemy.pool import NullPool

from waycairn.backups.rows_session import Database
from waycairn.backups.rows_shape import TableName
from waycairn.errors import BackupError

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
_PLAIN = (str, int, float, bool, type(None))
_IN_MEMORY = {None, "", ":memory:"}


def database(engine: Any) -> Database:
    """Raises TypeError for what is no engine and no address, ValueError for a database of another kind."""
    if isinstance(engine, str | URL):
        engine = _engine(make_url(engine))
    elif hasattr(engine, "sync_engine"):
        engine = _blocking(engine.url)
    if not isinstance(engine, Engine):
        raise TypeError(f"rows are read by an engine of SQLAlchemy or its URL, not by {type(engine).__name__}")
    if engine.dialect.name == "sqlite":
        from waycairn.backups.rows_sqlite import SqliteDatabase

        return SqliteDatabase(engine)
    if engine.dialect.name == "postgresql":
        from waycairn.backups.rows_postgres import PostgresDatabase

        return PostgresDatabase(engine)
    raise ValueError(f"rows of {engine.dialect.name} cannot be backed up: SQLite and PostgreSQL can. Nothing was done.")


def _blocking(url: URL) -> Engine:
    """For an engine whose driver has to be awaited: a blocking one to the same place."""
    if url.get_backend_name() == "sqlite" and url.database in _IN_MEMORY:
        raise TypeError("the database of this AsyncEngine is in its memory alone: another engine cannot read it")
    return _engine(url)


def _engine(url: URL) -> Engine:
    """Of our own: it keeps no connection, and the driver is one that we know."""
    backend = url.get_backend_name()
    try:
        return create_engine(url.set(drivername=_DRIVERS.get(backend, url.drivername)), poolclass=NullPool)
    except (exc.NoSuchModuleError, ImportError) as error:
        raise ValueError(f"there is no driver for {url.drivername} here ({error})") from error


def described(database: Database, table: TableName, where: Any, children: Any) -> dict[str, Any]:
    """What is written into the catalogue. The parameters of a condition are part of it; `again` is a condition from which the
    same rows can be found again."""
    facts: dict[str, Any] = {
        "dialect": database.engine.dialect.name,
        "url": _address(database.engine.url),
        "table": str(table),
    }
    if where is not None and hasattr(where, "compile"):
        words = where.compile(dialect=database.engine.dialect)
        facts["where"] = str(words)
        facts["parameters"] = {name: str(value) for name, value in sorted(words.params.items())}
        if isinstance(where, TextClause) and all(isinstance(value, _PLAIN) for value in words.params.values()):
            facts["again"] = {"where": where.text, "parameters": dict(sorted(words.params.items()))}
    return {**facts, "children": children} if children else facts


def _address(url: URL) -> str:
    """Without a password, wherever it stands in it; a file by its whole path."""
    query = {name: value for name, value in url.query.items() if "pass" not in name.lower()}
    plain = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query)
    if plain.get_backend_name() == "sqlite" and not _is_in_memory(plain):
        plain = plain.set(database=str(Path(plain.database or "").resolve()))
    return plain.render_as_string(hide_password=True)


def _is_in_memory(url: URL) -> bool:
    return url.database in _IN_MEMORY or (url.database or "").startswith("file:")


def home(source: Mapping[str, Any]) -> Database:
    """Where the rows came from, by what was written down. Raises BackupError where that does not lead back."""
    url = make_url(source["url"])
    if url.get_backend_name() == "sqlite" and _is_in_memory(url):
        raise BackupError(
            "the rows came from a database in memory: say with to= where they are to go. Nothing was changed."
        )
    return database(url)
