"""A chunk index of its own for tests of chunks: a real SQLite database with three tables, and a sweep."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence

from waycairn.model.ids import ChunkId, PackId
from waycairn.model.records import ChunkPlace, NewBlock, NewData, StoreInfo

INFO = StoreInfo(id="0123456789ab", format=1, secret=bytes(range(32)), created=0.0)

_TABLES = """
create table numbers(next integer);
insert into numbers values (1);
create table epoch(value integer);
insert into epoch values (0);
create table packs(id text primary key, size integer, digest blob);
create table blocks(number integer primary key, codec integer, raw integer, stored integer, pack text, offset integer,
                    inline blob, base integer);
create table chunks(number integer primary key, id blob, block integer, start integer, length integer);
create index chunk_ids on chunks(id);
"""


class SqliteIndex:
    """ChunkRows plus `commit`, which puts a NewData in one transaction, and `sweep`, which forgets chunks."""

    def __init__(self, path: str = ":memory:") -> None:
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # Chunks are the subject here; that commits survive is the catalog's to prove.
        self.database.execute("pragma synchronous = off")
        self.database.executescript(_TABLES)
        self.lock = threading.RLock()
        self.asked: list[int] = []
        """How many ids each call of find_chunks asked for."""

    def reserve_numbers(self, count: int) -> int:
        with self.lock:
            (first,) = self.database.execute("select next from numbers").fetchone()
            self.database.execute("update numbers set next = next + ?", (count,))
            return first

    def find_chunks(self, ids: Sequence[ChunkId]) -> Mapping[ChunkId, int]:
        with self.lock:
            self.asked.append(len(ids))
            found = {}
            for chunk in ids:
                (number,) = self.database.execute("select min(number) from chunks where id = ?", (chunk,)).fetchone()
                if number is not None:
                    found[chunk] = number
            return found

    def locate_chunks(self, numbers: Sequence[int]) -> Mapping[int, ChunkPlace]:
        with self.lock:
            places = {}
            for number in numbers:
                row = self.database.execute(
                    "select c.id, c.start, c.length, b.number, b.codec, b.raw, b.stored, b.pack, b.offset, b.inline, b.base"
                    " from chunks c join blocks b on b.number = c.block where c.number = ?",
                    (number,),
                ).fetchone()
                if row:
                    pack = PackId(row[7]) if row[7] else None
                    block = NewBlock(row[3], row[4], row[5], row[6], pack, row[8], row[9], row[10])
                    places[number] = ChunkPlace(number, ChunkId(row[0]), row[1], row[2], block)
            return places

    def sweep_epoch(self) -> int:
        with self.lock:
            return self.database.execute("select value from epoch").fetchone()[0]

    def packs(self) -> Mapping[PackId, int]:
        with self.lock:
            return dict(self.database.execute("select id, size from packs"))

    def commit(self, data: NewData) -> bool:
        """False, and nothing changed, if a sweep came between."""
        with self.lock:
            if data.sweep_epoch is not None and data.sweep_epoch != self.sweep_epoch():
                return False
            self.database.execute("begin")
            self.database.executemany(
                "insert into packs values (?,?,?)", [(p.id, p.size, p.digest) for p in data.packs]
            )
            self.database.executemany(
                "insert into blocks values (?,?,?,?,?,?,?,?)",
                [
                    (b.number, b.codec, b.raw_length, b.stored_length, b.pack, b.offset, b.inline, b.base)
                    for b in data.blocks
                ],
            )
            self.database.executemany(
                "insert into chunks values (?,?,?,?,?)",
                [(c.number, c.id, c.block, c.start, c.length) for c in data.chunks],
            )
            self.database.execute("commit")
            return True

    def sweep(self, numbers: Sequence[int]) -> None:
        """Remove these chunks, and grow the epoch, in one transaction."""
        with self.lock:
            self.database.execute("begin")
            self.database.executemany("delete from chunks where number = ?", [(number,) for number in numbers])
            self.database.execute("update epoch set value = value + 1")
            self.database.execute("commit")

    def bytes(self) -> int:
        """Size of all pages of the database."""
        with self.lock:
            (count,) = self.database.execute("pragma page_count").fetchone()
            (size,) = self.database.execute("pragma page_size").fetchone()
            return count * size

    def close(self) -> None:
        self.database.close()
