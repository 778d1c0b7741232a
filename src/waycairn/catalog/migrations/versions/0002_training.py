"""Format 2: the base of a block, for those that are stored as a difference."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("blocks", sa.Column("base", sa.BigInteger(), nullable=True))
