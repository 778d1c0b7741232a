"""The ledgers of streams that lie in a store itself (their sinks are files or functions), copied with it. Those in the
databases of sinks stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, delete, insert, inspect, make_url, select

from waycairn.crypto.ledgers import ledger_vault
from waycairn.errors import StoreNotFound
from waycairn.store import StoreCore
from waycairn.streams import ledger
from waycairn.streams.own_database import own_engine
from waycairn.streams.sealing import open_bytes, open_text, seal_bytes, seal_text, with_vault
from waycairn.streams.tables import dead_letters, generations, states, streams
from waycairn.upkeep.sink_database import engine_of
from waycairn.upkeep.streams import known_streams

_STREAM = {streams: "name", states: "stream", generations: "stream", dead_letters: "stream"}
"""The tables, and the column that names the stream."""


def copy_ledgers(source: StoreCore, target: StoreCore) -> int:
    """How many streams. What an earlier attempt copied is replaced; other streams in that database are left alone."""
    names = [stream.name for stream in known_streams(source, {}) if "://" not in stream.sink]
    if not names:
        return 0
    try:
        theirs = engine_of(source.ledgers, writes=False)
    except StoreNotFound:
        return 0  # none of them was ever opened
    ours = _own(target.ledgers)
    try:
        with theirs.connect() as read, ours.begin() as write:
            reader = with_vault(read, ledger_vault(source.catalog.info))
            writer = with_vault(write, ledger_vault(target.catalog.info))
            if inspect(reader).has_table(streams.name):
                ledger.prepare(writer)
                for table, column in _STREAM.items():
                    _copy(reader, writer, table, table.c[column].in_(names))
    finally:
        theirs.dispose()
        ours.dispose()
    return len(names)


def _own(address: str) -> Engine:
    url = make_url(address)
    return own_engine(Path(str(url.database))) if url.get_backend_name() == "sqlite" else create_engine(url)


def _copy(reader: Connection, writer: Connection, table: Table, which: Any) -> None:
    writer.execute(delete(table).where(which))
    rows = reader.execute(select(table).where(which)).mappings().all()
    made = [_sealed(writer, table, _opened(reader, table, dict(row))) for row in rows]
    if made:
        writer.execute(insert(table), made)


def _opened(connection: Connection, table: Table, row: dict[str, Any]) -> dict[str, Any]:
    if table is states:
        return {**row, "state": open_bytes(connection, bytes(row["state"]), "state", row["stream"])}
    if table is not dead_letters:
        return row
    place = (row["stream"], row["generation"], row["offset"])
    tried = row["tried_error"]
    return {
        **{name: value for name, value in row.items() if name != "id"},
        "head": open_bytes(connection, bytes(row["head"]), "head", *place),
        "error": open_text(connection, row["error"], "error", *place),
        "tried_error": None if tried is None else open_text(connection, tried, "tried", *place),
    }


def _sealed(connection: Connection, table: Table, row: dict[str, Any]) -> dict[str, Any]:
    if table is states:
        return {**row, "state": seal_bytes(connection, row["state"], "state", row["stream"])}
    if table is not dead_letters:
        return row
    place = (row["stream"], row["generation"], row["offset"])
    tried = row["tried_error"]
    return {
        **row,
        "head": seal_bytes(connection, row["head"], "head", *place),
        "error": seal_text(connection, row["error"], "error", *place),
        "tried_error": None if tried is None else seal_text(connection, tried, "tried", *place),
    }
