"""What Alembic runs: all steps in the one transaction of the connection that `migrating` hands over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite's DDL is transactional too; Alembic's default for it dates from a driver that committed before DDL.
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
