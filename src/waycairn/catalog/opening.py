"""Opening a catalog: create a new one, migrate an older one, refuse a newer one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from waycairn.catalog.audit import append
from waycairn.catalog.copying import UNFINISHED
from waycairn.catalog.database import Database, Row, Session
from waycairn.catalog.keys import add_keys, hold_keys, read_keys
from waycairn.catalog.mounts import check_local
from waycairn.catalog.sealed_values import name_of, seal_of
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import ClauseElement, bindparam, column, func, insert, literal, select, table, text
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import FORMAT, counters, meta, metadata, revision, versions
from waycairn.catalog.whole import SqlCatalog
from waycairn.errors import CopyUnfinished, KeyMissing, StoreError, StoreNotFound, StoreTooNew
from waycairn.model.audit import AuditEntry
from waycairn.model.keys import DataKeys, WrappedKey
from waycairn.model.policy import Durability
from waycairn.model.records import StoreInfo
from waycairn.ports import Catalog, Clock, Keyholder
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
_SEALED_SECRET = _SECRET + 39
"""Of an encrypted store: nothing else in the catalog says that it is one."""
_CREATOR = 7_734_212_019
"""Any number, so long as it is always the same."""

DROP_METRICS_INDEX = Statement(
    "drop_metrics_index",
    "An encrypted store cannot search in metrics, and an index of sealed values would only cost.",
    lambda build: select(literal(1)) if build.is_sqlite else text("DROP INDEX ix_iterations_metrics"),
)
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


def open_store(
    database: Database,
    clock: Clock,
    *,
    create: bool,
    keys: Keyholder | None = None,
    copy: bool = False,
    actor: str = "",
) -> Catalog:
    """Create or migrate what the database holds, and open it; with `copy` a store that is a copy still being made, and only
    such a one. Closes the database if that cannot be done."""
    try:
        info = database.read(read_info)
        if info is None:
            if not create:
                _refuse_missing(database.name)
            info = database.write(lambda session: _create(session, clock, keys, copy=copy, actor=actor))
        if (info.format >= UNFINISHED) != copy:
            _refuse_copy(database.name, is_one=not copy)
        info = replace(info, format=info.format - UNFINISHED * copy)
        if info.format > FORMAT:
            _refuse_newer(database.name, info.format)
        if info.format < FORMAT:
            from waycairn.catalog.migrating import RELEASED, migrate

            migrate(database, info.format, RELEASED)
            found, info = info.format, replace(info, format=FORMAT)
            if actor:
                _note_migration(database, clock, info, found, actor)  # a store of an older format is a plain one
        return SqlCatalog(database, clock, _unlocked(database, info, keys))
    except BaseException:
        database.close()
        raise


def read_info(session: Session) -> StoreInfo | None:
    """Its secret may be sealed."""
    row = session.one(READ_META) if session.one(HAS_TABLES) else None
    return None if row is None else _info_of(row)


@reads((meta.c.id, meta.c.format, meta.c.secret, meta.c.created))
def _info_of(row: Row) -> StoreInfo:
    id_, format_, secret, created = row
    if len(secret) not in {_SECRET, _SEALED_SECRET}:
        raise ValueError(f"a secret of {len(secret)} bytes")
    return StoreInfo(id=id_, format=format_, secret=bytes(secret), created=created)


def _is_sealed(info: StoreInfo) -> bool:
    """Whether this is the row of an encrypted store, its secret still sealed."""
    return len(info.secret) == _SEALED_SECRET


def _unlocked(database: Database, info: StoreInfo, keys: Keyholder | None) -> StoreInfo:
    """The secret of an encrypted store, opened, and its vault at work."""
    if not _is_sealed(info):
        if keys is not None:
            keys.meets_plain(database.name)
        return info
    from waycairn.crypto import AesVault

    keys = _keyholder(keys, database.name)
    data_keys = keys.open(info.id, database.read(read_keys), database.name)
    secret = AesVault(info.id, data_keys).unseal(info.secret, _secret_context(info.id))
    vault = AesVault(info.id, data_keys, secret)
    vault.renewing = lambda: keys.open(info.id, database.read(read_keys), database.name)
    database.seal(
        vault, lambda session: hold_keys(session, vault, lambda rows: keys.open(info.id, rows, database.name))
    )
    return replace(info, secret=secret, vault=vault)


def _keyholder(keys: Keyholder | None, name: str) -> Keyholder:
    if keys is None:
        raise KeyMissing(
            f"the store at {name} is encrypted, and no key was given. Nothing was read or changed. Give the passphrase or "
            "the key file of the store.",
            address=name,
        )
    return keys


def _secret_context(store: str) -> bytes:
    return seal_of(meta.c.secret).context(name_of([store]))


def _create(session: Session, clock: Clock, keys: Keyholder | None, *, copy: bool, actor: str) -> StoreInfo:
    """Tables, name and version in one transaction: a store is there whole or not at all."""
    session.one(ONE_CREATOR)
    info = read_info(session)
    if info is not None:
        # Another process was faster.
        return info
    session.run(MARK_FILE)
    create_tables(session)
    info = StoreInfo(id=new_nonce(), format=FORMAT + UNFINISHED * copy, secret=new_secret(), created=clock.now())
    secret, writer = info.secret, session
    if keys is not None and (made := keys.create(info.id)) is not None:
        from waycairn.crypto import AesVault

        info = _encrypted(session, info, *made)
        writer = session.sealed(AesVault(info.id, made[0], secret))
    session.change(WRITE_META, {"id": info.id, "format": info.format, "secret": info.secret, "created": info.created})
    session.many(ADD_COUNTER, [{"name": "chunk", "value": 1}, {"name": "sweep", "value": 0}])
    session.change(STAMP, {"revision": revision(FORMAT)})
    if actor:
        created = AuditEntry(at=info.created, actor=actor, act="store.create", facts={"id": info.id, "format": FORMAT})
        append(writer, secret, created)
    crashpoint("catalog.create")
    return info


def _encrypted(session: Session, info: StoreInfo, keys: DataKeys, rows: Sequence[WrappedKey]) -> StoreInfo:
    """The row of a store that is encrypted from its first byte."""
    from waycairn.crypto import AesVault

    add_keys(session, rows)
    session.run(DROP_METRICS_INDEX)
    return replace(info, secret=AesVault(info.id, keys).seal(info.secret, _secret_context(info.id)))


def _note_migration(database: Database, clock: Clock, info: StoreInfo, found: int, actor: str) -> None:
    """The tables for it are there only now. Of several processes that found the old format each says so."""
    entry = AuditEntry(at=clock.now(), actor=actor, act="store.migrate", facts={"from": found, "to": info.format})
    database.write(lambda session: append(session, info.secret, entry))


def create_tables(session: Session) -> None:
    """All tables of the present format, in the transaction of the session."""
    session.define(metadata, versions.metadata)


def _refuse_missing(name: str) -> NoReturn:
    raise StoreNotFound(
        f"there is no store at {name}. Nothing was created. Check the address, or create the store with "
        "wc.open(address).",
        address=name,
    )


def _refuse_copy(name: str, *, is_one: bool) -> NoReturn:
    if is_one:
        raise CopyUnfinished(
            f"the store at {name} is a copy that was never finished. Nothing was changed. Run the same `waycairn copy` again: "
            "it goes on; or delete it.",
            address=name,
        )
    raise StoreError(
        f"there is a store at {name} already, and a copy never overwrites one. Nothing was changed. Name another destination, "
        "or delete what is there.",
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
