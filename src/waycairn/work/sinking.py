"""Where the rows of a stream go, from what the user names."""

from __future__ import annotations

import os
from typing import Any

from waycairn.store import StoreCore

_HELP = (
    "sink is a SQLAlchemy Engine or AsyncEngine, the URL of a database, the path of a file that grows, or a function that "
    "is called with each batch; not {0!r}. Nothing was read."
)


def sink_of(sink: Any, store: StoreCore) -> Any:
    """A sink to be opened. TypeError for what is none."""
    from waycairn.streams import sinks

    if isinstance(sink, sinks.Sink):
        return sink
    if _is_engine(sink):
        return sinks.EngineSink(sink)
    if _is_async_engine(sink):
        return sinks.AsyncEngineSink(sink)
    if isinstance(sink, str) and "://" in sink:
        return sinks.EngineSink(sinks.engine_of(sink), is_ours=True)
    if isinstance(sink, str | os.PathLike):
        return sinks.FileSink(sink, sinks.own_engine(store.ledgers))
    if sink is None or callable(sink):
        return sinks.CallbackSink(sink, sinks.own_engine(store.ledgers))
    raise TypeError(_HELP.format(sink))


def _is_engine(value: Any) -> bool:
    from sqlalchemy import Engine

    return isinstance(value, Engine)


def _is_async_engine(value: Any) -> bool:
    try:
        from sqlalchemy.ext.asyncio import AsyncEngine
    except ImportError:  # it needs greenlet, which SQLAlchemy does not bring on every platform
        return False
    return isinstance(value, AsyncEngine)
