"""Bringing an older store to the present format: a copy first, then all steps in one transaction.

A kill at any point leaves the old store or the new one. Alembic is imported here and nowhere else: a new store is
made from `tables` directly, and a test holds that both give the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, update
from sqlalchemy.pool import StaticPool

from waycairn.catalog.database import Database
from waycairn.catalog.opening import ONE_CREATOR, read_info
from waycairn.catalog.tables import FORMAT, meta, revision
from waycairn.world.crashpoints import crashpoint

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Steps:
    """Where the migrations lie and how far they lead."""

    format: int
    scripts: Path


RELEASED = Steps(FORMAT, Path(__file__).parent / "migrations")


def migrate(database: Database, found: int, steps: Steps) -> None:
    """Bring the tables from format `found` to that of `steps`. Idempotent: a store that another process has brought
    there meanwhile is left alone."""
    with database.migration() as raw:
        info = database.read(read_info)
        if info is not None and info.format >= steps.format:
            return
        copy = database.copy_aside(f"format-{found}")
        engine = create_engine(database.address, creator=lambda: raw, poolclass=StaticPool)
        # The driver's connection is in autocommit mode, so the transaction is begun and ended by our own words.
        event.listen(engine, "begin", _begin)
        try:
            with engine.begin() as connection:
                connection.execute(ONE_CREATOR.core(connection.dialect))
                upgrade(connection, steps)
                connection.execute(update(meta).values(format=steps.format))
                crashpoint("catalog.migrate")
        finally:
            engine.dispose(close=False)
    crashpoint("catalog.migrated")
    _log.info("migrated %s from format %d to %d; %s", database.name, found, steps.format, copy)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")


def upgrade(connection: Connection, steps: Steps) -> None:
    """Run Alembic in the transaction of this connection."""
    from alembic import command
    from alembic.config import Config

    settings: Any = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(steps.scripts).replace("%", "%%"))
    command.upgrade(settings, revision(steps.format))
