"""What is read at one moment, while the connection to the server is lost: a real server ends its process."""

import pytest
import sqlalchemy as sa

import waycairn as wc
from waycairn.errors import StoreUnreachable


@pytest.fixture
def scene(postgres_database):
    """The catalog of a store on a server, and an act that ends all its connections there."""
    engine = sa.create_engine(postgres_database.replace("postgresql://", "postgresql+psycopg://"))

    def cut():
        with engine.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )

    with wc.open(postgres_database) as store:
        with store.run("job") as run:
            list(run.each(range(3)))
        yield store.core.catalog, store.find("job").id, cut
    engine.dispose()


def test_an_export_is_not_run_twice(scene):
    """Half of it was handed out: it would be there twice."""
    catalog, run, cut = scene
    calls = []

    def export(reader):
        calls.append(list(reader.rows_of(run)))
        cut()
        return list(reader.rows_of(run))

    with pytest.raises(StoreUnreachable, match="Nothing was changed"):
        catalog.read_runs(export)
    assert len(calls) == 1
    assert catalog.read_runs(lambda reader: list(reader.rows_of(run))) == calls[0]


def test_what_was_read_whole_is_right_though_the_end_is_lost(scene):
    """Only the end of the moment did not arrive."""
    catalog, run, cut = scene
    calls = []

    def export(reader):
        calls.append(list(reader.rows_of(run)))
        cut()
        return len(calls)

    assert catalog.read_runs(export) == 1
    assert len(calls) == 1


def test_what_leaves_nothing_behind_is_read_again(scene):
    catalog, _, cut = scene
    calls = []

    def count(moment):
        calls.append(moment.count("runs"))
        if len(calls) == 1:
            cut()
        return moment.count("runs")

    assert catalog.at_one_moment(count) == 1
    assert calls == [1, 1]
