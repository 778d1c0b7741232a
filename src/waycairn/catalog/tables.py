"""The tables, all of them; here those of runs. Ids are text outside; inside, rows hang on the small number of their run, to stay
small."""

from __future__ import annotations

from typing import Any

from waycairn.catalog.account_tables import accounts, logins, tokens
from waycairn.catalog.protection import HASHED, KEYED, MANIFEST, MATCHED, SEALED
from waycairn.catalog.schema import FORMAT, Json, Number, metadata, revision
from waycairn.catalog.sql import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)
from waycairn.catalog.store_tables import audit, backups, blocks, chunks, damaged, keys, measurements, packs, upkeep

__all__ = [
    "FORMAT",
    "Json",
    "accounts",
    "audit",
    "backups",
    "blocks",
    "checkpoints",
    "chunks",
    "computed",
    "counters",
    "damaged",
    "discovered_patterns",
    "entries",
    "failures",
    "items",
    "iterations",
    "keys",
    "logins",
    "measurements",
    "meta",
    "metadata",
    "metrics",
    "outputs",
    "packs",
    "queued",
    "revision",
    "rule_metadata",
    "rule_performance",
    "runs",
    "steps",
    "tokens",
    "upkeep",
    "versions",
]

# One row: what the store is. Written once, and by migrations.
meta = Table(
    "meta",
    metadata,
    Column("id", String, primary_key=True),
    Column("format", Integer, nullable=False),
    Column("secret", LargeBinary, nullable=False, info=SEALED),
    Column("created", Double, nullable=False),
)

# 'chunk': the next free chunk number. 'sweep': how many sweeps removed chunks. Two rows, so that neither locks the other.
counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("num", Number, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("root", String, nullable=False, index=True),
    Column("parent", String, ForeignKey("runs.id", ondelete="CASCADE"), index=True),
    Column("name", Text, nullable=False),
    Column("key", Text, info=SEALED),
    Column("identity", Text, unique=True, info=HASHED),  # (parent, name, key) rendered; NULL once replaced
    Column("status", String, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("operation", LargeBinary),  # the newest commit's
    Column("owner", Json),
    Column("lease_until", Double),
    Column("fingerprint", Json, info=SEALED),
    Column("task", Text),
    Column("tags", Json, nullable=False, info=SEALED),
    Column("metadata", Json, nullable=False, info=SEALED),
    Column("launch", Json, info=SEALED),
    Column("done", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("note", Text, info=SEALED),
    Column("error", Json, info=SEALED),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("entered", Integer, nullable=False),
    Column("origin", Text),  # the checkpoint that a fork began at
    Column("account", Text),  # whose it is: who created it; NULL before format 5
    # Whoever looks again and again looks at few rows. A commit changes no column of these, so it writes nothing here.
    Index(
        "ix_runs_running", "num", sqlite_where=text("status = 'running'"), postgresql_where=text("status = 'running'")
    ),
    # Pages of runs; phases are not listed.
    Index("ix_runs_created", "created", sqlite_where=text("root = id"), postgresql_where=text("root = id")),
    Index("ix_runs_name", "name", sqlite_where=text("root = id"), postgresql_where=text("root = id")),
    Index("ix_runs_status", "status", "created", sqlite_where=text("root = id"), postgresql_where=text("root = id")),
    # By their last commit, once they rest. PostgreSQL could not update a row in place whose indexed columns change (HOT), and a
    # commit changes this one: there the rows are looked through.
    Index("ix_runs_rested", "updated", sqlite_where=text("root = id AND status <> 'running'")).ddl_if(dialect="sqlite"),
)


def _run() -> Column[int]:
    return Column("run", Number, ForeignKey("runs.num", ondelete="CASCADE"), nullable=False)


# Each entry into a run that has an owner. Written when it begins and when it ends, never by a commit between.
entries = Table(
    "entries",
    metadata,
    _run(),
    Column("epoch", BigInteger, nullable=False),
    Column("begun", Double, nullable=False),
    Column("owner", Json, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # the newest commit when it began
    Column("ended", Double),
    Column("ending", String),  # what its run became, or how it ended without leaving it
    PrimaryKeyConstraint("run", "epoch"),
    sqlite_with_rowid=False,
)


def _stored() -> tuple[Column[Any], ...]:
    """Where an encoded state lies."""
    return (
        Column("manifest", LargeBinary, nullable=False, info=MANIFEST),
        Column("root", LargeBinary, nullable=False, info=KEYED),
        Column("raw_bytes", BigInteger, nullable=False),
        Column("new_bytes", BigInteger, nullable=False),
    )


# The tables below are clustered by their key on SQLite (WITHOUT ROWID): one page to write where an index beside
# the table would make it two.

# One row a cut and loop: 0.5 µs an item, where a row an item with a random key takes 24 µs.
items = Table(
    "items",
    metadata,
    _run(),
    Column("loop", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("keys", LargeBinary, nullable=False, info=SEALED),
    # The results of these items, if there are any: a state of its own.
    Column("manifest", LargeBinary, info=MANIFEST),
    Column("root", LargeBinary, info=KEYED),
    Column("raw_bytes", BigInteger),
    Column("new_bytes", BigInteger),
    PrimaryKeyConstraint("run", "loop", "sequence"),
    sqlite_with_rowid=False,
)

# Items that failed and are not done.
failures = Table(
    "failures",
    metadata,
    _run(),
    Column("loop", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, info=MATCHED),  # 16 bytes over the key, which may be long
    Column("key", LargeBinary, nullable=False, info=SEALED),
    Column("sequence", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("first", Double, nullable=False),
    Column("last", Double, nullable=False),
    Column("poison", Boolean, nullable=False),  # it killed the process that ran it
    Column("error", Json, nullable=False, info=SEALED),
    PrimaryKeyConstraint("run", "loop", "digest"),
)

# Items whose result was computed in one cut and is to be folded in a later one. Few: as many as wait for the fold.
computed = Table(
    "computed",
    metadata,
    _run(),
    Column("loop", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, info=MATCHED),
    Column("key", LargeBinary, nullable=False, info=SEALED),
    Column("sequence", BigInteger, nullable=False),
    *_stored(),
    PrimaryKeyConstraint("run", "loop", "digest"),
)

# What was added to a queue: one row a cut and queue, as a bundle.
queued = Table(
    "queued",
    metadata,
    _run(),
    Column("queue", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    *_stored(),
    PrimaryKeyConstraint("run", "queue", "sequence"),
)

steps = Table(
    "steps",
    metadata,
    _run(),
    Column("place", Text, nullable=False, info=MATCHED),  # scope (the key of an item may be in it) and name
    Column("sequence", BigInteger, nullable=False),
    Column("arguments", LargeBinary, info=SEALED),
    Column("manifest", LargeBinary, nullable=False, info=MANIFEST),
    Column("root", LargeBinary, nullable=False, info=KEYED),
    Column("raw_bytes", BigInteger, nullable=False),
    Column("new_bytes", BigInteger, nullable=False),
    Column("took", Double, nullable=False),
    PrimaryKeyConstraint("run", "place"),
)

outputs = Table(
    "outputs",
    metadata,
    _run(),
    Column("place", Text, nullable=False, info=MATCHED),  # the path
    Column("begins", BigInteger, nullable=False),  # bytes that were there before the run: going back never takes them
    Column("length", BigInteger, nullable=False),
    PrimaryKeyConstraint("run", "place"),
    sqlite_with_rowid=False,
)

# With a row id, unlike the small tables: rows of some kilobytes append faster to it (mean 141 against 157 µs a commit).
checkpoints = Table(
    "checkpoints",
    metadata,
    _run(),
    Column("sequence", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("role", String, nullable=False),
    Column("status", String, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("iteration", BigInteger),
    Column("expires", Double),
    Column("reason", Text),
    Column("description", Text, info=SEALED),
    Column("damage", Text, info=MATCHED),
    Column("tags", Json, nullable=False, info=SEALED),
    Column("metadata", Json, nullable=False, info=SEALED),
    Column("outputs", Json, nullable=False, info=SEALED),
    Column("raw_bytes", BigInteger, nullable=False),
    Column("new_bytes", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False, info=KEYED),
    Column("manifest", LargeBinary, nullable=False, info=MANIFEST),
    PrimaryKeyConstraint("run", "sequence"),
)

# What was logged: one row a cut, the points column by column. 10,000 rows of a metric each would take 80 times the room.
metrics = Table(
    "metrics",
    metadata,
    _run(),
    Column("sequence", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("entered", Double, nullable=False),  # when the entry began that took this cut
    Column("created", Double, nullable=False),
    Column("saving", Double, nullable=False),  # seconds that cuts took since the row before
    Column("first", BigInteger),  # the lowest and highest step; NULL where only iterations, rules or patterns were
    Column("last", BigInteger),
    Column("count", BigInteger, nullable=False),
    Column("points", LargeBinary, nullable=False, info=SEALED),
    PrimaryKeyConstraint("run", "sequence"),
)

iterations = Table(
    "iterations",
    metadata,
    _run(),
    Column("number", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("took", Double, nullable=False),
    Column("improvement", Double),
    Column("metrics", Json, nullable=False, info=SEALED),
    Column("facts", Json, nullable=False, info=SEALED),  # description, error
    PrimaryKeyConstraint("run", "number"),
    Index("ix_iterations_sequence", "run", "sequence"),
    # `postgres` adds ix_iterations_metrics.
)

# Each trial of a rule. Nothing is changed in place, so that going back needs only to delete.
rule_performance = Table(
    "rule_performance",
    metadata,
    _run(),
    Column("sequence", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),  # within its cut
    Column("rule", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("iteration", BigInteger),
    Column("score", Double, nullable=False),
    Column("baseline", Double, nullable=False),
    Column("improvement", Double, nullable=False),
    Column("candidate", Boolean, nullable=False),
    Column("promoted", Boolean, nullable=False),
    Column("parameters", Json, nullable=False, info=SEALED),
    Column("description", Text, info=SEALED),
    PrimaryKeyConstraint("run", "sequence", "place"),
    Index("ix_rule_performance_rule", "rule"),
)

# The best of each rule in the whole store. Not below its run: what was learned outlives who learned it.
rule_metadata = Table(
    "rule_metadata",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("run", String, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("iteration", BigInteger),
    Column("updated", Double, nullable=False),
    Column("score", Double, nullable=False),
    Column("baseline", Double, nullable=False),
    Column("improvement", Double, nullable=False),
    Column("parameters", Json, nullable=False, info=SEALED),
    Column("description", Text, info=SEALED),
)

discovered_patterns = Table(
    "discovered_patterns",
    metadata,
    _run(),
    Column("sequence", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("pattern", Text, nullable=False, info=SEALED),
    Column("created", Double, nullable=False),
    Column("iteration", BigInteger),
    Column("effectiveness", Double, nullable=False),
    Column("data", Json, info=SEALED),
    Column("description", Text, info=SEALED),
    PrimaryKeyConstraint("run", "sequence", "place"),
)

versions = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own, written here so that a new store needs no Alembic."""
