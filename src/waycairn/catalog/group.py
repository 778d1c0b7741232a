"""Group commit: threads that want to commit at the same time share one transaction and one flush.

Whoever finds nobody at work leads: takes all that wait, runs them in one transaction, hands out the outcomes, and
passes the lead to the first that came meanwhile. One thread alone pays one lock and no savepoint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from waycairn.catalog.database import Session
from waycairn.errors import Stop

T = TypeVar("T")
MOST = 64
"""Units in one transaction: what a waiter may have to wait for."""
_UNKNOWN = -1
"""The lead is on its way to a thread that has not woken up yet."""


class Unit(Generic[T]):
    """One piece of work on its way through a shared transaction."""

    __slots__ = ("error", "is_done", "leads", "result", "wake", "work")

    def __init__(self, work: Callable[[Session], T]) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_done = False
        self.leads = False
        self.wake: threading.Lock | None = None

    def attempt(self, session: Session) -> None:
        """Run the work; an error of its own is its outcome, others in the transaction go on without it."""
        self.error = None
        try:
            self.result = self.work(session)
        except (Exception, Stop) as error:  # noqa: BLE001 - it is raised where the work was handed in
            self.error = error


class GroupCommit:
    """`apply` runs units in one transaction and marks them done when it is committed. If it raises, those that it
    did not mark have changed nothing."""

    def __init__(self, apply: Callable[[Sequence[Unit[Any]]], None]) -> None:
        self._apply = apply
        self._lock = threading.Lock()
        self._waiting: list[Unit[Any]] = []
        self._leader: int | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether other threads wait for the transaction of this moment to end."""
        return bool(self._waiting)

    def submit(self, work: Callable[[Session], T]) -> T:
        unit = Unit(work)
        me = threading.get_ident()
        with self._lock:
            if self._leader == me:
                # A signal handler raised in this thread between two lines below and left the lead behind.
                self._waiting = [other for other in self._waiting if other.wake is not None]
                self._leader = None
            self._waiting.append(unit)
            if self._leader is None:
                self._leader = me
            else:
                unit.wake = threading.Lock()
                unit.wake.acquire()  # the thread that leads releases it
        if unit.wake is not None:
            self._follow(unit, unit.wake)
        if not unit.is_done:
            self._lead(unit)
        error, unit.error = unit.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # a cycle through its traceback would keep the cursor, and with it the file, open
        result: T = unit.result
        return result

    def _follow(self, unit: Unit[Any], wake: threading.Lock) -> None:
        """Wait until the unit is done, or until it is its turn to lead."""
        try:
            wake.acquire()
            if not unit.is_done:
                self._leader = threading.get_ident()
        except BaseException:
            # A signal handler raised while this thread waited: take the unit back if it was not begun.
            with self._lock:
                if unit in self._waiting:
                    self._waiting.remove(unit)
                if unit.leads:
                    self._pass_on()
            raise

    def _lead(self, unit: Unit[Any]) -> None:
        """Run what waits, this unit first among it."""
        with self._lock:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            self._apply(batch)
        except Exception as error:  # noqa: BLE001 - raised in each of their threads
            for other in batch:
                if not other.is_done:
                    other.error, other.is_done = error, True
        finally:
            # Not done here means that only this thread was interrupted (Ctrl-C): the others' work goes back to the
            # head of the queue.
            others = [other for other in batch if other is not unit] if len(batch) > 1 else ()
            with self._lock:
                if others:
                    self._waiting = [other for other in others if not other.is_done] + self._waiting
                self._pass_on()
            for other in others:
                if other.is_done and other.wake is not None:
                    other.wake.release()

    def _pass_on(self) -> None:
        """Give the lead to the first that waits. The caller holds the lock."""
        if not self._waiting:
            self._leader = None
            return
        first = self._waiting[0]
        first.leads, self._leader = True, _UNKNOWN
        assert first.wake is not None
        first.wake.release()
