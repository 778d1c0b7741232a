"""Measuring: what is counted, when it is written down, and that it can never be in the way."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import timeit

import pytest
from sqlalchemy import text

import waycairn as wc
from waycairn.catalog.opening import open_database
from waycairn.catalog.statement import Statement
from waycairn.errors import Damaged, OwnershipLost, StoreBusy
from waycairn.measuring import NoMeter, Recorder
from waycairn.model.histogram import Histogram
from waycairn.model.measures import MEASURES, NAMES, failures_of


class Clock:
    """Moved by tests."""

    def __init__(self):
        self.seconds = 1000.0

    def now(self):
        return 1_800_000_000.0 + self.seconds

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


class Rows:
    """A table in memory that can be away."""

    def __init__(self):
        self.rows = {}
        self.writes = 0
        self.is_away = False

    def put_measured(self, rows):
        if self.is_away:
            raise StoreBusy("somebody else writes")
        self.writes += 1
        self.rows.update({(row.hour, row.name, row.writer): row.histogram for row in rows})

    def count(self, name):
        return sum(histogram.count for (_, of, _), histogram in self.rows.items() if of == name)


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recorder(rows, clock):
    recorder = Recorder(rows, clock)
    yield recorder
    recorder.close()


def fail(error):
    raise error


def test_calls_are_timed_and_their_errors_counted(recorder, rows):
    """What a call returns or raises goes on unchanged. A refusal of somebody who lost the run is no failure of a save, and
    a mistake of the caller is none either."""
    assert recorder.timed("save", lambda a, b: a + b, 1, 2, run="r") == 3
    with pytest.raises(Damaged):
        recorder.timed("load", fail, Damaged("torn"))
    with pytest.raises(OSError, match="full"):
        recorder.timed("save", fail, OSError("full"))
    with pytest.raises(OwnershipLost):
        recorder.timed("save", fail, OwnershipLost("taken"))
    with pytest.raises(KeyError):
        recorder.timed("load", fail, KeyError("no such part"))
    recorder.flush()
    counted = {name: rows.count(name) for name in ("save", "load", "save.failures", "load.failures", "ownership.lost")}
    assert counted == {"save": 1, "load": 0, "save.failures": 1, "load.failures": 1, "ownership.lost": 1}


def test_it_is_written_once_a_minute_in_a_thread_of_its_own(recorder, rows, clock):
    """Never by whoever is measured, and not while nothing happens."""
    wrote = []
    put, rows.put_measured = rows.put_measured, lambda rows: (wrote.append(threading.current_thread()), put(rows))
    for _ in range(100):
        recorder.record("save", 0.001)
    clock.seconds += 59
    recorder.record("save", 0.001)
    assert wrote == []
    clock.seconds += 2
    recorder.record("save", 0.001)
    recorder._thread.join()
    assert (len(wrote), rows.count("save")) == (1, 102)
    assert wrote[0] is not threading.current_thread()
    recorder.record("save", 0.001)
    recorder.close()
    assert (len(wrote), rows.count("save")) == (2, 103)
    recorder.close()


def test_each_hour_has_rows_of_its_own(recorder, rows, clock):
    """What one writer counted in an hour is written as a whole each time."""
    recorder.record("save", 1.0)
    recorder.flush()
    recorder.record("save", 1.0)
    recorder.flush()
    assert [histogram.count for histogram in rows.rows.values()] == [2]
    clock.seconds += 3600
    recorder.record("save", 1.0)
    recorder.flush()
    assert sorted(histogram.count for histogram in rows.rows.values()) == [1, 2]
    assert len({hour for hour, _, _ in rows.rows}) == 2


def test_what_is_written_late_counts_for_its_hour(recorder, rows, clock):
    """A process that does nothing for hours, and then something."""
    recorder.record("save", 1.0)
    recorder.record("save", 1.0)
    clock.seconds += 3 * 3600
    recorder.record("load", 1.0)
    recorder.flush()
    hours = {name: hour for hour, name, _ in rows.rows}
    assert hours["load"] - hours["save"] == 3
    assert rows.count("save") == 2


def test_what_could_not_be_written_is_written_with_the_next(recorder, rows, clock):
    """Also if the hour is over by then."""
    recorder.record("save", 1.0)
    rows.is_away = True
    recorder.flush()
    clock.seconds += 3600
    recorder.record("save", 1.0)
    recorder.flush()
    assert rows.rows == {}
    rows.is_away = False
    recorder.flush()
    assert rows.count("save") == 2


def test_it_takes_bounded_memory_and_no_time(recorder, rows):
    """Thousands between two writings are counted meanwhile. One measurement costs about a microsecond: a loose limit, the
    figure is that of bench/measuring_cost.py."""
    seconds = min(timeit.repeat(lambda: recorder.record("save", 0.001), number=10_000, repeat=3))
    assert len(recorder._told) <= 16_385
    assert seconds / 10_000 < 20e-6
    recorder.flush()
    assert rows.count("save") == 30_000


def test_many_threads_lose_nothing(recorder, rows):
    def work():
        for _ in range(5000):
            recorder.record("save", 0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        recorder.flush()
        thread.join()
    recorder.flush()
    assert rows.count("save") == 20_000


def test_a_signal_handler_may_measure_and_close(recorder, rows):
    """While its thread is in the middle of it."""
    put = rows.put_measured

    def interrupted(written):
        signal.raise_signal(signal.SIGUSR1)
        put(written)

    def handle(*_):
        recorder.record("load", 1.0)
        recorder.flush()

    rows.put_measured = interrupted
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        recorder.record("save", 1.0)
        rows.put_measured = lambda written: (setattr(rows, "put_measured", put), interrupted(written))
        recorder.flush()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (rows.count("save"), rows.count("load")) == (1, 1)


def test_a_forked_child_writes_nothing(recorder, rows):
    recorder.record("save", 1.0)
    child = os.fork()
    if child == 0:
        recorder.record("save", 1.0)
        recorder.close()
        os._exit(0 if rows.writes == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    recorder.flush()
    assert rows.count("save") == 1


def test_off_is_off():
    meter = NoMeter()
    assert meter.timed("save", lambda a: a, 5, run="r") == 5
    for act in (lambda: meter.record("save", 1.0), lambda: meter.count("takeovers"), meter.flush, meter.close):
        assert act() is None


# -- in a real store ------------------------------------------------------------------------------------------------


def told(store):
    found = {}
    for row in store.core.catalog.measured():
        found.setdefault(row.name, Histogram()).merge(row.histogram)
    return {name: histogram.count for name, histogram in found.items()}


def test_a_store_measures_itself(tmp_path):
    """Saves, cuts, loads, verifying, a sweep; bytes beside them; only names that are documented."""
    with wc.open(tmp_path) as store:
        for number in range(3):
            saved = store.save("value", bytes(range(256)) * 500 + bytes([number]))
        store.load(saved)
        with store.run("job") as run:
            state = run.state({"at": 0})
            for item in run.each(range(3)):
                state["at"] = item
        store.core.verify(store.checkpoint(saved).checkpoint.stored)
        store.sweep()
        store.sweep(dry_run=True)
        store.core.meter.flush()
        found = told(store)
    assert {
        name: found[name] for name in ("save", "save.bytes", "load", "load.bytes", "verify", "sweep", "sweep.bytes")
    } == {
        "save": 4,
        "save.bytes": 4,
        "load": 1,
        "load.bytes": 1,
        "verify": 1,
        "sweep": 1,
        "sweep.bytes": 1,
    }
    assert set(found) <= NAMES
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert failures_of("save") in NAMES


def test_failures_of_a_real_store_are_counted(tmp_path):
    """A pack that is damaged; a device that refuses to be written to is told when it is asked next."""
    with wc.open(tmp_path) as store:
        saved = store.save("value", os.urandom(300_000))
        pack = next(path for path in (tmp_path / "packs").glob("*/*") if path.is_file())
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.write_bytes(content)
        with pytest.raises(Damaged):
            store.load(saved)
        store.core.meter.flush()
        found = told(store)
    assert (found["load.failures"], found.get("load")) == (1, None)


def test_a_program_that_closes_nothing_is_measured(tmp_path):
    """At its end what is left is written."""
    program = f"import waycairn as wc; store = wc.open({str(tmp_path)!r}); store.save('value', 1)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    with wc.open(tmp_path) as store:
        assert told(store)["save"] == 1


def test_somebody_who_writes_for_long_is_not_waited_for(tmp_path):
    """Closing a store takes half a second then, and loses a measurement; the others are there."""
    with wc.open(tmp_path) as store:
        store.save("value", 1)
        store.core.meter.flush()
    store = wc.open(tmp_path)
    store.save("value", 2)
    blocker = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    store.close()
    assert time.monotonic() - began < 5
    blocker.execute("ROLLBACK")
    blocker.close()
    with wc.open(tmp_path) as store:
        assert told(store)["save"] == 1


def test_a_store_that_cannot_be_written_is_read_all_the_same(tmp_path):
    """Nothing is written, nothing is raised."""
    with wc.open(tmp_path) as store:
        store.save("value", 1)
    with wc.open(tmp_path) as store:
        store.core.catalog._database._is_frozen = True
        assert store.latest("value") == 1
    with wc.open(tmp_path) as store:
        assert "load" not in told(store)


def test_takeovers_are_counted(tmp_path):
    """Of a dead owner, and by force."""
    child = os.fork()
    if child == 0:
        wc.open(tmp_path).run("job").open().progress(done=1)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with wc.open(tmp_path) as store:
        with pytest.raises(OwnershipLost), store.run("job"):
            store.takeover("job")
        store.core.meter.flush()
        found = told(store)
    assert (found["takeovers"], found["takeovers.forced"], found["ownership.lost"]) == (1, 1, 1)


def test_what_is_measured_is_flushed(tmp_path):
    """Frames of the log that are not would be lost with a flush of somebody else's that fails, and with them what he commits
    behind them: see the harness of lost flushes."""
    wc.open(tmp_path / "store").close()
    database = open_database(f"sqlite:///{tmp_path}/store/catalog.db", "power", create=False, deadline=1)
    asked = Statement("synchronous", "How commits are flushed; 2 is FULL.", text("PRAGMA synchronous"))
    assert database.write_softly(lambda session: session.one(asked)) == (2,)
    database.close()
