"""The ledger's tables and the statements of each batch. They lie in the user's database, beside the user's tables, so that rows and offsets commit together.

Every row of a stream carries the version of these tables: a newer one is refused, never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.elements import ClauseElement

from waycairn.streams.records import Counts
from waycairn.streams.statement import Statement

VERSION = 1
"""Of the tables as they are below."""

metadata = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite makes ids by itself only for what is called INTEGER."""

streams = Table(
    "waycairn_streams",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("run", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("operation", Text, nullable=False),
    Column("commits", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("dead", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("blank", BigInteger, nullable=False),
    Column("nuls", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sink_length", BigInteger),
    Column("sink_tail_length", Integer, nullable=False),
    Column("sink_tail_digest", LargeBinary, nullable=False),
    Column("parser", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
)

states = Table(
    "waycairn_stream_states",
    metadata,
    Column("stream", Text, primary_key=True),
    # Not in the stream's row: that one changes with every batch, and SQLite writes a row again as a whole.
    Column("state", LargeBinary, nullable=False),
    Column("updated", Double, nullable=False),
)

generations = Table(
    "waycairn_generations",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", LargeBinary, nullable=False),
    # The kernel's numbers are unsigned, the database's are not: see `rows`.
    Column("device", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("born", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
    Column("head_length", Integer, nullable=False),
    Column("head_digest", LargeBinary, nullable=False),
    Column("tail_length", Integer, nullable=False),
    Column("tail_digest", LargeBinary, nullable=False),
    Column("posts", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("compression", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_open_ended", Boolean, nullable=False),
    Column("copy_of", BigInteger),
    Column("unread", BigInteger, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("updated", Double, nullable=False),
)

dead_letters = Table(
    "waycairn_dead_letters",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("tried", Double),
    Column("tried_error", Text),
    Column("settled", Double),
    # One line is a dead letter once: a second row for it would be a batch that was committed twice.
    UniqueConstraint("stream", "generation", "offset", name="waycairn_dead_letters_place"),
    Index("waycairn_dead_letters_open", "stream", "settled", "id"),
    sqlite_autoincrement=True,
)

COUNTED = Counts.__struct_fields__


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
            **{name: streams.c[name] + bindparam("add_" + name) for name in COUNTED},
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
