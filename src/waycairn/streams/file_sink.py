"""A sink that is a growing file: what was committed of it is its first so many bytes, and the ledger knows how many.

What a batch writes is kept in memory until its commit. Then: the ledger's row is locked, so that a process that was
taken over writes nothing; the bytes are appended and flushed; offsets and the new length are committed. A process that
dies in between leaves a longer file, which is cut back when the stream is opened again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3
from sqlalchemy import Connection, Engine

from waycairn.errors import Damaged
from waycairn.streams import ledger
from waycairn.streams.barrier import barrier
from waycairn.streams.ledger_connection import LedgerConnection
from waycairn.streams.records import Holder, Mark, Standing, Step
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, translated, write_all_at

_MARKED = 1024
"""Bytes at the end of what is committed, by which the file is known again."""


class FileSink:
    """Appends to the file at `path`, exactly once; its ledger is in the database of `engine`, best one of its own on
    the same disk (`own_engine`). A file that has content when the stream is new keeps it.

    Belongs to one thread at a time. The file belongs to one stream, and nothing else may write to it.
    """

    def __init__(self, path: Path | str, engine: Engine, **options: Any) -> None:
        self.path = Path(path)
        self._ledger = LedgerConnection(engine, **options)
        self._handle = -1
        self._length = 0
        self._tail = Mark()

    def open(
        self, name: str, holder: Holder, *, parser: str = "", facts: Mapping[str, Any] | None = None, now: float = 0.0
    ) -> Standing:
        """As `EngineSink.open`; the file is cut back to its committed length. Raises Damaged if it is shorter, or if
        its end is not what was committed; nothing was changed then."""
        self._close_file()
        self._open_file()
        try:
            standing = self._ledger.open(name, holder, parser=parser, facts=facts or {}, now=now, claimed=self._take_up)
            # A power cut that took this back, and not the first bytes that are appended, would make old content of them.
            barrier(self._ledger)
            return standing
        except BaseException:
            self._close_file()
            raise

    def begin(self) -> FileTransaction:
        """Begin a batch, if the ledger can be had. Nothing is locked until its commit."""
        self._ledger.probe()
        return FileTransaction(self)

    def barrier(self) -> None:
        """As `EngineSink.barrier`."""
        barrier(self._ledger)

    def close(self) -> None:
        """Idempotent."""
        self._ledger.close()
        self._close_file()

    # -- the file ---------------------------------------------------------------------------------------------------

    def _open_file(self) -> None:
        is_new = not self.path.exists()
        with translated("the sink of the stream", self.path):
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if is_new:
                flush_directory(self.path.parent)

    def _close_file(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _take_up(self, standing: Standing) -> Standing:
        """Within the transaction that claims the stream: nobody else appends now."""
        length = os.fstat(self._handle).st_size
        if standing.sink_length is None:
            # Written down before anything is appended: else what a batch leaves behind would pass for old content.
            self._length, self._tail = length, self._mark(length)
            ledger.set_sink(self._ledger.connection, standing.name, self._length, self._tail)
            return msgspec.structs.replace(standing, sink_length=self._length, sink_tail=self._tail)
        self._check(standing.name, length, standing.sink_length, standing.sink_tail)
        self._length, self._tail = standing.sink_length, standing.sink_tail
        if length > self._length:
            self._cut_back()
        return standing

    def _check(self, name: str, length: int, committed: int, tail: Mark) -> None:
        if length >= committed and self._mark(committed, tail.length) == tail:
            return
        what = (
            f"it has {length:,} bytes, and {committed:,} were committed"
            if length < committed
            else f"the {tail.length} bytes before byte {committed:,} are not those that were committed"
        )
        raise Damaged(
            f"the file {self.path}, sink of the stream {name!r}, was changed by somebody else: {what}. Nothing was "
            "changed now. Put the file back as it was; or, if it was to begin anew, give the stream a new name, and it "
            "reads everything again.",
            path=str(self.path),
            kind="damaged",
        )

    def _cut_back(self) -> None:
        crashpoint("stream.sink.cut")
        with translated("the sink of the stream", self.path):
            os.ftruncate(self._handle, self._length)
            flush(self._handle)
        crashpoint("stream.sink.cut.done")

    def _mark(self, length: int, marked: int | None = None) -> Mark:
        """Of the bytes before `length`."""
        size = min(length, _MARKED if marked is None else marked)
        return _mark_of(os.pread(self._handle, size, length - size)) if size else Mark()

    # -- a batch ----------------------------------------------------------------------------------------------------

    def commit(self, data: bytes, step: Step) -> None:
        """Append the data and move the ledger on, in this order, under the lock of the ledger's row."""
        connection = self._ledger.begin()
        with self._ledger:
            crashpoint("stream.rows")
            self._check_end(connection)
            if data:
                self._append(data)
            crashpoint("stream.sink.flushed")
            length = self._length + len(data)
            tail = self._mark(length) if data else self._tail
            self._ledger.settle(msgspec.structs.replace(step, sink_length=length, sink_tail=tail))
        self._length, self._tail = length, tail

    def _check_end(self, connection: Connection) -> None:
        """Before anything is written over: a batch that failed after its COMMIT has moved the end of the file."""
        if ledger.sink_length(connection, self._ledger.name) != self._length:
            raise ledger.elsewhere(self._ledger.name, "the sink")

    def _append(self, data: bytes) -> None:
        """At its place: written again after an error, it changes nothing that was written before."""
        size = os.fstat(self._handle).st_size
        if size < self._length:
            self._check(self._ledger.name, size, self._length, self._tail)
        with translated("the sink of the stream", self.path):
            write_all_at(self._handle, data, self._length)
            os.ftruncate(self._handle, self._length + len(data))  # what an earlier try left may be longer
            crashpoint("stream.sink.written")
            flush(self._handle)


class FileTransaction:
    """One batch. Ends with `commit` or `rollback`, once."""

    __slots__ = ("_parts", "_sink")

    def __init__(self, sink: FileSink) -> None:
        self._sink = sink
        self._parts: list[bytes] = []

    @property
    def user(self) -> FileWriter:
        return FileWriter(self._parts)

    def commit(self, step: Step) -> None:
        """Commit what was written together with the step."""
        self._sink.commit(b"".join(self._parts), step)

    def rollback(self) -> None:
        """Nothing of the batch was there."""
        self._parts.clear()


class FileWriter:
    """What the user of a batch gets. Usable until its batch ends."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def write(self, data: bytes | str) -> int:
        """Append bytes, or text as UTF-8; how many bytes. Newlines are yours to write."""
        encoded = data.encode() if isinstance(data, str) else bytes(data)
        self._parts.append(encoded)
        return len(encoded)


def _mark_of(data: bytes) -> Mark:
    return Mark(len(data), blake3(data).digest(16))
