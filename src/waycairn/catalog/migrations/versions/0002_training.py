"""Format 2: what a session writes down, and the base of a block that is stored as a difference. Written as it was
released; never edited afterwards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.Text().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("blocks", sa.Column("base", sa.BigInteger(), nullable=True))
    op.create_table(
        "metrics",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("entered", sa.Double(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("saving", sa.Double(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=True),
        sa.Column("last", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_metrics_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "sequence", name="pk_metrics"),
    )
    op.create_table(
        "iterations",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("took", sa.Double(), nullable=False),
        sa.Column("improvement", sa.Double(), nullable=True),
        sa.Column("metrics", _JSON, nullable=False),
        sa.Column("facts", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_iterations_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "number", name="pk_iterations"),
    )
    op.create_index("ix_iterations_sequence", "iterations", ["run", "sequence"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_iterations_metrics", "iterations", ["metrics"], unique=False, postgresql_using="gin")
    op.create_table(
        "rule_performance",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("iteration", sa.BigInteger(), nullable=True),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("baseline", sa.Double(), nullable=False),
        sa.Column("improvement", sa.Double(), nullable=False),
        sa.Column("candidate", sa.Boolean(), nullable=False),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("parameters", _JSON, nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_rule_performance_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "sequence", "place", name="pk_rule_performance"),
    )
    op.create_index("ix_rule_performance_rule", "rule_performance", ["rule"], unique=False)
    op.create_table(
        "rule_metadata",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("iteration", sa.BigInteger(), nullable=True),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("baseline", sa.Double(), nullable=False),
        sa.Column("improvement", sa.Double(), nullable=False),
        sa.Column("parameters", _JSON, nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("rule", name="pk_rule_metadata"),
    )
    op.create_index("ix_rule_metadata_run", "rule_metadata", ["run"], unique=False)
    op.create_table(
        "discovered_patterns",
        sa.Column("run", _NUMBER, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("iteration", sa.BigInteger(), nullable=True),
        sa.Column("effectiveness", sa.Double(), nullable=False),
        sa.Column("data", _JSON, nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_discovered_patterns_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "sequence", "place", name="pk_discovered_patterns"),
    )
