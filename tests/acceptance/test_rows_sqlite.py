"""What SQLite stores comes back bit-identical: any storage class in any column."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import create_async_engine

from backup_folder import back_up
from rows_case import Scene
from waycairn.backups.rows import rows
from waycairn.backups.source import Wish
from waycairn.errors import BackupError

AS_STORED = "SELECT id, typeof(a), a, typeof(b), b FROM t ORDER BY id"
EVERYTHING = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.binary().map(lambda data: ("text", data)),
)
"""The last is taken for text by SQLite, whatever it holds."""


def fill(path, values):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b)")
    for number, value in enumerate(values):
        is_odd = type(value) is tuple
        mark = "CAST(? AS TEXT)" if is_odd else "?"
        parameters = [number, *[value[1] if is_odd else value] * 2]
        connection.execute(f"INSERT INTO t VALUES (?, {mark}, {mark})", parameters)
    connection.commit()
    connection.text_factory = bytes
    return connection


def stored(connection):
    """Zeros with their signs."""
    return repr(connection.execute(AS_STORED).fetchall())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVERYTHING, max_size=8))
def test_values(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("values")
    connection = fill(folder / "data.db", values)
    before = stored(connection)
    source = rows(f"sqlite:///{folder}/data.db", "t")
    backup = back_up(source, folder / "backup")
    source.delete(backup)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    source.restore(backup, Wish())
    assert stored(connection) == before
    assert source.restore(backup, Wish()).skipped == len(values)
    connection.execute("UPDATE t SET a = 'other', b = x'00ff'")
    connection.commit()
    source.restore(backup, Wish(overwrite=True))
    assert stored(connection) == before
    connection.close()


def test_lines(tmp_path):
    """As the reference of the format shows them."""
    values = [None, 17, 2**63 - 1, 1.5, 1e300, float("inf"), "täxt\n", b"hi", ("text", b"\xff"), "a\0b"]
    fill(tmp_path / "data.db", values).close()
    backup = back_up(rows(f"sqlite:///{tmp_path}/data.db", "t"), tmp_path / "backup")
    assert [line.partition(',"b":')[2] for line in backup.text("t.jsonl").splitlines()] == [
        "null}",
        "17}",
        "9223372036854775807}",
        "1.5}",
        "1e300}",
        '{"$float":"inf"}}',
        '"täxt\\n"}',
        '{"$bytes":"aGk="}}',
        '{"$text":"/w=="}}',
        '"a\\u0000b"}',
    ]


def test_columns_of_floats_alone(tmp_path):
    """They are looked at together, and one that JSON has not may be among them."""
    values = [1.5, None, float("inf"), 0.0, float("-inf"), 2]
    connection = fill(tmp_path / "data.db", [])
    connection.executemany("INSERT INTO t VALUES (NULL, NULL, ?)", [[one] for one in values])
    connection.commit()
    connection.close()
    backup = back_up(rows(f"sqlite:///{tmp_path}/data.db", "t"), tmp_path / "backup")
    assert [line["b"] for line in backup.lines("t.jsonl")] == [1.5, None, {"$float": "inf"}, 0.0, {"$float": "-inf"}, 2]


def test_keys_of_any_kind(tmp_path):
    """Also those that are no text."""
    scene = Scene(f"sqlite:///{tmp_path}/data.db", tmp_path)
    scene.run(
        "CREATE TABLE k (key PRIMARY KEY NOT NULL, value) WITHOUT ROWID",
        "INSERT INTO k VALUES (1, 'int'), ('1', 'text'), (x'31', 'blob'), (1.5, 'real'), (CAST(x'ff' AS TEXT), 'odd')",
    )
    scene.engine.dispose()
    listed = "SELECT typeof(key), hex(key), value FROM k ORDER BY key"
    before, source = scene.all(listed), rows(scene.engine, "k")
    backup = scene.backup(source)
    source.delete(backup)
    scene.restore(backup)
    assert scene.all(listed) == before
    scene.run("DELETE FROM k WHERE value = 'odd'")
    with pytest.raises(BackupError, match="1 vanished"):
        source.delete(backup)


def test_a_key_that_is_null(tmp_path):
    scene = Scene(f"sqlite:///{tmp_path}/data.db", tmp_path)
    scene.run("CREATE TABLE k (key TEXT PRIMARY KEY)", "INSERT INTO k VALUES ('a'), (NULL), (NULL)")
    with pytest.raises(ValueError, match=r"rows whose primary key \(key\) is NULL"):
        scene.backup(rows(scene.engine, "k"))


def test_generated_columns_and_numbers_to_come(tmp_path):
    """What the database computes is exported and not inserted; AUTOINCREMENT goes on behind what was put back."""
    scene = Scene(f"sqlite:///{tmp_path}/data.db", tmp_path)
    scene.run(
        """CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a INTEGER, twice INTEGER AS (a * 2),
            thrice INTEGER AS (a * 3) STORED) STRICT""",
        "INSERT INTO t (id, a) VALUES (1, 1), (90, 2)",
    )
    source = rows(scene.engine, "t")
    backup = scene.backup(source)
    assert backup.lines("t.jsonl")[1] == {"id": 90, "a": 2, "twice": 4, "thrice": 6}
    source.delete(backup)
    scene.run("DELETE FROM sqlite_sequence")
    scene.restore(backup)
    scene.run("INSERT INTO t (a) VALUES (3)")
    assert scene.all("SELECT * FROM t") == [(1, 1, 2, 3), (90, 2, 4, 6), (91, 3, 6, 9)]


def test_foreign_keys_that_are_enforced(tmp_path):
    scene = Scene(f"sqlite:///{tmp_path}/data.db", tmp_path).fill()

    @sa.event.listens_for(scene.engine, "connect")
    def enforce(connection, _):
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(scene.engine, "begin")
    def begin(connection):
        """As SQLAlchemy's manual has it, for those who want real transactions."""
        connection.exec_driver_sql("BEGIN")

    before, source = scene.everything(), scene.old()
    backup = scene.backup(source)
    source.delete(backup)
    scene.restore(backup)
    assert scene.everything() == before


def test_dangling_rows_of_before_are_no_matter(tmp_path):
    scene = Scene(f"sqlite:///{tmp_path}/data.db", tmp_path).fill()
    scene.run("INSERT INTO turns VALUES (800, 'lost', 4711)")
    source = scene.old()
    backup = scene.backup(source)
    source.delete(backup)
    assert scene.restore(backup).records == 35


def test_an_async_engine(tmp_path):
    """Its address is opened by the blocking driver."""
    scene = Scene(f"sqlite:///{tmp_path}/data.db", tmp_path).fill()
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/data.db")
    assert rows(engine, "turns").count().records == 30
    asyncio.run(engine.dispose())
    assert scene.all("SELECT count(*) FROM turns") == [(30,)]
    with pytest.raises(TypeError, match="memory"):
        rows(create_async_engine("sqlite+aiosqlite://"), "turns")


def test_a_database_in_memory(tmp_path):
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    source = rows(engine, "t")
    backup = back_up(source, tmp_path / "backup")
    source.delete(backup)
    assert source.restore(backup, Wish()).records == 1
    engine.dispose()


def test_a_driver_that_converts(tmp_path):
    """It would hide what is stored."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/data.db", connect_args={"detect_types": sqlite3.PARSE_DECLTYPES})
    sqlite3.register_converter("point", lambda data: tuple(data.split()))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, at point)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1, '2 3')")
    with pytest.raises(TypeError, match="detect_types"):
        back_up(rows(engine, "t"), tmp_path / "backup")
    engine.dispose()


def test_one_who_writes_for_long(tmp_path):
    """Told after the time that the engine waits; nothing was deleted."""
    scene = Scene(f"sqlite:///{tmp_path}/data.db", tmp_path).fill()
    source = rows(f"sqlite:///{tmp_path}/data.db?timeout=0.2", "attachments")
    backup = scene.backup(source)
    other = sqlite3.connect(tmp_path / "data.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Exception, match=r"another program holds what is needed.*Nothing was deleted"):
        source.delete(backup)
    other.rollback()
    other.close()
    source.delete(backup)


def test_a_delete_is_durable_whatever_the_connection_is_set_to(tmp_path):
    """EXTRA flushes that the rollback journal is gone; its user finds the setting as it was."""
    fill(tmp_path / "data.db", [1, 2]).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/data.db")
    levels = []
    sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF").close())

    def note(action, name, value, *_):
        if action == sqlite3.SQLITE_PRAGMA and name == "synchronous" and value:
            levels.append(value)
        return sqlite3.SQLITE_OK

    source = rows(engine, "t")
    backup = back_up(source, tmp_path / "backup")
    with engine.connect() as connection:
        connection.connection.driver_connection.set_authorizer(note)
    source.delete(backup)
    source.restore(backup, Wish())
    assert levels == ["EXTRA", "0"] * 2
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 2
    engine.dispose()
