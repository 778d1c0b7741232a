"""The awaited face of a sink that is a database.

The sink itself is the same object: what it runs, it runs in a greenlet of SQLAlchemy's, in which its calls to an
asynchronous driver give the loop back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, ScalarResult, Table
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only, greenlet_spawn

from waycairn.streams.records import Holder, Standing, Step
from waycairn.streams.sinks import EngineSink, EngineTransaction
from waycairn.streams.writer import Parameters, Writer

P = ParamSpec("P")
T = TypeVar("T")


class AsyncEngineSink:
    """An AsyncEngine for SQLite or PostgreSQL. See `EngineSink`; belongs to one task at a time."""

    def __init__(self, engine: AsyncEngine, **options: Any) -> None:
        self._sink = EngineSink(engine.sync_engine, **{"pause": _pause, **options})

    async def open(
        self, name: str, holder: Holder, *, parser: str = "", facts: Mapping[str, Any] | None = None, now: float = 0.0
    ) -> Standing:
        return await greenlet_spawn(self._sink.open, name, holder, parser=parser, facts=facts, now=now)

    async def begin(self) -> AsyncEngineTransaction:
        return AsyncEngineTransaction(await greenlet_spawn(self._sink.begin))

    async def barrier(self) -> None:
        await greenlet_spawn(self._sink.barrier)

    async def close(self) -> None:
        await greenlet_spawn(self._sink.close)


class AsyncEngineTransaction:
    """One batch. Ends with `commit` or `rollback`, once."""

    __slots__ = ("_transaction", "user")

    def __init__(self, transaction: EngineTransaction) -> None:
        self._transaction = transaction
        self.user = AsyncWriter(transaction.user)

    async def commit(self, step: Step) -> None:
        await greenlet_spawn(self._transaction.commit, step)

    async def rollback(self) -> None:
        await greenlet_spawn(self._transaction.rollback)


class AsyncWriter:
    """Rows of one batch, awaited. See `Writer`."""

    __slots__ = ("_writer",)

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        return await greenlet_spawn(self._writer.execute, statement, parameters)

    async def scalar(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        return await greenlet_spawn(self._writer.scalar, statement, parameters)

    async def scalars(self, statement: Executable, parameters: Parameters = None) -> ScalarResult[Any]:
        return await greenlet_spawn(self._writer.scalars, statement, parameters)

    async def insert_many(self, table: Table, rows: Iterable[Any], columns: Sequence[str] | None = None) -> int:
        return await greenlet_spawn(self._writer.insert_many, table, rows, columns)

    async def run_sync(
        self, function: Callable[Concatenate[Connection, P], T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Call the function with SQLAlchemy's own Connection, as AsyncConnection.run_sync does."""
        return await greenlet_spawn(lambda: function(self._writer.connection, *arguments, **named))


def _pause(seconds: float) -> None:
    await_only(asyncio.sleep(seconds))
