"""Older and newer stores: migrated after a copy, in one transaction; refused; and both ways to a new store agree."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from waycairn.catalog import migrating, open_catalog, opening
from waycairn.catalog.migrating import RELEASED, Steps, migrate, upgrade
from waycairn.catalog.opening import create_tables, open_database, read_info
from waycairn.catalog.tables import FORMAT
from waycairn.errors import StoreTooNew
from waycairn.model.journal import JournalRows
from waycairn.testing.catalog_case import added, present
from waycairn.testing.catalog_sessions import an_iteration
from waycairn.testing.records import a_checkpoint, a_cut

NEXT = f'''
"""A format of the future."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{FORMAT + 1:04d}", "{FORMAT:04d}"

def upgrade():
    op.create_table("future", sa.Column("a", sa.Integer, primary_key=True))
    op.add_column("runs", sa.Column("future", sa.Integer, server_default="7"))
    with op.batch_alter_table("packs") as packs:
        packs.alter_column("size", nullable=True)
'''


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog.db"
    return request.getfixturevalue("postgres_schema")


@pytest.fixture
def steps(tmp_path):
    """The released migrations and one more."""
    scripts = tmp_path / "migrations"
    shutil.copytree(RELEASED.scripts, scripts)
    (scripts / "versions" / f"{FORMAT + 1:04d}_next.py").write_text(NEXT)
    return Steps(FORMAT + 1, scripts)


@pytest.fixture
def store(address):
    """A store of the present format with a run and a checkpoint in it."""
    catalog = open_catalog(address)
    run = added(catalog)
    catalog.commit(a_cut(run.id, 1, checkpoint=a_checkpoint()))
    run = present(catalog, run.id)
    catalog.close()
    return run


def opened(address):
    return open_database(address, "power", create=True, deadline=30)


def format_of(address):
    database = opened(address)
    try:
        return database.read(read_info).format
    finally:
        database.close()


def has_future(address):
    """Whether the tables of the next format are there."""
    database = opened(address)
    try:
        with database.migration() as raw:
            cursor = raw.cursor()
            if database.address.startswith("sqlite"):
                cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = 'future'")
            else:
                cursor.execute("SELECT count(to_regclass('future'))")
            return bool(cursor.fetchone()[0])
    finally:
        database.close()


def schema_of(database):
    """Everything about the tables that a difference could hide in."""
    with database.migration() as raw:
        engine = create_engine(database.address, creator=lambda: raw)
        with engine.connect() as connection:
            if database.address.startswith("sqlite"):
                rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master"))
                found = {(kind, name, table, clauses(sql or "")) for kind, name, table, sql in rows}
            else:
                found = postgres_schema_of(connection)
        engine.dispose(close=False)
    return found


def clauses(sql):
    """The clauses of a definition; the order of its constraints means nothing."""
    words = " ".join(sql.split()).removesuffix(")")  # a column that was added later stands behind the constraints
    return tuple(sorted(clause.strip() for clause in words.split(", ")))


def postgres_schema_of(connection):
    columns = """
        SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = current_schema()"""
    indexes = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
    constraints = """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = current_schema()::regnamespace"""
    schema = connection.execute(text("SELECT current_schema()")).scalar()
    return {
        tuple(str(value).replace(schema, "SCHEMA") for value in row)
        for query in (columns, indexes, constraints)
        for row in connection.execute(text(query))
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_migrations_and_tables_give_the_same_schema(kind, tmp_path, request):
    """Table by table, column by column, index by index, constraint by constraint."""
    if kind == "sqlite":
        addresses = [f"sqlite:///{tmp_path}/{name}.db" for name in ("made", "migrated")]
    else:
        addresses = [request.getfixturevalue("postgres_schema"), request.getfixturevalue("postgres_database")]
    made, migrated = (opened(address) for address in addresses)
    made.write(create_tables)
    with migrated.migration() as raw:
        engine = create_engine(migrated.address, creator=lambda: raw)
        with engine.connect() as connection:
            upgrade(connection, RELEASED)
            connection.commit()
        engine.dispose(close=False)
    schemas = [schema_of(made), schema_of(migrated)]
    for database in (made, migrated):
        database.close()
    assert len(schemas[0]) > 15
    assert schemas[0] == schemas[1]


def test_an_older_store_is_migrated(address, store, steps):
    """The new tables and the new format are there, and so is everything that was."""
    database = opened(address)
    migrate(database, FORMAT, steps)
    assert database.read(read_info).format == FORMAT + 1
    with database.migration() as raw:
        engine = create_engine(database.address, creator=lambda: raw)
        with engine.connect() as connection:
            assert "future" in inspect(connection).get_table_names()
            assert connection.execute(text("SELECT id, future FROM runs")).all() == [(store.id, 7)]
            assert connection.execute(text("SELECT count(*) FROM checkpoints")).scalar() == 1
        engine.dispose(close=False)
    database.close()


def test_opening_an_older_store_migrates_it(address, store, steps, monkeypatch):
    """As a later version of waycairn does it: the run is there, and the next opening has nothing to do."""
    monkeypatch.setattr(opening, "FORMAT", FORMAT + 1)
    monkeypatch.setattr(migrating, "RELEASED", steps)
    for _ in range(2):
        catalog = open_catalog(address, create=False)
        assert catalog.info.format == FORMAT + 1
        assert present(catalog, store.id) == store
        catalog.close()


def test_the_old_store_is_kept_beside(tmp_path, steps):
    """On SQLite a whole copy of the old format lies beside the store and can be opened."""
    address = f"sqlite:///{tmp_path}/catalog.db"
    catalog = open_catalog(address)
    run = added(catalog)
    catalog.close()
    database = opened(address)
    migrate(database, FORMAT, steps)
    database.close()
    copy = tmp_path / f"catalog.db.format-{FORMAT}"
    assert copy.stat().st_mode & 0o777 == 0o600
    catalog = open_catalog(f"sqlite:///{copy}", create=False)
    assert present(catalog, run.id) == run
    catalog.close()


def test_two_processes_may_migrate_at_once(address, store, steps):
    """The second one finds it done."""
    errors = []

    def work():
        database = opened(address)
        try:
            migrate(database, FORMAT, steps)
        except Exception as error:
            errors.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert format_of(address) == FORMAT + 1


def test_a_newer_store_is_refused(address, store):
    """StoreTooNew names both formats, and nothing was changed."""
    database = opened(address)
    with database.migration() as raw:
        raw.cursor().execute("UPDATE meta SET format = 99")
    database.close()
    with pytest.raises(StoreTooNew, match=r"format 99.*Upgrade waycairn") as told:
        open_catalog(address)
    assert (told.value.format, told.value.known) == (99, FORMAT)
    assert format_of(address) == 99


MIGRATE = """
import sys
from pathlib import Path
from waycairn.catalog.migrating import Steps, migrate
from waycairn.catalog.opening import open_database
database = open_database(sys.argv[1], "power", create=True, deadline=30)
migrate(database, int(sys.argv[3]) - 1, Steps(int(sys.argv[3]), Path(sys.argv[2])))
"""


@pytest.mark.parametrize(
    "point",
    [
        "catalog.copy",
        "catalog.copy.rename",
        "catalog.copy.directory",
        "catalog.copied",
        "catalog.migrate",
        "catalog.migrated",
    ],
)
def test_a_kill_leaves_the_old_store_or_the_new_one(address, store, steps, point):
    """Killed before, in and after the transaction of the migration; then run again to its end."""
    if point.startswith("catalog.cop") and not address.startswith("sqlite"):
        pytest.skip("no copy is made of a server")
    command = [sys.executable, "-c", MIGRATE, address, str(steps.scripts), str(steps.format)]
    killed = subprocess.run(command, env={**os.environ, "WAYCAIRN_CRASH": f"{point}@1:KILL"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    expected = FORMAT + 1 if point == "catalog.migrated" else FORMAT
    assert format_of(address) == expected
    assert has_future(address) == (expected > FORMAT)
    if expected == FORMAT:
        catalog = open_catalog(address)
        assert present(catalog, store.id) == store
        catalog.close()
    subprocess.run(command, check=True)
    assert format_of(address) == FORMAT + 1


def test_migrations_are_part_of_the_package():
    """Every format has its numbered file."""
    names = sorted(path.name[:4] for path in Path(RELEASED.scripts, "versions").glob("[0-9]*.py"))
    assert names == [f"{number:04d}" for number in range(1, FORMAT + 1)]


def test_a_store_of_format_1_is_opened(address):
    """As the first release made it: its runs and checkpoints are there, and sessions can be written down."""
    database = opened(address)
    with database.migration() as raw:
        engine = create_engine(database.address, creator=lambda: raw)
        with engine.connect() as connection:
            upgrade(connection, Steps(1, RELEASED.scripts))
            connection.execute(text("INSERT INTO meta VALUES ('a', 1, :secret, 1.5)"), {"secret": b"s" * 32})
            connection.execute(text("INSERT INTO counters VALUES ('chunk', 1), ('sweep', 0)"))
            connection.commit()
        engine.dispose(close=False)
    database.close()
    catalog = open_catalog(address, create=False)
    assert catalog.info.format == FORMAT
    run = added(catalog)
    catalog.commit(a_cut(run.id, 1, journal=JournalRows(iterations=[an_iteration(1)]), checkpoint=a_checkpoint()))
    assert [iteration.number for iteration in catalog.iterations(run.id)] == [1]
    catalog.close()
