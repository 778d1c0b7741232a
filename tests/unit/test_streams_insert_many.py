"""insert_many on SQLite and on PostgreSQL: what SQLAlchemy would have written, at the speed of the driver."""

import datetime as dt
import decimal
import enum
import uuid

import msgspec
import pytest
import sqlalchemy as sa

from streams_case import address_of
from waycairn.streams.insert_many import Inserts


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Doubled(sa.types.TypeDecorator):
    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value, _):
        return value * 2


class Shouted(sa.types.UserDefinedType):
    """A type that wraps its value in SQL."""

    cache_ok = True

    def get_col_spec(self):
        return "TEXT"

    def bind_expression(self, value):
        return sa.func.upper(value, type_=sa.Text)


metadata = sa.MetaData()
plain = sa.Table(
    "plain rows",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("word %", sa.Text, nullable=False, key="word"),
    sa.Column("data", sa.LargeBinary),
    sa.Column("ratio", sa.Float),
)
typed = sa.Table(
    "typed",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.DateTime),
    sa.Column("day", sa.Date),
    sa.Column("tree", sa.JSON),
    sa.Column("colour", sa.Enum(Colour)),
    sa.Column("is_new", sa.Boolean),
    sa.Column("price", sa.Numeric(10, 2, asdecimal=True)),
    sa.Column("name", sa.Uuid),
    sa.Column("twice", Doubled),
)
made = sa.Table(
    "made",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("word", sa.Text),
    sa.Column("by_python", sa.Text, default=lambda: "python"),
    sa.Column("by_server", sa.Text, server_default="server"),
    sa.Column("loud", Shouted),
)


class Plain(msgspec.Struct):
    id: int
    word: str
    data: bytes | None
    ratio: float


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/sink.db"
    else:
        url = address_of(request.getfixturevalue("postgres_schema"))
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        metadata.create_all(connection)
        connection.commit()
        yield connection
    engine.dispose()


ROWS = [(1, "one", b"\0\xff\\", 0.5), (2, "zwö\t\n\\N", None, float("inf")), (3, "", b"", -1.0)]


def stored(connection, table=plain):
    return [tuple(row) for row in connection.execute(sa.select(table).order_by(table.c.id))]


@pytest.mark.parametrize("form", ["tuples", "lists", "mappings", "structs", "generator"])
def test_rows_of_any_form_come_back(connection, form):
    """Text with tabs and backslashes, bytes, NULL, infinity."""
    rows = {
        "tuples": ROWS,
        "lists": [list(row) for row in ROWS],
        "mappings": [dict(zip(("id", "word", "data", "ratio"), row, strict=True)) for row in ROWS],
        "structs": [Plain(*row) for row in ROWS],
        "generator": (row for row in ROWS),
    }[form]
    assert Inserts().insert(connection, plain, rows) == 3
    assert stored(connection) == ROWS


def test_rows_with_types_are_those_of_sqlalchemy(connection):
    """Each value as SQLAlchemy itself would have stored it: compared as rows that it wrote."""
    row = {
        "id": 1,
        "at": dt.datetime(2026, 2, 3, 4, 5, 6, 7),  # noqa: DTZ001 - as such a column holds it
        "day": dt.date(2026, 2, 3),
        "tree": {"a": [1, None, "é\\"]},
        "colour": Colour.BLUE,
        "is_new": True,
        "price": decimal.Decimal("12.30"),
        "name": uuid.UUID(int=5),
        "twice": 21,
    }
    nothing = dict.fromkeys(row) | {"id": 3, "twice": 0}
    assert Inserts().insert(connection, typed, [row, nothing]) == 2
    connection.execute(sa.insert(typed), [{**row, "id": 2}, {**nothing, "id": 4}])
    first, second, third, fourth = stored(connection, typed)
    assert first[1:] == second[1:]
    assert third[1:] == fourth[1:]
    assert tuple(row.values())[1:-1] == first[1:-1]
    texts = sa.select(*(sa.cast(column, sa.Text) for column in typed.c if column.name != "id"))
    written = [tuple(one) for one in connection.execute(texts.order_by(typed.c.id))]
    assert (written[0], written[2]) == (written[1], written[3])


def test_defaults_and_expressions(connection):
    """Those of the server, those that Python makes, and SQL around a value."""
    inserts = Inserts()
    assert inserts.insert(connection, made, [(1, "a"), (2, "b")], columns=["id", "word"]) == 2
    assert inserts.insert(connection, made, [{"id": 3, "by_python": "x"}]) == 1
    assert inserts.insert(connection, made, [{"id": 4, "by_python": "x", "loud": "psst"}]) == 1
    assert stored(connection, made) == [
        (1, "a", "python", "server", None),
        (2, "b", "python", "server", None),
        (3, None, "x", "server", None),
        (4, None, "x", "server", "PSST"),
    ]


def test_ids_are_made_by_the_database(connection):
    """A primary key that is left out."""
    Inserts().insert(connection, plain, [{"word": "a"}, {"word": "b"}])
    assert [row[:2] for row in stored(connection)] == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("rows", "columns", "told"),
    [
        ([{"id": 1, "word": "a", "colour": 2}], None, "no column 'colour'"),
        ([{"id": 1}], None, "no value for 'word'"),
        ([{"id": 1, "word": "a"}, {"id": 2, "data": b""}], None, r"row 1 has the columns \['data', 'id'\]"),
        ([{"id": 1, "word": "a"}, {"id": 2, "word": "b", "data": b""}], None, "row 1 has the columns"),
        ([(1, "a", None, 1.0), (2, "b")], None, "row 1 has 2 values for the 4 columns"),
        ([(1, "a", None)], ["id", "word"], "row 0 has 3 values for the 2 columns"),
        ([(1, "a", None, 1.0), {"id": 2, "word": "b", "data": None, "ratio": 2.0}], None, "row 1"),
        ([{"id": 2, "word": "b", "data": None, "ratio": 2.0}, (1, "a", None, 1.0)], None, "row 1 is a tuple"),
        ([Plain(1, "a", None, 1.0), (2, "b", None, 1.0)], None, "row 1 is a tuple"),
    ],
)
def test_rows_that_do_not_fit(connection, rows, columns, told):
    """The row and the column are named, and none of the rows is there."""
    with pytest.raises(ValueError, match=told) as raised:
        Inserts().insert(connection, plain, rows, columns)
    if "roll back" in str(raised.value):
        connection.rollback()
    assert stored(connection) == []


def test_what_is_no_row(connection):
    """A string is a sequence, and no row."""
    with pytest.raises(TypeError, match="is a str"):
        Inserts().insert(connection, plain, ["four"])
    assert Inserts().insert(connection, plain, []) == 0


def test_it_is_part_of_the_transaction(connection):
    """Undone with it, and errors are those of SQLAlchemy."""
    Inserts().insert(connection, plain, ROWS)
    connection.rollback()
    assert stored(connection) == []
    with pytest.raises(sa.exc.IntegrityError):
        Inserts().insert(connection, plain, [*ROWS, ROWS[0]])
    connection.rollback()
    assert stored(connection) == []
