"""A save that is written behind the job's back."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from waycairn.codec.staging import Stager, stager_if_needed
from waycairn.codec.transfers import Transfer
from waycairn.model.encoded import Encoded
from waycairn.model.ids import CheckpointId
from waycairn.work.snapshots import Snapshot, SnapshotPool
from waycairn.work.state import Slot, ValueSlot
from waycairn.world.crashpoints import crashpoint

log = logging.getLogger("waycairn")

_NICE = 10
"""Its threads (Linux counts niceness by thread, and new threads inherit it) yield to the job, which is what the user
waits for. At 19, with every processor busy, 64 MiB took 2.9 s instead of 0.6: a thread that holds the interpreter is left
asleep, and the job waits for it, too."""


class Saving:
    """A save under way. What is saved was copied; the job may change its objects.

    It is durable when `result()` returns. An error is raised there, or at the next call that writes to the same run or
    store, or where that is left, whichever comes first. Thread-safe; also awaited: `await saving`.
    """

    def __init__(
        self,
        write: Callable[[], CheckpointId | None],
        release: Callable[[], None] | None = None,
        then: Callable[[], object] | None = None,
    ) -> None:
        """`then` is done on its thread once it is durable; nobody waits for that but `end`."""
        self._then = then
        self._write = write
        self._release = release
        self._future: Future[CheckpointId | None] = Future()
        self._is_told = False
        # No daemon: the interpreter waits for it before it ends.
        self._thread = threading.Thread(target=self._run, name="waycairn-save")
        self._thread.start()

    def _run(self) -> None:
        _yield_to_the_job()
        try:
            crashpoint("saving.begin")
            saved = self._write()
            crashpoint("saving.end")
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks
            log.error("a save in the background failed: %s", error)  # noqa: TRY400 - the traceback comes where it is raised
            self._finish()
            self._future.set_exception(error)
        else:
            self._finish()
            self._future.set_result(saved)
            if self._then is not None:
                self._then()

    def _finish(self) -> None:
        if self._release is not None:
            self._release()
        del self._write, self._release  # they hold the copy

    @property
    def is_busy(self) -> bool:
        """Whether its thread runs: also while what comes then is done."""
        return self._thread.is_alive()

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._future.done()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, or so long; whether it has. Raises nothing of it."""
        with suppress(TimeoutError):
            self._future.exception(seconds)
        return self._future.done()

    def result(self, timeout: float | None = None) -> CheckpointId | None:
        """Wait until it is durable; the id of the checkpoint. Raises what the save raised, TimeoutError if it takes
        longer than so many seconds (it goes on)."""
        if not self.wait(timeout):
            raise TimeoutError(f"the save is not durable after {timeout} seconds; it goes on")
        self._is_told = True
        return self._future.result()

    def end(self) -> None:
        """Wait for it and for what comes then. Raises nothing of it."""
        self._thread.join()

    def settle(self) -> None:
        """Wait for it; raise its error unless somebody was told before."""
        self.wait()
        if not self._is_told:
            self.result()

    def __await__(self) -> Generator[None, None, CheckpointId | None]:
        return self._awaited().__await__()

    async def _awaited(self) -> CheckpointId | None:
        import asyncio  # which plain jobs need not load

        return await asyncio.to_thread(self.result)


class Behind:
    """What one run or store writes behind its job: one save at a time."""

    def __init__(self) -> None:
        self.pool = SnapshotPool()
        self.stager: Stager | None = None
        """Copies what lies on devices; made once the process uses one."""
        self.flight: Saving | None = None
        self._flown: list[Saving] = []
        """It, and those before it that are not quite done."""
        self._lock = threading.Lock()

    def reserve(self, state: Slot) -> None:
        """Have memory for a copy of this state ready, or soon."""
        here, on_devices = self.measure(state)
        self.pool.reserve(here)
        if self.stager is not None:
            self.stager.reserve(on_devices)

    def measure(self, state: Slot) -> tuple[int, int]:
        """Bytes that a copy of this state takes, in all and of what lies on devices. Raises TypeError for what cannot be
        stored. Copies nothing."""
        self.stager = self.stager or stager_if_needed()
        if self.stager is None:
            return state.encode().size, 0
        with self.stager.measure() as measure:
            size = state.encode().size
        return size, measure.size

    def copy(self, state: Slot) -> Snapshot:
        """The state as it is now, encoded. The caller may change it as soon as this returns."""
        self.stager = self.stager or stager_if_needed()
        if self.stager is None:
            return self.pool.copy(state.encode())
        with self.stager.stage(state.optimizers) as stage:
            encoded = state.encode()
            snapshot = self.pool.copy(encoded, stage.has)
        return _joined(snapshot, stage.transfer)

    def settle(self) -> None:
        """What is on its way is durable when this returns; its error is raised here."""
        with self._lock:
            flight, self.flight = self.flight, None
        if flight is not None:
            flight.settle()

    def save(self, value: Any, write: Callable[[Encoded], CheckpointId | None]) -> Saving:
        """Copy a value here, write it in a thread of its own, once the one before is durable."""
        self.settle()
        snapshot = self.copy(ValueSlot(value))

        def finish() -> CheckpointId | None:
            snapshot.ready()
            return write(snapshot.encoded)

        return self.fly(finish, snapshot.release)

    def fly(
        self,
        write: Callable[[], CheckpointId | None],
        release: Callable[[], None] | None = None,
        then: Callable[[], object] | None = None,
    ) -> Saving:
        """Write in a thread of its own."""
        with self._lock:
            self.flight = flight = Saving(write, release, then)
            self._flown = [one for one in (*self._flown, flight) if one.is_busy]
        return flight

    def end(self) -> None:
        """Wait, raise nothing (it was logged), and let the memory go."""
        for flight in self._flown:
            flight.end()
        self.flight, self._flown = None, []
        self.trim()

    def trim(self) -> None:
        """Nothing is saved soon: let memory go."""
        self.pool.trim()
        if self.stager is not None:
            self.stager.trim()


def _joined(snapshot: Snapshot, transfer: Transfer) -> Snapshot:
    def release() -> None:
        transfer.release()
        snapshot.release()

    return Snapshot(snapshot.encoded, release, transfer.wait)


def _yield_to_the_job() -> None:
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)
