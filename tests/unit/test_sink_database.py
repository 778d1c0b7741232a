"""The database of a sink as the command line opens it: looked at, never changed, whatever its address looks like."""

import pytest
import sqlalchemy as sa

from streams_case import NOW, RUN
from waycairn.errors import StoreNotFound, StoreReadOnly
from waycairn.streams import ledger
from waycairn.streams.sinks import EngineSink
from waycairn.upkeep.sink_database import engine_of, looking, shown, writing


@pytest.fixture
def address(tmp_path):
    """Of a database with a ledger, at a path that would break a URL."""
    found = sa.URL.create("sqlite", database=str(tmp_path / "a ?#%20 b.db")).render_as_string()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/rows.db")
    sink = EngineSink(engine)
    sink.open("telemetry", RUN, now=NOW)
    sink.close()
    engine.dispose()
    (tmp_path / "rows.db").rename(tmp_path / "a ?#%20 b.db")
    return found


def test_looking(address):
    """The ledger is read; nothing can be written."""
    with looking(address) as connection:
        assert [one.name for one in ledger.all_streams(connection)] == ["telemetry"]
    with pytest.raises(StoreReadOnly), looking(address) as connection:
        connection.execute(sa.text("DELETE FROM waycairn_streams"))


def test_writing(address):
    """Transactions of the caller; what fails inside is undone."""
    delete = sa.text("DELETE FROM waycairn_streams")
    with pytest.raises(KeyError), writing(address) as connection, connection.begin():
        connection.execute(delete)
        raise KeyError
    with looking(address) as connection:
        assert len(ledger.all_streams(connection)) == 1
    with writing(address) as connection, connection.begin():
        connection.execute(delete)
    with looking(address) as connection:
        assert ledger.all_streams(connection) == []


def test_no_ledger(tmp_path):
    """A database without one is told from a file that is not there; neither is changed."""
    address = f"sqlite:///{tmp_path}/x.db"
    for opened in (looking, writing):
        with pytest.raises(StoreNotFound, match="there is no database at"), opened(address):
            pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.db").touch()
    with looking(address) as connection:
        assert connection is None
    with pytest.raises(StoreNotFound, match="no stream was ever kept"), writing(address):
        pass
    assert (tmp_path / "x.db").read_bytes() == b""


@pytest.mark.parametrize("address", ["mysql://host/x", "rows.db", ""])
def test_no_address(address):
    """What is no address of a sink is wrong use."""
    with pytest.raises(ValueError, match=r"sqlite:///FILE"):
        engine_of(address, writes=False)


def test_servers():
    """The driver is ours, also where the job's is one for coroutines; a hidden password is none."""
    hidden = engine_of("postgresql+asyncpg://me:***@host/rows", writes=False).url
    assert (hidden.drivername, hidden.username, hidden.password) == ("postgresql+psycopg", "me", None)
    assert engine_of("postgresql://me:secret@host/rows", writes=True).url.password == "secret"
    assert shown("postgresql://me:secret@host/rows") == "postgresql://me:***@host/rows"
    assert shown("out.jsonl") == "out.jsonl"
