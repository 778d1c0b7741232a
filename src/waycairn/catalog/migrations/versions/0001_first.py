"""Format 1: meta, counters, runs, items, failures, computed, queued, steps, outputs, checkpoints, packs, blocks, chunks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.Text().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "blocks",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("codec", sa.SmallInteger(), nullable=False),
        sa.Column("raw_length", sa.BigInteger(), nullable=False),
        sa.Column("stored_length", sa.BigInteger(), nullable=False),
        sa.Column("pack", sa.String(), nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("inline", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_blocks"),
    )
    op.create_table(
        "chunks",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_chunks"),
    )
    op.create_index("ix_chunks_id", "chunks", ["id"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "meta",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_meta"),
    )
    op.create_table(
        "packs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_packs"),
    )
    op.create_table(
        "runs",
        sa.Column("num", _NUMBER, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("operation", sa.LargeBinary(), nullable=True),
        sa.Column("owner", _JSON, nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("fingerprint", _JSON, nullable=True),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("tags", _JSON, nullable=False),
        sa.Column("metadata", _JSON, nullable=False),
        sa.Column("launch", _JSON, nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("error", _JSON, nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["parent"], ["runs.id"], name="fk_runs_parent", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("num", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
        sa.UniqueConstraint("identity", name="uq_runs_identity"),
    )
    op.create_index("ix_runs_parent", "runs", ["parent"], unique=False)
    op.create_index("ix_runs_root", "runs", ["root"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("iteration", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("damage", sa.Text(), nullable=True),
        sa.Column("tags", _JSON, nullable=False),
        sa.Column("metadata", _JSON, nullable=False),
        sa.Column("outputs", _JSON, nullable=False),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_checkpoints_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "sequence", name="pk_checkpoints"),
    )
    op.create_table(
        "computed",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_computed_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "loop", "digest", name="pk_computed"),
    )
    op.create_table(
        "failures",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.Double(), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.Column("poison", sa.Boolean(), nullable=False),
        sa.Column("error", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_failures_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "loop", "digest", name="pk_failures"),
    )
    op.create_table(
        "items",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=True),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=True),
        sa.Column("new_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_items_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "loop", "sequence", name="pk_items"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outputs",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("begins", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_outputs_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "place", name="pk_outputs"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "queued",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_queued_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "queue", "sequence", name="pk_queued"),
    )
    op.create_table(
        "steps",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("arguments", sa.LargeBinary(), nullable=True),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.Column("took", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_steps_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "place", name="pk_steps"),
    )
