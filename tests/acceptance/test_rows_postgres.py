"""What PostgreSQL stores comes back exactly, whatever its type."""

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_folder import back_up
from rows_case import Scene, driver
from waycairn.backups.rows import rows
from waycairn.backups.source import Wish
from waycairn.errors import StoreBusy, StoreUnreachable

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'so so', 'it''s "fine"');
CREATE TYPE point3 AS (x integer, y text, z numeric(6, 2));
CREATE DOMAIN code AS varchar(5) CHECK (VALUE <> '');
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE TABLE t (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    small smallint, big bigint, flag boolean, r real, d double precision, n numeric, n2 numeric(10, 2),
    words text, v varchar(20), c character(6), b bytea, u uuid,
    day date, clock time, clocktz timetz, ts timestamp(3), tstz timestamptz, i interval,
    j json, jb jsonb, ints integer[], texts text[][], m mood, moods mood[], span int4range, spans tstzrange,
    ip inet, net cidr, p point3, ps point3[], code code, pos positive, bits bit(3), cash money, q "char",
    computed bigint GENERATED ALWAYS AS (small * 2) STORED, number serial
)"""
VALUES = {
    "small": ["-32768"],
    "big": ["9223372036854775807"],
    "flag": ["true", "false"],
    "r": ["0.1", "-0", "NaN", "-Infinity", "3.4028235e38", "1e-45"],
    "d": ["0.1", "-0", "NaN", "Infinity", "5e-324", "1.7976931348623157e308", "1e22"],
    "n": ["1.10", "NaN", "-123456789012345678901234567890.00100", "0.000", "1e400"],
    "n2": ["1.10"],
    "words": ["", 'a\nb\t\\ ü 𝄞 {"$bytes": 1} \u2028', "NULL", "\\x41"],
    "v": ["null  "],
    "c": ["ab"],
    "b": ["\\x", "\\x00ff5c"],
    "u": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "day": ["2024-02-29", "infinity", "-infinity", "0044-03-15 BC", "99999-01-01"],
    "clock": ["24:00:00", "12:34:56.123456"],
    "clocktz": ["12:34:56.1-03:30"],
    "ts": ["2024-01-01 10:00:00.123", "infinity"],
    "tstz": ["2024-07-01 10:00:00.123456+02", "-infinity", "1800-01-01 00:00:00+00"],
    "i": ["1 year -2 mons +3 days -04:05:06.789", "0", "-1 day +1 microsecond"],
    "j": ['{"b": 1,\n  "a": 1.0, "a": null}', "null", '"x"'],
    "jb": ["null", '{"$json": "null"}', '{"$bytes": "x", "n": 1.10, "big": 1e50}', '["\\u2028", "\\n"]', '"s"', "[]"],
    "ints": ["{}", "{1,NULL,3}", "[2:3]={1,2}", "{{1,2},{3,4}}"],
    "texts": ['{{"a,b","NULL"},{NULL,"q\\"\\\\"}}'],
    "m": ['it\'s "fine"'],
    "moods": ['{sad,NULL,"so so"}'],
    "span": ["empty", "[1,5)", "(,3)"],
    "spans": ['["2024-01-01 00:00:00+00",infinity)'],
    "ip": ["192.168.0.1/24", "::1"],
    "net": ["10.0.0.0/8"],
    "p": ['(1,"a ""b"", (c)",1.50)', "(,,)"],
    "ps": ['{"(1,x,)",NULL}'],
    "code": ["abc"],
    "pos": ["1.50"],
    "bits": ["101"],
    "cash": ["$1,234.56"],
    "q": ["x"],
}
PRINTED = "SELECT t::text, j::text, encode(float4send(r), 'hex'), encode(float8send(d), 'hex') FROM t ORDER BY id"


@pytest.fixture
def scene(postgres_database, tmp_path):
    return Scene(postgres_database, tmp_path)


def test_every_type(scene):
    """Printed by the server the same as before, to the last bit of a float and the last blank of a JSON text."""
    scene.run(*TYPES.split(";\n"))
    with scene.engine.begin() as connection:
        for column, values in VALUES.items():
            for value in values:
                insert = sa.text(f"INSERT INTO t ({column}) SELECT CAST(:value AS text)::{type_of(connection, column)}")
                connection.execute(insert, {"value": value})
        connection.execute(sa.text("INSERT INTO t (big) VALUES (21)"))
    before, source = scene.all(PRINTED), rows(scene.engine, "t")
    backup = scene.backup(source)
    source.delete(backup)
    assert scene.all(PRINTED) == []
    assert scene.restore(backup).records == len(before)
    assert scene.all(PRINTED) == before
    assert scene.restore(backup).skipped == len(before)
    scene.run("UPDATE t SET words = 'other', big = 4, b = '\\x01', ints = '{7}', jb = '7', n = 7, m = 'sad'")
    assert scene.restore(backup, overwrite=True).overwritten == len(before)
    assert scene.all(PRINTED) == before


def type_of(connection, column):
    found = sa.text(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = :name"
    )
    return connection.execute(found, {"name": column}).scalar_one()


def test_lines(scene):
    """As the reference of the format shows them; the settings of the session are no matter."""
    scene.run(
        """CREATE TABLE t (id integer PRIMARY KEY, n numeric, b bytea, u uuid, day date, at timestamptz, i interval,
            j json, jb jsonb, list integer[], d double precision)""",
        """INSERT INTO t VALUES (1, 1.10, 'hi', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29',
            '2024-02-29 12:00+02', '1 day 2 hours', '{ "a":1}', '{"a": [1.10, null]}', '{1,NULL}', 'NaN')""",
        "INSERT INTO t (id, jb) VALUES (2, 'null'), (3, '{\"$json\": 1}')",
    )

    @sa.event.listens_for(scene.engine, "connect")
    def elsewhere(connection, _):
        connection.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET bytea_output = 'escape'")
        connection.commit()

    backup = scene.backup(rows(scene.engine, "t"))
    none = '"n":null,"b":null,"u":null,"day":null,"at":null,"i":null,"j":null'
    assert backup.text("t.jsonl") == (
        '{"id":1,"n":{"$decimal":"1.10"},"b":{"$bytes":"aGk="},"u":{"$uuid":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},'
        '"day":{"$date":"2024-02-29"},"at":{"$datetime":"2024-02-29 10:00:00+00"},"i":{"$interval":"P1DT2H"},'
        '"j":{"$json":"{ \\"a\\":1}"},"jb":{"a": [1.10, null]},"list":"{1,NULL}","d":{"$float":"nan"}}\n'
        f'{{"id":2,{none},"jb":{{"$json":"null"}},"list":null,"d":null}}\n'
        f'{{"id":3,{none},"jb":{{"$json":"{{\\"$json\\": 1}}"}},"list":null,"d":null}}\n'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('a$é\\"\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["$json", "$bytes", "a", ""]), inner),
    max_leaves=6,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(JSON, TEXT, st.floats(), st.binary()), max_size=5))
def test_values(postgres_server, tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("values")
    with postgres_server.schema() as address:
        engine = sa.create_engine(driver(address), poolclass=sa.NullPool)
        meta = sa.MetaData()
        json = sa.dialects.postgresql.JSONB(none_as_null=False)
        table = sa.Table(
            "t", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("jb", json), sa.Column("w", sa.Text),
            sa.Column("d", sa.Double), sa.Column("b", sa.LargeBinary), sa.Column("ws", sa.ARRAY(sa.Text)),
        )  # fmt: skip
        meta.create_all(engine)
        # PostgreSQL prints NaN without its payload, so that is not kept; all other numbers are, to the bit.
        bits = "CASE WHEN d = 'NaN' THEN 'nan' ELSE encode(float8send(d), 'hex') END"
        printed = sa.text(f"SELECT t::text, {bits} FROM t ORDER BY id")
        with engine.begin() as connection:
            for number, (jb, w, d, b) in enumerate(values):
                connection.execute(table.insert().values(id=number, jb=jb, w=w, d=d, b=b, ws=[w, None]))
            before = connection.execute(printed).all()
        source = rows(engine, table)
        backup = back_up(source, folder / "backup")
        source.delete(backup)
        source.restore(backup, Wish())
        with engine.begin() as connection:
            assert connection.execute(printed).all() == before


def test_numbers_to_come(scene):
    """SERIAL, IDENTITY and any sequence in a default go on behind what was put back, and never go back."""
    scene.run(
        "CREATE SEQUENCE own",
        """CREATE TABLE t (id serial PRIMARY KEY, a integer GENERATED BY DEFAULT AS IDENTITY,
            b integer DEFAULT nextval('own'), c integer)""",
        "INSERT INTO t VALUES (100, 200, 300)",
    )
    source = rows(scene.engine, "t")
    backup = scene.backup(source)
    source.delete(backup)
    scene.restore(backup)
    scene.run("INSERT INTO t (c) VALUES (1)")
    assert scene.all("SELECT id, a, b FROM t WHERE c = 1") == [(101, 201, 301)]
    source.delete(scene.backup(source))
    scene.restore(backup)
    scene.run("INSERT INTO t (c) VALUES (2)")
    assert scene.all("SELECT id, a, b FROM t WHERE c = 2") == [(102, 202, 302)]


def test_schemas_and_partitions(scene):
    scene.run(
        "CREATE SCHEMA app",
        "CREATE TABLE app.events (day date, id integer, PRIMARY KEY (day, id)) PARTITION BY RANGE (day)",
        "CREATE TABLE app.old PARTITION OF app.events FOR VALUES FROM ('2000-01-01') TO ('2020-01-01')",
        "CREATE TABLE app.new PARTITION OF app.events DEFAULT",
        "CREATE TABLE app.notes (id integer PRIMARY KEY, day date, event integer)",
        "INSERT INTO app.events VALUES ('2001-01-01', 1), ('2001-01-01', 2), ('2024-01-01', 1)",
        "INSERT INTO app.notes VALUES (1, '2001-01-01', 2), (2, '2024-01-01', 1)",
    )
    source = rows(scene.engine, "app.events", sa.text("day < '2020-01-01'"), {"notes": ("day", "event")})
    backup = scene.backup(source)
    assert list(backup.members) == ["app.events.jsonl", "app.notes.jsonl"]
    assert [member.records for member in backup.members.values()] == [2, 1]
    source.delete(backup)
    assert scene.all("SELECT count(*) FROM app.events") == [(1,)]
    scene.restore(backup)
    assert scene.all("SELECT tableoid::regclass::text, id FROM app.events ORDER BY 1, 2") == [
        ("app.new", 1),
        ("app.old", 1),
        ("app.old", 2),
    ]


def test_tables_that_others_inherit_from(scene):
    scene.run("CREATE TABLE base (id integer PRIMARY KEY)", "CREATE TABLE more (x text) INHERITS (base)")
    with pytest.raises(ValueError, match="other tables inherit from base"):
        scene.backup(rows(scene.engine, "base"))


def test_an_engine_that_commits_by_itself(scene):
    """The snapshot and the transactions are ours all the same."""
    scene.fill()
    engine = scene.engine.execution_options(isolation_level="AUTOCOMMIT")
    source = rows(engine, "conversations", sa.text("created < '2025'"), {"turns": "conversation_id"})
    scene.run("DELETE FROM attachments WHERE turn_id < 14")
    backup = scene.backup(source)
    before = scene.everything()
    with pytest.raises(Exception, match="attachments"):
        source.delete(backup)
    assert scene.everything() == before


def test_one_who_holds_the_table_for_long(scene, monkeypatch):
    scene.fill()
    source = rows(scene.engine, "attachments")
    backup = scene.backup(source)
    monkeypatch.setattr("waycairn.backups.rows_postgres._SETTINGS", ("SET LOCAL lock_timeout = '200ms'",))
    with scene.engine.begin() as other:
        other.exec_driver_sql("UPDATE attachments SET data = data")
        with pytest.raises(StoreBusy, match="Nothing was deleted"):
            source.delete(backup)
    source.delete(backup)


def test_a_server_that_is_away(tmp_path):
    with pytest.raises(StoreUnreachable, match=r"does not answer.*Nothing was read"):
        rows(f"postgresql://nobody@/nothing?host={tmp_path}", "t").count()
