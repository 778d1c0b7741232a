"""The ledgers of streams that lie in a store itself (their sinks are files or functions), copied with it. Those in the
databases of sinks stay where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, delete, insert, inspect, make_url, select

from waycairn.crypto.ledgers import ledger_vault
from waycairn.errors import StoreError, StoreNotFound
from waycairn.store import StoreCore
from waycairn.streams import ledger
from waycairn.streams.own_database import own_engine
from waycairn.streams.sealing import open_bytes, open_text, seal_bytes, seal_text, with_vault
from waycairn.streams.tables import dead_letters, generations, states, streams
from waycairn.upkeep.sink_database import engine_of
from waycairn.upkeep.streams import known_streams

_PLACES: Mapping[Table, Sequence[str]] = {
    streams: ("name",),
    states: ("stream",),
    generations: ("stream", "id"),
    dead_letters: ("stream", "generation", "offset"),
}
"""The tables, and the columns that name a row; the first names the stream."""


def copy_ledgers(source: StoreCore, target: StoreCore) -> int:
    """How many streams. What an earlier attempt copied is replaced; other streams in that database are left alone."""
    names = [stream.name for stream in known_streams(source, {}) if "://" not in stream.sink]
    if not names:
        return 0
    try:
        theirs = with_vault(engine_of(source.ledgers, writes=False), ledger_vault(source.catalog.info))
    except StoreNotFound:
        return 0  # none of them was ever opened
    ours = with_vault(_own(target.ledgers), ledger_vault(target.catalog.info))
    try:
        with theirs.connect() as reader, ours.begin() as writer:
            if inspect(reader).has_table(streams.name):
                ledger.prepare(writer)
                for table in _PLACES:
                    _copy(reader, writer, table, names)
    finally:
        theirs.dispose()
        ours.dispose()
    return len(names)


def _own(address: str) -> Engine:
    url = make_url(address)
    return own_engine(Path(str(url.database))) if url.get_backend_name() == "sqlite" else create_engine(url)


def _copy(reader: Connection, writer: Connection, table: Table, names: Sequence[str]) -> None:
    which = table.c[_PLACES[table][0]].in_(names)
    writer.execute(delete(table).where(which))
    for row in _rows(reader, table, which):
        writer.execute(insert(table), [_sealed(writer, table, row)])
    for ours, theirs in zip_longest(_rows(writer, table, which), _rows(reader, table, which)):
        if ours != theirs:
            raise StoreError(
                f"what was read back of the table {table.name} in the copy is not what the source has. The copy stays "
                "unfinished. Run it again."
            )


def _rows(connection: Connection, table: Table, which: Any) -> Iterator[dict[str, Any]]:
    """Opened, in the order of what names them."""
    order = [table.c[name] for name in _PLACES[table]]
    found = select(table).where(which).order_by(*order).execution_options(yield_per=500)
    for row in connection.execute(found).mappings():
        yield _opened(connection, table, dict(row))


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
