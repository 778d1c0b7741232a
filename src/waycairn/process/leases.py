"""Ownership across hosts: a lease in the run's row, by the clock of the database, renewed in the background.

A lease alone would commit twice when its holder is stopped and wakes up late; the epoch in every commit is what
forbids that. The lease decides only how long others wait before they try.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Event, Lock, Thread

from waycairn.errors import StoreError
from waycairn.model.ids import RunId
from waycairn.model.records import Owner, RunRecord
from waycairn.model.states import RunStatus
from waycairn.ports import Catalog, Clock
from waycairn.process.identity import current_owner, is_dead
from waycairn.world.crashpoints import crashpoint

__all__ = ["LeaseHold", "LeaseOwnership"]

_BEATS = 6
"""Renewals in the time of one lease, so that several may fail or starve behind a long native call."""
_FIRST_BEAT = 0.05
"""Seconds between tries until the catalog names the claimed epoch for the first time."""
_FAREWELL = 1.0
"""Seconds that `release` waits for a renewal under way; the thread is a daemon and may be left behind."""


class LeaseHold:
    """A claim that is kept alive by a daemon thread until `release`."""

    def __init__(self, ownership: LeaseOwnership, run: RunId, epoch: int, owner: Owner) -> None:
        self.owner = owner
        self._ownership = ownership
        self._run, self._epoch = run, epoch
        self._pid = os.getpid()
        self._released = Event()
        self._named = False
        self._displaced = False
        self._deadline = self._now() + ownership.seconds
        self._thread = Thread(target=self._keep, name=f"waycairn-lease-{run}", daemon=True)
        self._thread.start()

    def is_lost(self) -> bool:
        """True if a newer epoch was seen, if the lease ran out unrenewed (it may come back: the database was away),
        after `release`, and in a forked child."""
        return self._displaced or self._released.is_set() or os.getpid() != self._pid or self._now() > self._deadline

    def release(self) -> None:
        """End the lease, so that others need not wait for it. Idempotent; does nothing in a forked child."""
        if os.getpid() != self._pid or self._released.is_set():
            return
        crashpoint("lease.release")
        self._released.set()
        self._thread.join(_FAREWELL)
        # A lease that cannot be ended runs out by itself: nothing that was acknowledged depends on it. One that was
        # never ours is the winner's of the same epoch.
        if self._named and not self._displaced:
            with suppress(StoreError):
                self._ownership.catalog.renew_lease(self._run, self._epoch, 0.0)
        self._ownership._forget_hold(self._run, self._epoch)  # noqa: SLF001 - one module
        crashpoint("lease.released")

    def _keep(self) -> None:
        while not self._released.is_set() and not self._displaced:
            with suppress(StoreError):  # tried again; `is_lost` tells when it went on for too long
                self._renew()
            self._released.wait(self._ownership.seconds / _BEATS if self._named else _FIRST_BEAT)

    def _renew(self) -> None:
        if not self._named:
            self._look_for_name()
            return
        asked = self._now()
        if self._ownership.catalog.renew_lease(self._run, self._epoch, self._ownership.seconds):
            self._deadline = asked + self._ownership.seconds
        else:
            self._displaced = True

    def _look_for_name(self) -> None:
        """The claim comes before the take-over: until the row names us, there is no lease that is ours to renew."""
        row = self._ownership.catalog.get_run(self._run)
        if row is None or row.epoch < self._epoch:
            return
        self._named = row.epoch == self._epoch and row.owner is not None and row.owner.nonce == self.owner.nonce
        self._displaced = not self._named
        if self._named:
            self._renew()

    def _now(self) -> float:
        return self._ownership.clock.monotonic()


class LeaseOwnership:
    """Leases in the rows of one catalog. Thread-safe; two claims of one process exclude each other."""

    def __init__(self, catalog: Catalog, clock: Clock, seconds: float = 60.0) -> None:
        self.catalog = catalog
        self.clock = clock
        self.seconds = seconds
        self._lock = Lock()
        self._holds: dict[tuple[RunId, int], LeaseHold] = {}

    def claim(self, run: RunId, epoch: int) -> LeaseHold | None:
        """Begin to hold this epoch; the catalog's compare and swap decides among those who claim at once.

        None if the row has this epoch, or a later one, already.
        """
        row = self.catalog.get_run(run)
        if row is not None and row.epoch >= epoch:
            return None
        with self._lock:
            held = self._holds.get((run, epoch))
            if held is not None and not held.is_lost():
                return None
            crashpoint("lease.claim")
            hold = LeaseHold(self, run, epoch, current_owner(self._database_now()))
            self._holds[run, epoch] = hold
        crashpoint("lease.claimed")
        return hold

    def holder(self, run: RunRecord) -> Owner | None:
        """The owner in the row while its lease runs. A process of this host that is gone is dead at once."""
        owner = run.owner
        if owner is None or is_dead(owner) or self._database_now() > self._lease_end(run, owner):
            return None
        return owner

    def has_rival(self, run: RunRecord) -> bool:
        """A lease says nothing about life, and the row names only the newest owner: one that was displaced before may
        have come back by the time its heir is dead. Not in a run that was completed: then the heir had its own files."""
        if run.status is RunStatus.COMPLETED:
            return False
        if run.entered > 1:
            return True
        return run.status is RunStatus.RUNNING and (run.owner is None or not is_dead(run.owner))

    def forget(self, run: RunId, before_epoch: int) -> None:
        """Nothing: an older epoch leaves nothing behind."""

    def _lease_end(self, run: RunRecord, owner: Owner) -> float:
        """A row that was taken over and not renewed since still shows the lease of the owner before."""
        until = run.lease_until
        return owner.since + self.seconds if until is None or until < owner.since else until

    def _database_now(self) -> float:
        return self.clock.now() + self.catalog.clock_offset()

    def _forget_hold(self, run: RunId, epoch: int) -> None:
        with self._lock:
            self._holds.pop((run, epoch), None)
