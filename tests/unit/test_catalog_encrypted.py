"""Rows of an encrypted store: nothing lies in the clear that should not, and nothing opens where it does not belong.

Every table and every column takes part, by what `tables` says of it: one that is added takes part by itself.
"""

import sqlite3
from contextlib import closing

import pytest
from msgspec.structs import replace
from sqlalchemy import Boolean, Double, Integer, LargeBinary, bindparam, insert, select

from waycairn.catalog import open_catalog
from waycairn.catalog.opening import open_database
from waycairn.catalog.phrases import meant
from waycairn.catalog.plan import names_of_row
from waycairn.catalog.protection import Protection, is_touched, protection_of
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import Json, metadata, runs
from waycairn.crypto import AesVault, GivenKeys
from waycairn.errors import Damaged, KeyMissing, NotEncrypted, StoreError
from waycairn.model.keys import DataKeys
from waycairn.model.records import RunFilter
from waycairn.testing.records import NOW, a_run
from waycairn.world.randomness import new_run_id

KEYS = DataKeys(1, {1: bytes(range(32))})
TABLES = [table for table in metadata.sorted_tables if any(map(is_touched, table.c)) and table.name != "meta"]
COLUMNS = [column for table in TABLES for column in table.c if is_touched(column)]
READ = [column for column in COLUMNS if protection_of(column) is not Protection.HASHED]
SEALED = [column for column in READ if protection_of(column) is Protection.SEALED]


def value(column, row):
    """Something that a column of this type holds, another one in each row."""
    if column.foreign_keys:
        return None if column.name == "parent" else row
    if column.type is Json:
        return f'{{"planted":"{column.name} {row}"}}'
    for kind, made in ((Boolean, True), (Integer, row), (Double, row + 0.5)):
        if isinstance(meant(column).type, kind):
            return made
    text = f"planted {column} {row}"
    return text.encode() if isinstance(meant(column).type, LargeBinary) else text


def added(table):
    return Statement("add", "", insert(table).values({column.name: bindparam(column.name) for column in table.c}))


def everything(table):
    """All that can be read of a table, and the ids of runs."""
    read = [column for column in table.c if protection_of(column) is not Protection.HASHED]
    query = select(*read)
    if "run" in names_of_row(table):
        query = query.add_columns(runs.c.id).join(runs, runs.c.num == table.c.run)
    return Statement("everything", "", query.order_by(*(c for c in table.primary_key if not is_touched(c))))


class Store:
    """An encrypted catalog with two rows in every table."""

    def __init__(self, path, store="a store"):
        self.path = path
        open_catalog(f"sqlite:///{path}").close()
        self.database = open_database(f"sqlite:///{path}", "process", create=False, deadline=1)
        self.raw = sqlite3.connect(path, isolation_level=None)
        self.raw.execute("PRAGMA synchronous = OFF")
        self.database.seal(AesVault(store, KEYS, b"s" * 32), lambda _: None)
        for table in (runs, *(table for table in TABLES if table is not runs)):
            rows = [{"run_id": value(runs.c.id, row)} | {c.name: value(c, row) for c in table.c} for row in (1, 2)]
            self.database.write(lambda session, table=table, rows=rows: session.many(added(table), rows))

    def read(self, table):
        return self.database.read(lambda session: session.all(everything(table)))

    def stored(self, column, row):
        """As it lies in the file."""
        table = column.table.name
        return self.raw.execute(f'SELECT "{column.name}" FROM {table} WHERE {self.where(column, row)}').fetchone()[0]

    def put(self, column, row, found):
        """Behind the store's back."""
        where = self.where(column, row)
        self.raw.execute(f'UPDATE {column.table.name} SET "{column.name}" = ? WHERE {where}', (found,))

    def where(self, column, row):
        """By a part of the key that is in the clear and a number, or a text that ends with it."""
        key = next(key.name for key in column.table.primary_key if not is_touched(key))
        return f'"{key}" = {row} OR "{key}" LIKE \'%{row}\''

    def close(self):
        self.database.close()
        self.raw.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encrypted")
    store = Store(folder / "catalog.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("another") / "catalog.db", "another store")
    yield store
    store.close()


@pytest.fixture
def tampered(store):
    """Change a value behind the store's back; it is put back afterwards."""
    before = []

    def put(column, row, found):
        before.append((column, row, store.stored(column, row)))
        store.put(column, row, found)

    yield put
    for change in reversed(before):
        store.put(*change)


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_what_was_written_is_read_and_lies_nowhere_in_the_clear(store, table):
    """Each column as it was; in the file not one of its bytes, nor a hash of it that anybody could make."""
    for at, row in enumerate(store.read(table), 1):
        read = [column for column in table.c if protection_of(column) is not Protection.HASHED]
        assert [value(column, at) for column in read] == list(row[: len(read)])
    files = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    for column in filter(is_touched, table.c):
        for row in (1, 2):
            planted = value(column, row)
            assert (planted if isinstance(planted, bytes) else planted.encode()) not in files, column


def refused(store, column):
    with pytest.raises(Damaged, match=f"{column.table.name} {column.name}.*(not sealed|does not open)"):
        store.read(column.table)
    return True


@pytest.mark.parametrize("column", READ, ids=str)
def test_a_plain_value_is_refused(store, tampered, column):
    """It names the table, the column and the row."""
    tampered(column, 1, value(column, 1))
    assert refused(store, column)


@pytest.mark.parametrize("column", SEALED, ids=str)
def test_a_value_of_another_row_is_refused(store, tampered, column):
    """Both rows keep their own."""
    tampered(column, 1, store.stored(column, 2))
    assert refused(store, column)


@pytest.mark.parametrize("column", READ, ids=str)
def test_a_value_of_another_column_is_refused(store, tampered, column):
    """Of the same row even, and of the same kind."""
    other = next(one for one in COLUMNS if one.table is not column.table and type(one.type) is type(column.type))
    assert other is not column
    tampered(column, 1, store.stored(other, 1))
    assert refused(store, column)


@pytest.mark.parametrize("column", READ, ids=str)
def test_a_value_of_another_store_is_refused(another, store, tampered, column):
    """With the same keys, at the same place."""
    tampered(column, 1, another.stored(column, 1))
    assert refused(store, column)


def test_every_byte_of_a_sealed_value_matters(store, tampered):
    """Also of the part of a manifest that is in the clear."""
    column = metadata.tables["checkpoints"].c.manifest
    whole = store.stored(column, 1)
    assert whole[:2] == value(column, 1)[:2]
    for at in range(len(whole)):
        tampered(column, 1, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert refused(store, column)
    tampered(column, 1, whole[:-1])
    assert refused(store, column)


def test_the_row_of_a_run_is_its_id(store, tampered):
    """The small number of a run may be given out again: what hangs on it would then be another run's."""
    tampered(runs.c.id, 1, "another id")
    with pytest.raises(Damaged, match="does not open"):
        store.read(metadata.tables["checkpoints"])
    with pytest.raises(Damaged, match="does not open"):
        store.read(runs)


def test_a_statement_that_does_not_say_of_which_run_it_is_told(store):
    """A mistake of ours, and never a row that nobody can open again."""
    rows = [{c.name: value(c, 3) for c in metadata.tables["steps"].c}]
    with pytest.raises(ValueError, match=r"seals steps\.arguments and was given no 'run_id'"):
        store.database.write(lambda session: session.many(added(metadata.tables["steps"]), rows))


# -- opening -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def address(tmp_path):
    address = f"sqlite:///{tmp_path}/catalog.db"
    open_catalog(address, keys=GivenKeys(KEYS)).close()
    return address


def test_without_keys_an_encrypted_store_is_not_opened(address):
    """Nor with others; and it stays as it is."""
    with pytest.raises(KeyMissing, match=r"is encrypted, and no key was given. Nothing was read"):
        open_catalog(address)
    with pytest.raises(Damaged, match="meta secret"):
        open_catalog(address, keys=GivenKeys(DataKeys(1, {1: b"x" * 32})))
    with closing(open_catalog(address, keys=GivenKeys(KEYS))) as catalog:
        assert catalog.info.is_encrypted
        assert len(catalog.info.secret) == 32
        assert "secret" not in repr(catalog.info)


def test_the_secret_of_an_encrypted_store_lies_nowhere(tmp_path, address):
    """It would tell whether the store holds a text that somebody knows."""
    with closing(open_catalog(address, keys=GivenKeys(KEYS))) as catalog:
        secret = catalog.info.secret
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_plain_store_is_not_opened_with_keys(tmp_path):
    """Somebody may have put a plain one in its place, to be told what should have been sealed."""
    address = f"sqlite:///{tmp_path}/plain.db"
    with closing(open_catalog(address)) as catalog:
        assert not catalog.info.is_encrypted
    with pytest.raises(NotEncrypted):
        open_catalog(address, keys=GivenKeys(KEYS))


def test_the_secret_of_another_store_is_refused(tmp_path, address):
    """Its id is bound to it."""
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as database:
        database.execute("UPDATE meta SET id = 'another'")
        database.commit()
    with pytest.raises(StoreError, match="meta secret another"):
        open_catalog(address, keys=GivenKeys(KEYS))


def test_runs_are_found_by_what_is_sealed(address):
    """Name and key, key alone, tag; and no more than asked for."""
    with closing(open_catalog(address, keys=GivenKeys(KEYS))) as catalog:
        for number in range(6):
            run = a_run(name="n", key=f"k{number}", tags=("even",) if number % 2 == 0 else ())
            assert catalog.add_run(run, NOW)
            assert not catalog.add_run(replace(run, id=new_run_id()), NOW), "the name and key are taken"
        assert catalog.find_run(None, "n", "k7") is None
        assert catalog.find_run(None, "n", "k3").key == "k3"
        listed = [
            [run.key for run in catalog.list_runs(RunFilter(**asked))]
            for asked in ({"tag": "even"}, {"tag": "even", "limit": 2}, {"key": "k3"}, {"key": "k3", "tag": "even"})
        ]
    assert listed == [["k4", "k2", "k0"], ["k4", "k2"], ["k3"], []]
