"""The tables of a store as a whole: what it is stored in, who did what, upkeep, backups."""

from __future__ import annotations

from waycairn.catalog.protection import KEYED, SEALED
from waycairn.catalog.schema import Json, Number, metadata
from waycairn.catalog.sql import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
)

packs = Table(
    "packs",
    metadata,
    Column("id", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created", Double),
    Column("verified", Double),  # when all of it was read back last and found intact
    Column("level", SmallInteger),  # at which its blocks were compressed again, if they were
    Column("place", Text),  # the archive that it was moved to; NULL: with the others
)

blocks = Table(
    "blocks",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),  # of its first chunk
    Column("codec", SmallInteger, nullable=False),
    Column("raw_length", BigInteger, nullable=False),
    Column("stored_length", BigInteger, nullable=False),
    Column("pack", String),
    Column("offset", BigInteger, nullable=False),
    Column("inline", LargeBinary, info=SEALED),
    Column("base", BigInteger),  # number of the chunk that a delta block is the difference to
)

chunks = Table(
    "chunks",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("id", LargeBinary, nullable=False, info=KEYED),
    Column("block", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    # Not unique: two processes may store the same chunk at once, and neither has to fail for it.
    Index("ix_chunks_id", "id"),
)

# Chunks that were read and are damaged. A table of its own: a column would cost each chunk, and there are none in a sound
# store. Nobody finds them again by their ids, so that the same content is written anew.
damaged = Table(
    "damaged",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("damage", Text, nullable=False, info=SEALED),
)

# The keys of an encrypted store, each of them wrapped; none in a plain one.
keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("generation", Integer, nullable=False),  # of the data key that is in it
    Column("kind", String, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created", Double, nullable=False),
)

# Who did what: a chain, each row hashed together with the one before.
audit = Table(
    "audit",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", String, nullable=False),
    Column("object", Text),
    Column("outcome", String, nullable=False),
    Column("facts", Json, nullable=False, info=SEALED),
    Column("hash", LargeBinary, nullable=False, info=SEALED),
)

# What upkeep did last, by the name of the work.
upkeep = Table(
    "upkeep",
    metadata,
    Column("name", String, primary_key=True),
    Column("at", Double, nullable=False),
    Column("facts", Json, nullable=False, info=SEALED),
)

# How long things took: one row an hour, kind of act and process, as a histogram.
measurements = Table(
    "measurements",
    metadata,
    Column("hour", BigInteger, nullable=False),
    Column("name", String, nullable=False),
    Column("writer", String, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("total", Double, nullable=False),
    Column("histogram", LargeBinary, nullable=False),
    PrimaryKeyConstraint("hour", "name", "writer"),
    sqlite_with_rowid=False,
)

# Backups, whole or gone; what they hold is a run of the same id. A row outlives it.
backups = Table(
    "backups",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("label", Text, nullable=False, info=SEALED),
    Column("owner", Text, nullable=False),
    Column("source", Json, nullable=False, info=SEALED),
    Column("state", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("verified", Double),  # when all of it was read back last and found intact
    Column("deleted", Double),  # when the source was deleted
    Column("expires", Double),  # NULL: never
    Column("pinned", Boolean, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("digest", Text, info=SEALED),  # a hash of what is in it, by which it could be known again
    Column("error", Text, info=SEALED),
    Index("ix_backups_created", "created"),
)
