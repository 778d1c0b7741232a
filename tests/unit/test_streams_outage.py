"""The breaker around a sink: what is waited for, how long, and what is never waited for."""

import sqlite3

import psycopg
import pytest
import sqlalchemy as sa

from streams_case import NOW
from waycairn.errors import Damaged, OwnershipLost, StoreBusy, StoreFull, StoreUnreachable
from waycairn.streams.failures import kind_of, told
from waycairn.streams.outage import Breaker, is_away


class Clock:
    """A clock that only pauses move."""

    def __init__(self):
        self.seconds = 50.0
        self.jump = 0.0

    def now(self):
        return NOW + self.seconds + self.jump

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


AWAY = StoreUnreachable("gone\nfor good", kind="away")


def failing(times, error=AWAY):
    """A function that fails so often, then answers."""
    left = iter(range(times))

    def act():
        if next(left, None) is not None:
            raise error
        return "back"

    return act


def until_back(breaker, act, pause=lambda _: None):
    """As a stream does it."""
    while True:
        while wait := breaker.wait():
            pause(wait)
        with breaker:
            return act()


def test_it_waits_until_the_database_is_back(breaker, clock):
    """Twice as long each time, from 0.1 s up to 30 s, a quarter less by chance."""
    waits = []

    def pause(seconds):
        waits.append(seconds)
        clock.sleep(seconds)

    assert until_back(breaker, failing(12), pause) == "back"
    assert len(waits) == 12
    for number, wait in enumerate(waits):
        longest = min(0.1 * 2**number, 30.0)
        assert 0.75 * longest <= wait <= longest
    assert (breaker.state, breaker.outage) == ("closed", None)


def test_everybody_can_see_what_is_wrong(breaker, clock):
    """Since when, how often, the last error, the next try."""
    assert breaker.wait() == 0.0
    breaker.failed(AWAY)
    assert breaker.state == "open"
    clock.sleep(0.2)
    assert breaker.wait() == 0.0
    assert breaker.state == "half-open"
    assert breaker.wait() > 0, "one try at a time"
    breaker.failed(AWAY)
    seen = breaker.outage
    assert (seen.since, seen.tries, seen.error) == (NOW + 50, 2, "gone")
    assert clock.now() < seen.next_try <= clock.now() + 0.2
    breaker.succeeded()
    assert (breaker.state, breaker.outage) == ("closed", None)


def test_a_clock_that_jumps_changes_nothing(breaker, clock):
    """An hour back: the next try comes as soon as it would have."""
    breaker.wait()
    breaker.failed(AWAY)
    clock.jump = -3600.0
    assert 0 < breaker.wait() <= 0.1


@pytest.mark.parametrize("error", [StoreFull(kind="full"), Damaged(kind="damaged"), ValueError("no"), OwnershipLost()])
def test_what_does_not_pass_by_itself_is_raised_at_once(breaker, error):
    """A full disk, damage, a takeover, a mistake."""
    with pytest.raises(type(error)) as raised:
        until_back(breaker, failing(1, error), pytest.fail)
    assert raised.value is error
    assert breaker.state == "closed"
    assert until_back(breaker, failing(0)) == "back"


def test_leaving_in_the_middle_of_a_try_lets_the_next_one_try(breaker, clock):
    """A signal during a try must not make everybody wait for that try."""
    breaker.wait()
    breaker.failed(AWAY)
    with pytest.raises(KeyboardInterrupt):
        until_back(breaker, failing(1, KeyboardInterrupt()), clock.sleep)
    assert breaker.state == "open"
    assert until_back(breaker, failing(0), clock.sleep) == "back"


def test_busy_and_locked_databases_are_waited_for(tmp_path):
    """As sqlite3 says it, as SQLAlchemy does, and as we do."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db?timeout=0")
    other = sqlite3.connect(tmp_path / "a.db")
    other.execute("BEGIN EXCLUSIVE")
    with engine.connect() as connection:
        with pytest.raises(sa.exc.OperationalError) as raised:
            connection.exec_driver_sql("CREATE TABLE t (x)")
        error = raised.value
        assert (kind_of(error), kind_of(error.orig), is_away(error)) == ("busy", "busy", True)
        ours = told(error, connection)
        assert (type(ours), ours.kind, is_away(ours)) == (StoreBusy, "busy", True)
        with pytest.raises(sa.exc.OperationalError, match="syntax") as raised:
            connection.exec_driver_sql("CREATE NOTHING")
        assert (kind_of(raised.value), is_away(raised.value)) == (None, False)
    other.close()
    engine.dispose()


def test_a_server_that_is_not_there_is_waited_for():
    """Nothing listens at the port; and a connection that SQLAlchemy gave up."""
    engine = sa.create_engine("postgresql+psycopg://nobody:secret@127.0.0.1:9/none")
    with pytest.raises(sa.exc.OperationalError) as raised:
        engine.connect()
    assert is_away(raised.value)
    ours = told(raised.value, engine)
    assert isinstance(ours, StoreUnreachable)
    assert "secret" not in str(ours)
    engine.dispose()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.AdminShutdown(), "away"),
        (psycopg.errors.CannotConnectNow(), "away"),
        (psycopg.errors.TooManyConnections(), "away"),
        (psycopg.errors.IdleSessionTimeout(), "away"),
        (psycopg.errors.TransactionTimeout(), "away"),
        (psycopg.errors.LockNotAvailable(), "busy"),
        (psycopg.errors.SerializationFailure(), "busy"),
        (psycopg.errors.DiskFull(), "full"),
        (psycopg.errors.ReadOnlySqlTransaction(), "read_only"),
        (psycopg.errors.InsufficientPrivilege(), "read_only"),
        (psycopg.errors.IoError(), "failed"),
        (psycopg.errors.DataCorrupted(), "damaged"),
        (psycopg.errors.UniqueViolation(), None),
        (psycopg.errors.QueryCanceled(), None),
        (psycopg.InterfaceError("the connection is closed"), "away"),
        (psycopg.DataError("no such thing"), None),
        (ConnectionError("of something else"), None),
    ],
)
def test_errors_of_the_server_have_a_kind(error, kind):
    """By their SQLSTATE."""
    assert kind_of(error) == kind
