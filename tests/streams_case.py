"""What tests of streams share: engines for both databases, small records, and a sink with a stream open."""

import itertools
from contextlib import contextmanager

import sqlalchemy as sa
from msgspec.structs import replace

from waycairn.streams import ledger
from waycairn.streams.records import Counts, DeadLetter, Generation, Holder, Identity, Mark, Step
from waycairn.world import crashpoints

NOW = 1_764_000_000.0
RUN = Holder("run1", 1)
_operations = itertools.count(1)

metadata = sa.MetaData()
rows = sa.Table("seen", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.Text))


def address_of(url):
    """As SQLAlchemy writes an address of PostgreSQL."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@contextmanager
def an_engine(url, **options):
    """An engine for a database of a user, who has one table."""
    engine = sa.create_engine(url, **options)
    with engine.begin() as connection:
        metadata.create_all(connection)
    yield engine
    engine.dispose()


def a_generation(number=1, **changes):
    values = {
        "id": number,
        "path": b"logs/\xff\n%d.jsonl" % number,
        "identity": Identity(2**64 - 1, 2**63 + number, 17),
        "first_seen": NOW,
        "updated": NOW,
    }
    return Generation(**{**values, **changes})


def moved_to(generation, offset, **changes):
    """The same after more of it was consumed."""
    return replace(
        generation,
        offset=offset,
        lines=generation.lines + 1,
        head=Mark(3, b"h" * 16),
        tail=Mark(min(offset, 1024), b"%016d" % offset),
        **changes,
    )


def a_dead_letter(generation=1, offset=0, **changes):
    values = {
        "generation": generation,
        "path": b"logs/a.jsonl",
        "offset": offset,
        "length": 5,
        "line": 2,
        "kind": "malformed",
        "error": "it was NUL \0 and \ud800",
        "head": b"\xff\0oops",
        "digest": b"d" * 32,
        "at": NOW,
    }
    return DeadLetter(**{**values, **changes})


def a_step(changed=(), moved=None, **changes):
    return Step(
        operation=f"operation{next(_operations)}",
        changed=changed,
        moved=moved or {},
        at=NOW + 1,
        **{"counts": Counts(events=1, bytes=10), **changes},
    )


def seen(engine):
    """The user's rows."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(rows.c.id, rows.c.word).order_by(rows.c.id))]


def write(transaction, *words):
    """Rows of the user within a batch."""
    transaction.user.execute(sa.insert(rows), [{"id": number, "word": word} for number, word in words])


def standing(engine, name="logs"):
    """The stream as the ledger has it."""
    with engine.begin() as connection:
        return ledger.standing(connection, name)


@contextmanager
def armed(name, hit=1, act="RAISE"):
    """A crash point that fails."""
    crashpoints.arm(name, hit, act)
    try:
        yield
    finally:
        crashpoints.disarm()


def assert_nothing_moved(engine, sink):
    """And the stream goes on when what was in the way is gone."""
    assert seen(engine) == []
    assert standing(engine).generations == [a_generation()]
    batch = sink.begin()
    write(batch, (1, "one"))
    batch.commit(a_step([moved_to(a_generation(), 10)], {1: 0}))
    assert seen(engine) == [(1, "one")]
