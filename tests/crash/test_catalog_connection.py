"""A real PostgreSQL behind a proxy that loses replies, resets connections and swallows everything."""

import contextlib
import threading
import time

import psycopg
import pytest

from programme.server import by_port
from tcp_proxy import Proxy
from waycairn.catalog import open_catalog
from waycairn.errors import CommitUnknown, StoreBusy, StoreUnreachable
from waycairn.model.records import CheckpointFilter
from waycairn.testing.catalog_case import added, present
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, an_owner, numbers, some_items

DEADLINE = 1.0


@pytest.fixture
def proxy(postgres_server):
    proxy = Proxy(postgres_server.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def direct(postgres_schema):
    """A catalog that does not go through the proxy."""
    catalog = open_catalog(postgres_schema)
    yield catalog
    catalog.close()


@pytest.fixture
def address(postgres_schema, proxy, direct):
    return by_port(postgres_schema, proxy.port)


@pytest.fixture
def catalog(address):
    catalog = open_catalog(address, deadline=DEADLINE)
    yield catalog
    catalog.close()


def a_full_cut(run, sequence):
    return a_cut(run.id, sequence, items=[some_items("loop", b"%d" % sequence)], checkpoint=a_checkpoint())


def assert_once(direct, run, count):
    """Exactly the commits 1 to `count` are there, each with its item and its checkpoint."""
    assert present(direct, run.id).sequence == count
    assert [done.keys for done in direct.done_items(run.id, "loop")] == [
        b"%d" % number for number in range(1, count + 1)
    ]
    assert numbers(direct.list_checkpoints(CheckpointFilter(run=run.id))) == list(range(count, 0, -1))


def test_a_lost_reply_to_commit_is_settled(catalog, direct, proxy):
    """The server committed and the client saw a reset: commit returns, and the commit is there once."""
    run = added(catalog)
    catalog.commit(a_full_cut(run, 1))
    proxy.misbehave("lose reply")
    catalog.commit(a_full_cut(run, 2))
    assert proxy.acted == 1
    assert_once(direct, run, 2)
    catalog.commit(a_full_cut(run, 3))
    assert_once(direct, run, 3)


def test_a_reset_before_commit_is_run_again(catalog, direct, proxy):
    """The server never heard COMMIT: the transaction is certainly gone, runs again, and is there once."""
    run = added(catalog)
    proxy.misbehave("reset")
    catalog.commit(a_full_cut(run, 1))
    assert proxy.acted == 1
    assert_once(direct, run, 1)


def test_a_connection_that_always_breaks_is_an_error(catalog, direct, proxy):
    """Never swallowed: StoreUnreachable, nothing is there, and the same commit works later."""
    run = added(catalog)
    cut = a_full_cut(run, 1)
    proxy.misbehave("reset", times=99)
    with pytest.raises(StoreUnreachable, match="nothing of this call"):
        catalog.commit(cut)
    assert proxy.acted >= 2
    assert_once(direct, run, 0)
    proxy.heal()
    catalog.commit(cut)
    assert_once(direct, run, 1)


def test_every_kind_of_write_is_settled(catalog, direct, proxy):
    """Adding, taking over, replacing, saving a value, numbers: a lost reply is no second try and no false answer."""
    run = a_run()
    first = catalog.reserve_numbers(3)
    acts = [
        lambda: catalog.add_run(run, NOW),
        lambda: catalog.take_over(run.id, 1, an_owner(), NOW),
        lambda: catalog.save_value(a_cut(run.id, 0, checkpoint=a_checkpoint()), a_run("cursor")).endswith(".1"),
        lambda: catalog.save_value(a_cut(run.id, 0, checkpoint=a_checkpoint()), a_run("cursor")).endswith(".2"),
        lambda: catalog.reserve_numbers(5) == first + 3,
        lambda: catalog.replace_run(run.id, 2, a_run(), NOW),
    ]
    for act in acts:
        proxy.misbehave("lose reply")
        assert act()
        assert proxy.acted == 1
    assert present(direct, run.id).epoch == 2
    assert direct.reserve_numbers(1) == first + 8


def test_threads_that_share_a_transaction_all_learn_its_outcome(catalog, direct, proxy):
    """Six threads commit while replies get lost: everything that returned is there once, nothing else."""
    runs = [added(catalog, a_run(f"job {number}")) for number in range(6)]
    proxy.misbehave("lose reply", times=10)

    def work(run):
        for sequence in range(1, 11):
            catalog.commit(a_full_cut(run, sequence))

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert proxy.acted == 10
    for run in runs:
        assert_once(direct, run, 10)


def test_a_black_hole_ends_at_the_deadline(catalog, direct, proxy):
    """COMMIT and everything after it vanish: CommitUnknown in time; later the same commit is there exactly once."""
    run = added(catalog)
    cut = a_full_cut(run, 1)
    proxy.misbehave("hole", everything=True)
    started = time.monotonic()
    with pytest.raises(CommitUnknown, match="nobody could say"):
        catalog.commit(cut)
    assert time.monotonic() - started < 6 * DEADLINE + 3
    proxy.heal()
    with psycopg.connect(direct._database._url, autocommit=True) as admin:
        # The server would end the session that waits for its COMMIT by itself, after 30 s.
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")
    catalog.commit(cut)
    catalog.commit(a_full_cut(run, 2))
    assert_once(direct, run, 2)


def test_a_hole_in_one_connection_is_settled_on_another(catalog, direct, proxy):
    """The server still waits for COMMIT: its session is ended, so the outcome is certain, and the commit runs again."""
    run = added(catalog)
    proxy.misbehave("hole")
    catalog.commit(a_full_cut(run, 1))
    assert proxy.acted == 1
    assert_once(direct, run, 1)


def test_a_read_from_a_silent_server_ends_at_the_deadline(catalog, proxy):
    """StoreUnreachable, in time, without the password in its text."""
    run = added(catalog)
    proxy.misbehave("hole", trigger=b"runs", times=99, everything=True)
    started = time.monotonic()
    with pytest.raises(StoreUnreachable) as told:
        catalog.get_run(run.id)
    assert time.monotonic() - started < 4 * DEADLINE + 3
    assert "secret" not in str(told.value)
    assert "127.0.0.1" in str(told.value)


def test_sessions_ended_by_the_server_are_replaced(catalog, direct):
    """An idle connection that an administrator or a restart ended is no error for the next call."""
    run = added(catalog)
    with psycopg.connect(direct._database._url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'waycairn' AND client_addr IS NOT NULL"
        )
    assert catalog.get_run(run.id) == run
    catalog.commit(a_full_cut(run, 1))
    assert_once(direct, run, 1)


def test_no_server_is_an_error_with_a_way_out(proxy):
    """Nothing listens there: StoreUnreachable that says so."""
    with contextlib.closing(proxy), pytest.raises(StoreUnreachable, match="cannot be reached"):
        proxy.close()
        open_catalog(f"postgresql://postgres:secret@127.0.0.1:{proxy.port}/postgres", deadline=DEADLINE)


def test_a_lock_that_is_held_for_too_long_is_an_error(direct):
    """Somebody else's transaction holds the row: StoreBusy, nothing changed, and it works afterwards."""
    run = added(direct)
    with psycopg.connect(direct._database._url) as other:
        other.execute("SELECT 1 FROM runs WHERE id = %s FOR UPDATE", (run.id,))
        direct._database._writer.execute("SET lock_timeout = '200ms'")
        with pytest.raises(StoreBusy, match="pg_stat_activity"):
            direct.commit(a_full_cut(run, 1))
        other.rollback()
    direct.commit(a_full_cut(run, 1))
    assert_once(direct, run, 1)


def test_a_deadlock_is_resolved_by_running_again(direct):
    """The server ends our transaction for a deadlock: it runs again and both commits are there."""
    one, two = added(direct, a_run("one")), added(direct, a_run("two"))
    database = direct._database
    met = threading.Barrier(2)
    tries = []

    def ours(session):
        tries.append(1)
        session._cursor.execute("UPDATE runs SET task = 'ours' WHERE id = %(id)s", {"id": one.id})
        if len(tries) == 1:
            met.wait()
            time.sleep(0.2)
        session._cursor.execute("UPDATE runs SET task = 'ours' WHERE id = %(id)s", {"id": two.id})

    def theirs():
        with psycopg.connect(database._url) as other:
            other.execute("SET deadlock_timeout = '20s'")
            other.execute("UPDATE runs SET note = 'theirs' WHERE id = %s", (two.id,))
            met.wait()
            other.execute("UPDATE runs SET note = 'theirs' WHERE id = %s", (one.id,))

    database._writer.execute("SET deadlock_timeout = '100ms'")
    thread = threading.Thread(target=theirs)
    thread.start()
    database.write(ours)
    thread.join()
    assert len(tries) >= 2
    assert [present(direct, run.id).task for run in (one, two)] == ["ours", "ours"]
    assert [present(direct, run.id).progress.note for run in (one, two)] == ["theirs", "theirs"]
