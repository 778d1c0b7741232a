"""A stream that is registered in configuration, followed: `waycairn stream process NAME`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from waycairn.errors import StreamError
from waycairn.model.stream_settings import StreamSettings

if TYPE_CHECKING:
    from waycairn.work.store import Store

Write = Callable[[Any, Sequence[Any]], Any]
"""Called within the transaction of a batch, with what writes there and the events."""


class Job(msgspec.Struct, frozen=True):
    """What the settings name, imported."""

    settings: StreamSettings
    schema: Any
    write: Write


def job_of(settings: StreamSettings) -> Job:
    """Import what the settings name, from the directory of the pyproject.toml first. ValueError for what is not there;
    what the modules raise while they are imported is passed on."""
    directory = str(settings.directory)
    if sys.path[:1] != [directory]:
        sys.path.insert(0, directory)
    schema = None if settings.schema is None else _named(settings, "schema", settings.schema)
    if settings.write is not None:
        return Job(settings, schema, _function(settings, "write", settings.write))
    assert settings.rows is not None, "the settings were checked"
    rows = _function(settings, "rows", settings.rows)
    return Job(settings, schema, _to_table(settings, rows) if settings.table else _to_lines(rows))


def process(store: Store, job: Job, *, once: bool) -> None:
    """Enter the run of that name and follow its files, until the run is stopped or, with `once`, everything that is
    there was read. Raises RunIsHeld where a living process does it."""
    settings = job.settings
    with store.run(settings.name) as run:
        batches = run.follow(
            settings.paths, sink=settings.sink, schema=job.schema, name=settings.name, once=once, **settings.options
        )
        for batch in batches:
            with batch as tx:
                job.write(tx, batch.events)


# -- what is named --------------------------------------------------------------------------------------------------


def _function(settings: StreamSettings, key: str, reference: str) -> Callable[..., Any]:
    found = _named(settings, key, reference)
    if not callable(found):
        settings.refuse(key, f"{reference} is {found!r}, and no function.")
    if inspect.iscoroutinefunction(found):
        settings.refuse(key, f"{reference} is a coroutine function; a plain one is needed here.")
    function: Callable[..., Any] = found
    return function


def _named(settings: StreamSettings, key: str, reference: str) -> Any:
    module, _, path = reference.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks something itself
        settings.refuse(key, f"there is no module {error.name!r} in {settings.directory} or on Python's path.")
    for name in path.split("."):
        if not hasattr(found, name):
            settings.refuse(key, f"the module {module} has no {path!r}.")
        found = getattr(found, name)
    return found


# -- rows -----------------------------------------------------------------------------------------------------------


def _to_table(settings: StreamSettings, rows: Callable[..., Any]) -> Write:
    tables: list[Any] = []

    def write(tx: Any, events: Sequence[Any]) -> None:
        if not tables:
            tables.append(_reflected(settings, tx))
        tx.insert_many(tables[0], list(rows(events)))

    return write


def _reflected(settings: StreamSettings, tx: Any) -> Any:
    """The table as the database has it: looked at in the first batch, when the database surely answers."""
    from sqlalchemy import MetaData, Table, exc

    assert settings.table is not None
    schema, _, name = settings.table.rpartition(".")
    try:
        return Table(name, MetaData(), schema=schema or None, autoload_with=tx.connection)
    except exc.NoSuchTableError:
        address = tx.connection.engine.url.render_as_string(hide_password=True)
        raise StreamError(
            f"stream {settings.name!r}: there is no table {settings.table!r} in {address}. The batch was not consumed. "
            f"Create it, or correct `table` in {settings.file}.",
            stream=settings.name,
            table=settings.table,
        ) from None


def _to_lines(rows: Callable[..., Any]) -> Write:
    """Of a sink that is a file."""
    encode = msgspec.json.Encoder().encode

    def write(tx: Any, events: Sequence[Any]) -> None:
        tx.write(b"".join(encode(row) + b"\n" for row in rows(events)))

    return write
