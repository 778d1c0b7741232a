"""What a stream remembers, in the database of its sink: who may move it, where every file is, what was met.

Functions on a SQLAlchemy Connection that begin and end no transaction; the caller does. An AsyncConnection gets them
by `await connection.run_sync(function, ...)`. What a batch runs raises errors of ours for what the database answers;
the rest raises SQLAlchemy's, which `failures.told` turns into ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from itertools import groupby
from typing import Any, NoReturn

from msgspec.structs import replace
from sqlalchemy import Connection, func, inspect, select, text, update
from sqlalchemy.schema import CreateIndex, CreateTable

from waycairn.errors import OwnershipLost, StoreTooNew
from waycairn.streams import rows, sealing
from waycairn.streams.records import DeadLetter, Holder, Mark, Standing, Step
from waycairn.streams.tables import (
    ADD_DEAD_LETTER,
    ADD_GENERATION,
    ADD_STATE,
    ADVANCE_STREAM,
    CHANGE_STATE,
    COUNTED,
    FENCE,
    MOVE_GENERATION,
    SET_SINK,
    VERSION,
    generations,
    metadata,
    states,
    streams,
)

_CREATOR = 7_734_212_020
"""Any number, so long as it is always the same."""
_MOST_FORMER = 20


# -- the tables -----------------------------------------------------------------------------------------------------


def prepare(connection: Connection) -> None:
    """Create what is missing of the ledger's tables. Touches nothing else."""
    if _has_tables(connection):
        return
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CREATOR)))  # IF NOT EXISTS alone may fail beside another
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _has_tables(connection: Connection) -> bool:
    inspector = inspect(connection)
    return all(inspector.has_table(name) for name in metadata.tables)


# -- who may move it ------------------------------------------------------------------------------------------------


def claim(
    connection: Connection, name: str, holder: Holder, *, parser: str, facts: Mapping[str, Any], now: float
) -> Standing:
    """Make the holder the one who may move the stream, which is created if there is none. The one before is refused
    at its next commit.

    In what is returned `parser` is that of the time before, empty for a new stream: whether it changed is the
    caller's to tell. Raises OwnershipLost where a newer epoch of the same run has it, StoreTooNew, StoreBusy where
    somebody is in the middle of a batch for too long; nothing was changed then.
    """
    if not _lock(connection, name):
        _add_stream(connection, name, holder, now)
        _lock(connection, name)
    before = standing(connection, name)
    assert before is not None
    if before.state is not None:
        sealing.refuse_unopened(connection, before.state)
    if before.holder.run == holder.run and before.holder.epoch > holder.epoch:
        raise _lost(name, holder, before.holder)
    kept = _with_former(before, parser, facts, now)
    connection.execute(
        update(streams)
        .where(streams.c.name == name)
        .values(run=holder.run, epoch=holder.epoch, parser=parser, facts=kept, updated=now)
    )
    return replace(before, holder=holder, facts=kept)


def _lock(connection: Connection, name: str) -> bool:
    """Whether there is a stream of that name; nobody changes it until the transaction ends."""
    if connection.dialect.name == "postgresql":
        # LOCAL: for this transaction. A process that was stopped inside a batch must not make us wait for ever.
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    found = connection.execute(update(streams).where(streams.c.name == name).values(epoch=streams.c.epoch))
    return bool(found.rowcount)


def _add_stream(connection: Connection, name: str, holder: Holder, now: float) -> None:
    add = import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(streams)
    connection.execute(
        add.values(
            name=name,
            version=VERSION,
            run=holder.run,
            epoch=holder.epoch,
            operation="",
            commits=0,
            **dict.fromkeys(COUNTED, 0),
            sink_tail_length=0,
            sink_tail_digest=b"",
            parser="",
            facts={},
            created=now,
            updated=now,
        ).on_conflict_do_nothing()
    )


def _with_former(before: Standing, parser: str, facts: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The facts, with the parsers that this stream had and how many commits they made: no change is silent."""
    former = list(before.facts.get("former_parsers", ()))
    if before.parser and before.parser != parser:
        former.append({"parser": before.parser, "until": now, "commits": before.commits})
    return {**facts, "former_parsers": former[-_MOST_FORMER:]} if former else dict(facts)


def fence(connection: Connection, name: str, holder: Holder) -> None:
    """The first statement of every transaction that moves the stream. Raises OwnershipLost."""
    values = {"key_name": name, "key_run": holder.run, "key_epoch": holder.epoch}
    if FENCE.run(connection, [values]) != 1:
        raise _lost(name, holder, _holder_of(connection, name))


def _holder_of(connection: Connection, name: str) -> Holder | None:
    row = connection.execute(select(streams.c.run, streams.c.epoch).where(streams.c.name == name)).one_or_none()
    return None if row is None else Holder(row.run, row.epoch)


def _lost(name: str, ours: Holder, theirs: Holder | None) -> OwnershipLost:
    if theirs is None:
        return OwnershipLost(
            f"the stream {name!r} is not in its ledger any more: somebody deleted it, or the database is another one. "
            "This batch was not committed. Look at the database before the job runs again: it would begin anew.",
            stream=name,
        )
    if theirs.run == ours.run:
        who = f"epoch {theirs.epoch} of the same run holds it, this process has epoch {ours.epoch}"
    else:
        who = f"the run {theirs.run} holds it with epoch {theirs.epoch}, this process belongs to the run {ours.run}"
    return OwnershipLost(
        f"the stream {name!r} was taken over: {who}. This process changed nothing and must stop. "
        "If the store of the run was restored from a backup, enter the run again until its epoch is the newest.",
        stream=name,
        holder=theirs,
    )


# -- moving it ------------------------------------------------------------------------------------------------------


def advance(connection: Connection, name: str, holder: Holder, step: Step) -> None:
    """Move the stream on, beside the rows that the step belongs to. Raises OwnershipLost: roll back then."""
    _move(connection, name, step)
    if step.dead:
        ADD_DEAD_LETTER.run(connection, [_sealed_letter(connection, name, one) for one in step.dead])
    if step.state is not None:
        _keep_state(connection, name, step.state, step.at)
    if step.sink_length is not None:
        set_sink(connection, name, step.sink_length, step.sink_tail)
    counts = step.counts
    values = {
        "key_name": name,
        "key_run": holder.run,
        "key_epoch": holder.epoch,
        "operation": step.operation,
        "updated": step.at,
        "add_events": counts.events,
        "add_dead": counts.dead,
        "add_skipped": counts.skipped,
        "add_blank": counts.blank,
        "add_nuls": counts.nuls,
        "add_bytes": counts.bytes,
    }
    if ADVANCE_STREAM.run(connection, [values]) != 1:
        raise _lost(name, holder, _holder_of(connection, name))


def _move(connection: Connection, name: str, step: Step) -> None:
    new: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for one in step.changed:
        values = rows.generation_values(name, one)
        before = step.moved.get(one.id)
        if before is None:
            new.append(values)
        else:
            moved.append({**values, "key_stream": name, "key_id": one.id, "key_offset": before})
    if new:
        ADD_GENERATION.run(connection, new)
    if moved and MOVE_GENERATION.run(connection, moved) != len(moved):
        raise elsewhere(name, "a file")


def elsewhere(name: str, what: str) -> OwnershipLost:
    """The ledger was changed under a holder that is still the holder."""
    return OwnershipLost(
        f"{what} of the stream {name!r} is not where this process left it in the ledger: the stream was reset, moved "
        "or restored meanwhile, or an earlier batch failed after its COMMIT. This batch was not committed. Run the job "
        "again: it goes on from the ledger.",
        stream=name,
    )


def _sealed_letter(connection: Connection, name: str, one: DeadLetter) -> dict[str, Any]:
    values = rows.dead_letter_values(name, one)
    place = (name, one.generation, one.offset)
    head = sealing.seal_bytes(connection, one.head, "head", *place)
    return {**values, "head": head, "error": sealing.seal_text(connection, values["error"], "error", *place)}


def _keep_state(connection: Connection, name: str, state: bytes, at: float) -> None:
    sealed = sealing.seal_bytes(connection, state, "state", name)
    values = {"key_stream": name, "stream": name, "state": sealed, "updated": at}
    if not CHANGE_STATE.run(connection, [values]):
        ADD_STATE.run(connection, [values])


def set_sink(connection: Connection, name: str, length: int, tail: Mark) -> None:
    """How long a sink that is a file is, and its tail mark."""
    values = {
        "key_name": name,
        "sink_length": length,
        "sink_tail_length": tail.length,
        "sink_tail_digest": tail.digest,
    }
    SET_SINK.run(connection, [values])


def sink_length(connection: Connection, name: str) -> int | None:
    """As the ledger has it now."""
    length: int | None = connection.execute(select(streams.c.sink_length).where(streams.c.name == name)).scalar_one()
    return length


def happened(connection: Connection, name: str, holder: Holder, operation: str) -> bool:
    """Whether a commit is there whose reply was lost. A server may still be at it: then this waits for its lock.

    Raises OwnershipLost where the stream has another holder by now: it goes on from what is there, whichever it is.
    """
    asked = select(streams.c.run, streams.c.epoch, streams.c.operation).where(streams.c.name == name)
    row = connection.execute(asked.with_for_update()).one_or_none()
    found = None if row is None else Holder(row.run, row.epoch)
    if row is None or found != holder:
        raise _lost(name, holder, found)
    is_there: bool = row.operation == operation
    return is_there


# -- reading --------------------------------------------------------------------------------------------------------


def standing(connection: Connection, name: str) -> Standing | None:
    """A stream as it stands; None if there is none of that name. Raises StoreTooNew."""
    return next(iter(_standings(connection, name)), None)


def all_streams(connection: Connection) -> list[Standing]:
    """Every stream of this ledger, by name. None if there is no ledger. Raises StoreTooNew."""
    return _standings(connection, None) if _has_tables(connection) else []


def _standings(connection: Connection, name: str | None) -> list[Standing]:
    selected = select(streams).order_by(streams.c.name)
    files = select(generations).order_by(generations.c.stream, generations.c.id)
    beside = select(states.c.stream, states.c.state)
    if name is not None:
        selected = selected.where(streams.c.name == name)
        files = files.where(generations.c.stream == name)
        beside = beside.where(states.c.stream == name)
    found = connection.execute(selected).all()
    for row in found:
        if row.version > VERSION:
            _refuse_newer(row.name, row.version)
    by_stream = groupby(connection.execute(files), lambda row: str(row.stream))
    of = {stream: [rows.generation_of(row) for row in group] for stream, group in by_stream}
    kept = {row.stream: _state_of(connection, row) for row in connection.execute(beside)}
    return [rows.standing_of(row, of.get(row.name, []), kept.get(row.name)) for row in found]


def _state_of(connection: Connection, row: Any) -> bytes:
    """Who only looks at a ledger has no key, and no use for the state."""
    state = bytes(row.state)
    return (
        state
        if sealing.is_for_nobody(connection, state)
        else sealing.open_bytes(connection, state, "state", row.stream)
    )


def _refuse_newer(name: str, version: int) -> NoReturn:
    raise StoreTooNew(
        f"the stream {name!r} was written by a newer waycairn (version {version} of the ledger's tables, this one "
        f"knows {VERSION}). Nothing was changed. Upgrade waycairn to follow it.",
        stream=name,
    )
