"""Where the rows of a stream go, from what the user names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from waycairn.crypto.ledgers import ledger_vault
from waycairn.store import StoreCore

if TYPE_CHECKING:
    from sqlalchemy import Engine

_HELP = (
    "sink is a SQLAlchemy Engine or AsyncEngine, the URL of a database, the path of a file that grows, or a function that "
    "is called with each batch; not {0!r}. Nothing was read."
)


class Bound(msgspec.Struct, frozen=True):
    """A sink and what belongs to it."""

    sink: Any
    """Has open, begin and close, which block or are coroutine functions."""
    address: str
    """For people, without a password."""
    delivers: bool = False
    """What it does with a batch is to call a function at its end."""
    dispose: Callable[[], None] = lambda: None


def bound(sink: Any, store: StoreCore) -> Bound:
    """TypeError for what is no sink."""
    from waycairn.streams.callback_sink import CallbackSink
    from waycairn.streams.file_sink import FileSink
    from waycairn.streams.sealing import with_vault
    from waycairn.streams.sinks import EngineSink

    vault = ledger_vault(store.catalog.info)
    if _is_engine(sink):
        return Bound(EngineSink(with_vault(sink, vault)), _shown(sink))
    if _is_async_engine(sink):
        from waycairn.streams.async_sink import AsyncEngineSink  # needs greenlet

        return Bound(AsyncEngineSink(with_vault(sink, vault)), _shown(sink))
    if isinstance(sink, str) and "://" in sink:
        own = with_vault(_engine(sink), vault)
        return Bound(EngineSink(own), _shown(own), dispose=own.dispose)
    if isinstance(sink, str | os.PathLike):
        path = Path(sink).absolute()
        own = with_vault(_ledgers(store), vault)
        return Bound(FileSink(path, own), str(path), dispose=own.dispose)
    if sink is None or callable(sink):
        own = with_vault(_ledgers(store), vault)
        name = getattr(sink, "__qualname__", "") if sink else ""
        return Bound(CallbackSink(sink or _nothing, own), name, delivers=True, dispose=own.dispose)
    raise TypeError(_HELP.format(sink))


def _nothing(events: Any, key: str) -> None:
    """The body of the loop does it all."""


def _ledgers(store: StoreCore) -> Engine:
    """The database of the store for ledgers of streams whose sink is none."""
    from sqlalchemy import make_url

    from waycairn.streams.own_database import own_engine

    url = make_url(store.ledgers)
    if url.get_backend_name() == "sqlite":
        assert url.database
        return own_engine(Path(url.database))
    return _engine(store.ledgers)


def _engine(url: str) -> Engine:
    from sqlalchemy import create_engine

    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)  # the driver that we bring
    return create_engine(url)


def _shown(engine: Any) -> str:
    """Also for those who look from another directory."""
    url = engine.url
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        url = url.set(database=str(Path(url.database).absolute()))
    return str(url.render_as_string(hide_password=True))


def _is_engine(value: Any) -> bool:
    from sqlalchemy import Engine

    return isinstance(value, Engine)


def _is_async_engine(value: Any) -> bool:
    try:
        from sqlalchemy.ext.asyncio import AsyncEngine
    except ImportError:  # it needs greenlet, which SQLAlchemy does not bring on every platform
        return False
    return isinstance(value, AsyncEngine)
