"""One run on its way into a backup: first the content of its states, one after the other, then its rows.

RUN/states        each state: its document, then its buffers as they lie in chunks
RUN/rows.jsonl    the run, its phases, and all that hangs on them
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Self

from waycairn.backups.runs_rows import (
    FORMAT,
    LostState,
    StateSpan,
    add_content,
    exported,
    line_of,
    standing,
)
from waycairn.backups.source import MemberWriter, Target
from waycairn.chunks import Shape
from waycairn.chunks.manifest import decode
from waycairn.chunks.rekeying import state_in
from waycairn.errors import Damaged
from waycairn.model.records import RunRecord, Stored
from waycairn.model.states import CheckpointStatus
from waycairn.ports import MovedRow, RunReader
from waycairn.store import StoreCore
from waycairn.upkeep.row_sums import RowSum

ROWS, STATES = "rows.jsonl", "states"
_PIECE = 256 * 1024
"""What is small is written together up to this size."""

Told = Callable[[int], None]
"""Called with the bytes that were just written."""


def member_of(run: str, what: str) -> str:
    return f"{run}/{what}"


def export_run(core: StoreCore, reader: RunReader, run: RunRecord, target: Target, told: Told) -> None:
    """Raises Damaged where a state cannot be read that is not marked so."""
    with target.member(member_of(run.id, STATES)) as member:
        written = list(_write_states(core, reader, run, _Together(member, told)))
    with target.member(member_of(run.id, ROWS), format=FORMAT, run={"name": run.name, "key": run.key}) as member:
        rows = _Together(member, told)
        stands, content = RowSum(), RowSum()
        for (table, row), state in _with_states(reader.rows_of(run.id), iter(written)):
            stands.add(standing(table, row))
            line = exported(table, row, state)
            add_content(content, line)
            rows.write(line_of(line), records=int(table == "runs" and row["id"] == run.id))
        rows.flush()
        member.note(stands=str(stands), content=str(content))


def content_of(core: StoreCore, reader: RunReader, run: RunRecord) -> str:
    """What `export_run` notes as `content`, of a run that is there."""
    nowhere = _Nowhere()
    export_run(core, reader, run, nowhere, lambda _: None)
    return str(nowhere.facts["content"])


# -- states ------------------------------------------------------------------------------------------------------------


_Written = tuple[int, bytes] | str
"""Where a state lies and its SHA-256; or what is damaged about it."""


def _write_states(core: StoreCore, reader: RunReader, run: RunRecord, member: _Together) -> Iterator[_Written]:
    for table, row in reader.rows_of(run.id):
        stored = state_in(row)
        if stored is None:
            continue
        at = member.end
        try:
            yield at, _write_state(core, stored, member)
        except Damaged as damage:
            if table != "checkpoints" or row["status"] != CheckpointStatus.DAMAGED.value:
                raise
            # Somebody knows already that it is lost.
            yield str(damage)
    member.flush()


def _write_state(core: StoreCore, stored: Stored, member: _Together) -> bytes:
    total = hashlib.sha256()
    for data, is_chunk in core.stream(stored).pieces():
        total.update(data)
        member.write(data, is_chunk=is_chunk)
    return total.digest()


def _with_states(
    rows: Iterator[MovedRow], written: Iterator[_Written]
) -> Iterator[tuple[MovedRow, StateSpan | LostState | None]]:
    for table, row in rows:
        stored = state_in(row)
        yield (table, row), None if stored is None else _span(stored, next(written))


def _span(stored: Stored, written: _Written) -> StateSpan | LostState:
    if isinstance(written, str):
        return LostState(written)
    at, digest = written
    shape = Shape.of(decode(stored.manifest))
    return StateSpan(
        at=at,
        sha256=digest.hex(),
        document=shape.document,
        sizes=shape.sizes,
        own_chunk=shape.own_chunk,
        chunk=shape.chunk,
    )


# -- writing -----------------------------------------------------------------------------------------------------------


class _Together:
    """Writes to a member: chunks as they are, small things together."""

    def __init__(self, member: MemberWriter, told: Told) -> None:
        self._member = member
        self._told = told
        self._waiting = bytearray()
        self._records = 0
        self.end = 0
        """Bytes of the member so far."""

    def write(self, data: bytes | memoryview, records: int = 0, *, is_chunk: bool = False) -> None:
        self.end += len(data)
        if is_chunk:
            self.flush()
            self._member.write(data, is_chunk=True)
            self._told(len(data))
            return
        self._waiting += data
        self._records += records
        if len(self._waiting) >= _PIECE:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._member.write(bytes(self._waiting), self._records)
            self._told(len(self._waiting))
            self._waiting, self._records = bytearray(), 0


class _Nowhere:
    """A target of which only the facts are wanted."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}

    def member(self, name: str, **facts: Any) -> _Nowhere:  # noqa: ARG002 - as `Target` has it
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, data: bytes | memoryview, records: int = 0, *, is_chunk: bool = False) -> None:
        pass

    def note(self, **facts: Any) -> None:
        self.facts |= facts

    def carry(self, member: object) -> bool:  # noqa: ARG002
        return False

    def progress(self, records: int, size: int) -> None:
        pass
