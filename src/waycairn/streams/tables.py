"""The ledger's tables. They lie in the user's database, beside the user's tables, so that rows and offsets commit together.

Every row of a stream carries the version of these tables: a newer one is refused, never guessed at.
"""

from __future__ import annotations

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
)

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
