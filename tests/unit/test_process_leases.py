"""Leases in the rows of a real catalog: renewed, run out, displaced, given back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from waycairn.catalog import open_catalog
from waycairn.errors import StoreUnreachable
from waycairn.model.ids import RunId
from waycairn.model.records import NewRun
from waycairn.model.states import RunStatus
from waycairn.process import LeaseOwnership, current_owner
from waycairn.world.clock import SystemClock

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # forks are the subject

RUN = RunId("k7f3qx0a9m2d")
SECONDS = 0.6


@pytest.fixture
def catalog(tmp_path):
    catalog = open_catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield catalog
    catalog.close()


@pytest.fixture
def ownership(catalog):
    return LeaseOwnership(catalog, SystemClock(), SECONDS)


def enter(ownership, epoch=1):
    """What entering a run does: claim, then name the claim in the catalog."""
    hold = ownership.claim(RUN, epoch)
    assert hold is not None
    if epoch == 1:
        new = NewRun(id=RUN, root=RUN, parent=None, name="n", key=None, owner=hold.owner)
        assert ownership.catalog.add_run(new, time.time())
    else:
        assert ownership.catalog.take_over(RUN, epoch - 1, hold.owner, time.time())
    return hold


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def elsewhere(owner):
    """The same owner as if on another host, where nobody here can see whether the process lives."""
    return replace(owner, boot="another boot", host="elsewhere")


def move_owner(catalog, epoch, owner):
    catalog.change_run(RUN, epoch, time.time(), owner=owner)


def test_a_lease_is_renewed_while_it_is_held(catalog, ownership):
    """Three lease times later the run is still held, by the clock of the database."""
    hold = enter(ownership)
    until(lambda: catalog.get_run(RUN).lease_until is not None)
    first = catalog.get_run(RUN).lease_until
    time.sleep(2 * SECONDS)
    assert catalog.get_run(RUN).lease_until > first + SECONDS
    assert ownership.holder(catalog.get_run(RUN)) == hold.owner
    assert not hold.is_lost()
    hold.release()


def test_release_ends_the_lease_and_the_thread(catalog, ownership):
    """Others need not wait for a lease that was given back, on whatever host they are."""
    hold = enter(ownership)
    until(lambda: catalog.get_run(RUN).lease_until is not None)
    move_owner(catalog, 1, elsewhere(hold.owner))
    assert ownership.holder(catalog.get_run(RUN)) is not None
    hold.release()
    hold.release()
    assert ownership.holder(catalog.get_run(RUN)) is None
    assert hold.is_lost()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("waycairn-lease")] == []


def test_a_new_owner_is_safe_before_its_first_renewal(catalog, ownership):
    """The row still shows no lease, or the one of the owner before: the time of entry counts."""
    stale = elsewhere(current_owner(time.time()))
    new = NewRun(id=RUN, root=RUN, parent=None, name="n", key=None, owner=stale)
    catalog.add_run(new, time.time())
    record = catalog.get_run(RUN)
    assert ownership.holder(record) == stale
    assert ownership.holder(replace(record, lease_until=stale.since - 1)) == stale
    assert ownership.holder(replace(record, owner=replace(stale, since=stale.since - 2 * SECONDS))) is None


def test_an_owner_elsewhere_is_dead_when_its_lease_ran_out(catalog, ownership):
    """Nothing but the lease tells about another host."""
    owner = elsewhere(current_owner(time.time() - 10))
    catalog.add_run(NewRun(id=RUN, root=RUN, parent=None, name="n", key=None, owner=owner), time.time())
    assert ownership.holder(catalog.get_run(RUN)) is None
    assert catalog.renew_lease(RUN, 1, 0.2)
    assert ownership.holder(catalog.get_run(RUN)) == owner
    time.sleep(0.25)
    assert ownership.holder(catalog.get_run(RUN)) is None


def test_a_killed_owner_of_this_host_is_dead_at_once(catalog, tmp_path):
    """SIGKILL: no waiting for the lease, also while the body waits to be reaped."""
    code = f"""
import sys, time
from waycairn.catalog import open_catalog
from waycairn.model.states import RunStatus
from waycairn.process import LeaseOwnership
from waycairn.model.records import NewRun
from waycairn.world.clock import SystemClock
catalog = open_catalog("sqlite:///{tmp_path / "catalog.db"}")
hold = LeaseOwnership(catalog, SystemClock(), 60.0).claim("{RUN}", 1)
catalog.add_run(NewRun(id="{RUN}", root="{RUN}", parent=None, name="n", key=None, owner=hold.owner), time.time())
print("held", flush=True)
time.sleep(60)
"""
    ownership = LeaseOwnership(catalog, SystemClock(), 60.0)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert ownership.holder(catalog.get_run(RUN)).pid == other.pid
        other.kill()
        until(lambda: ownership.holder(catalog.get_run(RUN)) is None, 1.0)
    hold = ownership.claim(RUN, 2)
    assert hold is not None
    hold.release()


def test_a_stopped_owner_notices_the_newer_epoch(catalog, ownership):
    """After a takeover the old hold says that it is lost, and its renewals change nothing."""
    old = enter(ownership)
    until(lambda: catalog.get_run(RUN).lease_until is not None)
    new = enter(LeaseOwnership(catalog, SystemClock(), 60.0), epoch=2)
    until(old.is_lost)
    assert not new.is_lost()
    until(lambda: catalog.get_run(RUN).lease_until is not None)
    before = catalog.get_run(RUN).lease_until
    old.release()
    assert catalog.get_run(RUN).lease_until >= before
    assert ownership.holder(catalog.get_run(RUN)) == new.owner
    new.release()


def test_a_displaced_owner_is_remembered_after_its_heir(catalog, ownership):
    """The row names only the heir, which is dead; the one before it may still run and have its files open."""
    hold = enter(ownership)
    dead = replace(hold.owner, started=1.0)
    move_owner(catalog, 1, dead)
    assert not ownership.has_rival(catalog.get_run(RUN)), "it was the only one"
    assert catalog.take_over(RUN, 1, dead, time.time())
    assert ownership.has_rival(catalog.get_run(RUN))
    catalog.change_run(RUN, 2, time.time(), status=RunStatus.COMPLETED)
    assert not ownership.has_rival(catalog.get_run(RUN))
    hold.release()


def test_a_claim_that_lost_the_swap_touches_no_lease(catalog, ownership):
    """Two claim the next epoch at once and the catalog decides: the loser knows without being told, and giving its
    claim back does not end the winner's lease of the same epoch."""
    first = enter(ownership)
    loser = LeaseOwnership(catalog, SystemClock(), SECONDS).claim(RUN, 2)
    winner = enter(LeaseOwnership(catalog, SystemClock(), 60.0), epoch=2)
    until(loser.is_lost)
    until(lambda: catalog.get_run(RUN).lease_until is not None)
    loser.release()
    assert catalog.get_run(RUN).lease_until > time.time() + 30
    assert not winner.is_lost()
    for hold in (first, winner):
        hold.release()


def test_an_epoch_that_is_taken_cannot_be_claimed(catalog, ownership):
    """Twice from one process, or when the row has it already: None."""
    hold = ownership.claim(RUN, 1)
    assert ownership.claim(RUN, 1) is None
    new = NewRun(id=RUN, root=RUN, parent=None, name="n", key=None, owner=hold.owner)
    assert catalog.add_run(new, time.time())
    hold.release()
    assert ownership.claim(RUN, 1) is None


class Flaky:
    """The real catalog behind a line that can be cut."""

    def __init__(self, catalog):
        self.catalog, self.is_cut, self.tries = catalog, False, 0

    def __getattr__(self, name):
        return getattr(self.catalog, name)

    def renew_lease(self, run, epoch, seconds):
        self.tries += 1
        if self.is_cut:
            raise StoreUnreachable
        return self.catalog.renew_lease(run, epoch, seconds)


def test_a_database_that_is_away_is_tried_again(catalog):
    """Lost when the lease has run out unrenewed, not before; held again when the database is back in our epoch."""
    line = Flaky(catalog)
    hold = enter(LeaseOwnership(line, SystemClock(), SECONDS))
    until(lambda: catalog.get_run(RUN).lease_until is not None)
    line.is_cut = True
    time.sleep(SECONDS / 3)
    assert not hold.is_lost()
    until(hold.is_lost, 2 * SECONDS)
    assert line.tries >= 4
    line.is_cut = False
    until(lambda: not hold.is_lost())
    line.is_cut = True
    hold.release()


def test_a_forked_child_neither_renews_nor_releases(catalog, ownership):
    """The child's copy is lost and does nothing; the parent's lease stands."""
    hold = enter(ownership)
    until(lambda: catalog.get_run(RUN).lease_until is not None)
    pid = os.fork()
    if pid == 0:
        hold.release()
        os._exit(0 if hold.is_lost() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not hold.is_lost()
    assert ownership.holder(catalog.get_run(RUN)) == hold.owner
    hold.release()
