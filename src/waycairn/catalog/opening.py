"""Opening a catalog: create a new one, migrate an older one, refuse a newer one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from sqlalchemy import bindparam, column, create_mock_engine, func, insert, literal, select, table, text
from sqlalchemy.sql.elements import ClauseElement

from waycairn.catalog.audit import append
from waycairn.catalog.database import Database, Row, Session
from waycairn.catalog.mounts import check_local
from waycairn.catalog.shapes import reads
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import FORMAT, counters, meta, metadata, revision, versions
from waycairn.catalog.whole import SqlCatalog
from waycairn.errors import StoreNotFound, StoreTooNew
from waycairn.model.audit import AuditEntry
from waycairn.model.policy import Durability
from waycairn.model.records import StoreInfo
from waycairn.ports import Catalog, Clock
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_nonce, new_secret

READ_META = Statement(
    "read_meta", "What the store is.", select(meta.c.id, meta.c.format, meta.c.secret, meta.c.created)
)
WRITE_META = Statement(
    "write_meta", "Name a new store.", insert(meta).values(**{column.name: bindparam(column.name) for column in meta.c})
)
ADD_COUNTER = Statement(
    "add_counter",
    "A counter and where it begins.",
    insert(counters).values(name=bindparam("name"), value=bindparam("value")),
)
STAMP = Statement(
    "stamp", "Which migration the tables are at.", insert(versions).values(version_num=bindparam("revision"))
)


def _has_tables(build: Build) -> ClauseElement:
    if build.is_sqlite:
        return (
            select(column("name")).select_from(table("sqlite_master", column("name"))).where(column("name") == "meta")
        )
    return select(func.to_regclass("meta")).where(func.to_regclass("meta").is_not(None))


HAS_TABLES = Statement("has_tables", "Whether there is a store at all.", _has_tables)
ONE_CREATOR = Statement(
    "one_creator",
    "Let one process create the tables. On SQLite the transaction itself does that.",
    lambda build: select(literal(1)) if build.is_sqlite else select(func.pg_advisory_xact_lock(_CREATOR)),
)
_SECRET = 32
"""Bytes."""
_CREATOR = 7_734_212_019
"""Any number, so long as it is always the same."""

MARK_FILE = Statement(
    "mark_file",
    "Write 'wcai' where `file` and SQLite's tools look for the name of an application.",
    lambda build: text("PRAGMA application_id = 2003001705") if build.is_sqlite else select(literal(1)),
)


def open_database(url: str, durability: Durability, *, create: bool, deadline: float) -> Database:
    """The database that the address names; nothing is written to it yet."""
    if url.startswith("sqlite:///"):
        return _open_file(Path(url.removeprefix("sqlite:///")), durability, create=create)
    if url.startswith(("postgresql://", "postgres://")):
        from waycairn.catalog.postgres import PostgresDatabase

        return PostgresDatabase(url, durability, deadline)
    raise ValueError(
        f"{url!r} is no address of a catalog; they look like sqlite:////absolute/path/catalog.db or "
        "postgresql://user@host/database"
    )


def _open_file(path: Path, durability: Durability, *, create: bool) -> Database:
    from waycairn.catalog.sqlite import SqliteDatabase, create_file

    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, and the link may be what moves
    check_local(path)
    if not path.exists():
        if not create:
            _refuse_missing(str(path))
        create_file(path)
    return SqliteDatabase(path, durability)


def open_store(database: Database, clock: Clock, *, create: bool, actor: str = "") -> Catalog:
    """Create or migrate what the database holds, and open it. Closes the database if that cannot be done."""
    try:
        info = database.read(read_info)
        if info is None:
            if not create:
                _refuse_missing(database.name)
            info = database.write(lambda session: _create(session, clock, actor))
        if info.format > FORMAT:
            _refuse_newer(database.name, info.format)
        if info.format < FORMAT:
            from waycairn.catalog.migrating import RELEASED, migrate

            migrate(database, info.format, RELEASED)
            found, info = info.format, replace(info, format=FORMAT)
            if actor:
                _note_migration(database, clock, info, found, actor)
        return SqlCatalog(database, clock, info)
    except BaseException:
        database.close()
        raise


def read_info(session: Session) -> StoreInfo | None:
    row = session.one(READ_META) if session.one(HAS_TABLES) else None
    return None if row is None else _info_of(row)


@reads((meta.c.id, meta.c.format, meta.c.secret, meta.c.created))
def _info_of(row: Row) -> StoreInfo:
    id_, format_, secret, created = row
    if len(secret) != _SECRET:
        raise ValueError(f"a secret of {len(secret)} bytes")
    return StoreInfo(id=id_, format=format_, secret=bytes(secret), created=created)


def _create(session: Session, clock: Clock, actor: str) -> StoreInfo:
    """Tables, name and version in one transaction: a store is there whole or not at all."""
    session.one(ONE_CREATOR)
    info = read_info(session)
    if info is not None:
        # Another process was faster.
        return info
    session.run(MARK_FILE)
    create_tables(session)
    info = StoreInfo(id=new_nonce(), format=FORMAT, secret=new_secret(), created=clock.now())
    session.change(WRITE_META, {"id": info.id, "format": info.format, "secret": info.secret, "created": info.created})
    session.many(ADD_COUNTER, [{"name": "chunk", "value": 1}, {"name": "sweep", "value": 0}])
    session.change(STAMP, {"revision": revision(FORMAT)})
    if actor:
        created = AuditEntry(at=info.created, actor=actor, act="store.create", facts={"id": info.id, "format": FORMAT})
        append(session, info.secret, created)
    crashpoint("catalog.create")
    return info


def _note_migration(database: Database, clock: Clock, info: StoreInfo, found: int, actor: str) -> None:
    """The tables for it are there only now. Of several processes that found the old format each says so."""
    entry = AuditEntry(at=clock.now(), actor=actor, act="store.migrate", facts={"from": found, "to": info.format})
    database.write(lambda session: append(session, info.secret, entry))


def create_tables(session: Session) -> None:
    """All tables of the present format, in the transaction of the session."""
    engine = create_mock_engine(session.address, lambda element, *_, **__: session.define(element))
    metadata.create_all(engine, checkfirst=False)
    versions.create(engine, checkfirst=False)


def _refuse_missing(name: str) -> NoReturn:
    raise StoreNotFound(
        f"there is no store at {name}. Nothing was created. Check the address, or create the store with "
        "wc.open(address).",
        address=name,
    )


def _refuse_newer(name: str, found: int) -> NoReturn:
    raise StoreTooNew(
        f"the store at {name} has format {found}, written by a newer waycairn; this one knows formats up to "
        f"{FORMAT}. Nothing was changed. Upgrade waycairn to open it.",
        address=name,
        format=found,
        known=FORMAT,
    )
