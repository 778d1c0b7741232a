"""Upkeep in a thread of a long-lived process: what is due is done once, and nothing is left running."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import threading
import time

import pytest

import waycairn as wc
from waycairn.model.settings import Settings
from waycairn.model.upkeep_settings import UpkeepSettings
from waycairn.upkeep.background import Upkeep
from waycairn.upkeep.statistics import statistics
from waycairn.upkeep.tasks import Task, register, tasks


def until(true, seconds: float = 20.0) -> None:
    """Wait for it; fail if it does not come."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.005)


def with_upkeep(store: wc.Store, **settings) -> wc.Store:
    store.core.settings = Settings(upkeep=UpkeepSettings(**{"interval": 0.02, "share": 1.0, **settings}))
    return store


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as opened:
        yield with_upkeep(opened)


def often(name: str, work) -> Task:
    return Task(name, lambda _: 0.01, work)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "waycairn-upkeep"]


def test_it_sweeps(store, tmp_path):
    """What is replaced goes meanwhile; started twice it is one; after the stop nothing runs."""
    upkeep = store.start_upkeep()
    assert store.start_upkeep() is upkeep
    assert threads() == ["waycairn-upkeep"]
    for number in range(3):
        store.save("value", os.urandom(200_000) + b"%d" % number, keep=1)
    until(lambda: len(list((tmp_path / "store" / "packs").glob("*/*"))) == 1)
    until(lambda: "sweep" in upkeep.ended)
    assert upkeep.ended["sweep"].error is None
    until(lambda: store.core.catalog.upkeep_note("sweep").facts or store.sweep().is_empty)
    store.stop_upkeep()
    store.stop_upkeep()
    assert not upkeep.is_running
    assert threads() == []


def test_all_of_it(store):
    """Each work once a day in one process; a verification that was stopped counts for none, and is made up for."""
    store.save("value", os.urandom(200_000))
    names = {"sweep", "health", "verifying", "optimize"}
    assert {task.name for task in tasks()} >= names
    upkeep = store.start_upkeep()
    until(lambda: upkeep.ended.keys() >= names)
    store.stop_upkeep()
    assert {name: upkeep.ended[name].error for name in names} == dict.fromkeys(names)
    last = statistics(store.core)["upkeep"]
    assert last.keys() == {"sweep", "verify", "optimize", "health"}
    assert store.core.catalog.upkeep_note("verify").facts["part"] == "/30"
    again = Upkeep(with_upkeep(wc.open(store.core.url)).core, [task for task in tasks() if task.name != "sweep"])
    again.start()
    time.sleep(0.1)
    again.stop()
    again._core.close()
    assert not again.ended


def test_a_verification_that_is_stopped_is_none(store):
    store.save("value", os.urandom(200_000))
    verifying = next(task for task in tasks() if task.name == "verifying")
    upkeep = Upkeep(store.core, [verifying])
    upkeep._stop.set()
    upkeep._look()
    assert store.core.catalog.upkeep_note("verify") is None
    Upkeep(store.core, [verifying])._look()
    assert store.core.catalog.upkeep_note("verify") is not None


def test_closing_stops_it(tmp_path):
    """Also in the midst of a task, which comes to a safe point first."""
    with wc.open(tmp_path / "store") as store:
        with_upkeep(store)
        begun, ended = threading.Event(), []

        def work(_core, stop):
            begun.set()
            until(stop)
            ended.append(True)
            return {}

        upkeep = store._upkeep = Upkeep(store.core, [often("long", work)])
        upkeep.start()
        assert begun.wait(10)
    assert ended == [True]
    assert threads() == []


def test_an_error_is_kept_and_the_others_go_on(store, caplog):
    """It is logged, noted in the catalog, and tried again."""
    tried, done = [], []

    def fail(_core, _stop):
        tried.append(1)
        raise OSError("no room")

    def work(_core, _stop):
        done.append(1)
        return {"count": len(done)}

    upkeep = Upkeep(store.core, [often("bad", fail), often("good", work)])
    with caplog.at_level(logging.WARNING, "waycairn"):
        upkeep.start()
        until(lambda: len(tried) > 1 and len(done) > 1)
        upkeep.stop()
    assert str(upkeep.ended["bad"].error) == "no room"
    assert upkeep.ended["good"].error is None
    assert "upkeep: bad was given up: no room" in caplog.text
    noted = {name: store.core.catalog.upkeep_note(name).facts for name in ("bad", "good")}
    assert noted["bad"] == {"error": "OSError: no room"}
    assert noted["good"]["count"] >= 2


def test_several_processes_do_it_once(store, tmp_path):
    """Of many that ask, one does what is due."""
    done = []

    def work(_core, _stop):
        done.append(1)
        return {}

    stores = [with_upkeep(wc.open(tmp_path / "store")) for _ in range(3)]
    all_of_them = [Upkeep(one.core, [Task("rare", lambda _: 3600.0, work)]) for one in stores]
    for upkeep in all_of_them:
        upkeep.start()
    until(lambda: done)
    time.sleep(0.1)
    for upkeep in all_of_them:
        upkeep.stop()
    for one in stores:
        one.close()
    assert done == [1]


def test_quiet_hours_and_off(store):
    """In quiet hours nothing is begun, nor where it is switched off; a sweep by hand is done all the same."""
    now = time.gmtime()
    begin = f"{(now.tm_hour - 1) % 24:02}:00-{(now.tm_hour + 2) % 24:02}:00"
    done = []

    def work(_core, _stop):
        done.append(1)
        return {}

    for settings in ({"quiet_hours": begin}, {"enabled": False}):
        upkeep = Upkeep(with_upkeep(store, **settings).core, [often("work", work)])
        upkeep.start()
        time.sleep(0.1)
        upkeep.stop()
    assert done == []
    assert store.sweep().is_empty


def test_its_share_of_the_time(store):
    """A task that takes long is followed by a pause that makes up for it."""
    begun = []

    def work(core, _stop):
        begun.append(time.monotonic())
        time.sleep(0.05)
        return {}

    upkeep = Upkeep(with_upkeep(store, share=0.25).core, [often("slow", work)])
    upkeep.start()
    until(lambda: len(begun) == 3)
    upkeep.stop()
    assert min(second - first for first, second in itertools.pairwise(begun)) >= 0.2


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="there is a task 'sweep' already"):
        register(Task("sweep", lambda _: None, lambda _core, _stop: {}))


FORKS = """
import os, sys, time, warnings, waycairn as wc
warnings.simplefilter("ignore")
store = wc.open(sys.argv[1])
upkeep = store.start_upkeep()
while "sweep" not in upkeep.ended:  # a fork in the midst of an import leaves half a module to the child
    time.sleep(0.01)
if (child := os.fork()) == 0:
    assert not upkeep.is_running
    upkeep.stop()
    store.stop_upkeep()
    with wc.open(sys.argv[1]) as own:
        assert own.start_upkeep().is_running
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert upkeep.is_running
"""


def test_a_forked_child_and_an_exit_without_a_stop(tmp_path):
    """The child has no thread and harms none; the exit of a process that never stopped it is clean."""
    ended = subprocess.run(
        [sys.executable, "-c", FORKS, tmp_path / "store"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
