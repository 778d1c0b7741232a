"""What a stream remembers, in the database of its sink: who may move it, where every file is, what was met.

Functions on a SQLAlchemy Connection that begin and end no transaction; the caller does. An AsyncConnection gets them
by `await connection.run_sync(function, ...)`. All of them raise errors of ours for what the database answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import groupby
from typing import Any, NoReturn

from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, func, insert, inspect, literal_column, select, text, update
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import ClauseElement

from waycairn.errors import OwnershipLost, StoreTooNew
from waycairn.streams import rows
from waycairn.streams.records import Counts, Holder, Mark, Standing, Step
from waycairn.streams.statement import Statement
from waycairn.streams.tables import VERSION, dead_letters, generations, metadata, states, streams

_CREATOR = 7_734_212_020
"""Any number, so long as it is always the same."""
_MOST_FORMER = 20
_COUNTED = Counts.__struct_fields__


def _fence(dialect: Dialect) -> ClauseElement:
    """Takes the lock of the row, and in SQLite that of the database, so that nothing moves until the transaction ends.
    On a server a lock is enough; an UPDATE would leave a dead row behind for every batch."""
    is_ours = _is_held(bindparam("key_name"), bindparam("key_run"), bindparam("key_epoch"))
    if dialect.name == "sqlite":
        return update(streams).where(*is_ours).values(epoch=streams.c.epoch)
    return select(literal_column("1")).where(*is_ours).with_for_update()


def _is_held(name: Any, run: Any, epoch: Any) -> Sequence[Any]:
    return streams.c.name == name, streams.c.run == run, streams.c.epoch == epoch


FENCE = Statement("Nobody else may move this stream, from here to the end of the transaction.", _fence)
ADVANCE_STREAM = Statement(
    "What a batch met, added up.",
    lambda _: (
        update(streams)
        .where(*_is_held(bindparam("key_name"), bindparam("key_run"), bindparam("key_epoch")))
        .values(
            operation=bindparam("operation"),
            commits=streams.c.commits + literal_column("1"),
            updated=bindparam("updated"),
            **{name: streams.c[name] + bindparam("add_" + name) for name in _COUNTED},
        )
    ),
)
SET_SINK = Statement(
    "How long a sink that is a file is now.",
    lambda _: (
        update(streams)
        .where(streams.c.name == bindparam("key_name"))
        .values(
            sink_length=bindparam("sink_length"),
            sink_tail_length=bindparam("sink_tail_length"),
            sink_tail_digest=bindparam("sink_tail_digest"),
        )
    ),
)
MOVE_GENERATION = Statement(
    "A generation that is still where this process left it.",
    lambda _: (
        update(generations)
        .where(
            generations.c.stream == bindparam("key_stream"),
            generations.c.id == bindparam("key_id"),
            generations.c.offset == bindparam("key_offset"),
        )
        .values({c.name: bindparam(c.name) for c in generations.c if c.name not in {"stream", "id"}})
    ),
)
ADD_GENERATION = Statement("A new one.", lambda _: _insert_all(generations.c, generations))
ADD_DEAD_LETTER = Statement(
    "A line that could not be used.",
    lambda _: _insert_all(
        [c for c in dead_letters.c if c.name not in {"id", "tries", "tried", "tried_error", "settled"}], dead_letters
    ),
)
CHANGE_STATE = Statement(
    "The state beside the stream, once it has one.",
    lambda _: (
        update(states)
        .where(states.c.stream == bindparam("key_stream"))
        .values(state=bindparam("state"), updated=bindparam("updated"))
    ),
)
ADD_STATE = Statement("The first one.", lambda _: _insert_all(states.c, states))


def _insert_all(columns: Iterable[Any], table: Any) -> ClauseElement:
    return insert(table).values({column.name: bindparam(column.name) for column in columns})


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
            **dict.fromkeys(_COUNTED, 0),
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
        ADD_DEAD_LETTER.run(connection, [rows.dead_letter_values(name, one) for one in step.dead])
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
        raise OwnershipLost(
            f"a file of the stream {name!r} is not where this process left it in the ledger: the stream was reset, "
            "moved or restored meanwhile. This batch was not committed. Run the job again: it goes on from the ledger.",
            stream=name,
        )


def _keep_state(connection: Connection, name: str, state: bytes, at: float) -> None:
    values = {"key_stream": name, "stream": name, "state": state, "updated": at}
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


def happened(connection: Connection, name: str, holder: Holder, operation: str) -> bool:
    """Whether a commit is there whose reply was lost. It waits for one that the server may still be at.

    Raises OwnershipLost where the stream has another holder by now: it goes on from what is there, whichever it is.
    """
    fence(connection, name, holder)
    found: str = connection.execute(select(streams.c.operation).where(streams.c.name == name)).scalar_one()
    return found == operation


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
    kept = {row.stream: row.state for row in connection.execute(beside)}
    return [rows.standing_of(row, of.get(row.name, []), kept.get(row.name)) for row in found]


def _refuse_newer(name: str, version: int) -> NoReturn:
    raise StoreTooNew(
        f"the stream {name!r} was written by a newer waycairn (version {version} of the ledger's tables, this one "
        f"knows {VERSION}). Nothing was changed. Upgrade waycairn to follow it.",
        stream=name,
    )
