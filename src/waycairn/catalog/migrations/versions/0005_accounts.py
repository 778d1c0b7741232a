"""Format 5: those who use a server, whose a run is, and who entered it. Written as it was released; never edited afterwards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

_JSON = sa.Text().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("runs", sa.Column("account", sa.Text(), nullable=True))
    running = sa.text("status = 'running'")
    op.create_index("ix_runs_running", "runs", ["num"], sqlite_where=running, postgresql_where=running)
    root = sa.text("root = id")
    op.create_index("ix_runs_created", "runs", ["created"], sqlite_where=root, postgresql_where=root)
    op.create_index("ix_runs_name", "runs", ["name"], sqlite_where=root, postgresql_where=root)
    op.create_index("ix_runs_status", "runs", ["status", "created"], sqlite_where=root, postgresql_where=root)
    if op.get_bind().dialect.name == "sqlite":
        rested = sa.text("root = id AND status <> 'running'")
        op.create_index("ix_runs_rested", "runs", ["updated"], sqlite_where=rested)
    op.create_table(
        "entries",
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("begun", sa.Double(), nullable=False),
        sa.Column("owner", _JSON, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("ending", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.num"], name="fk_entries_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "epoch", name="pk_entries"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("disabled", sa.Double(), nullable=True),
        sa.Column("seen", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=True),
        sa.Column("used", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_tokens_account", ondelete="CASCADE"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_index("ix_tokens_account", "tokens", ["account"])
    op.create_table(
        "logins",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("seen", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_logins"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_logins_account", ondelete="CASCADE"),
    )
    op.create_index("ix_logins_account", "logins", ["account"])
