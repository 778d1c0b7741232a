"""Callbacks: who asks for it is told what happened, after it is durable, on a thread that no save waits for.

A callback gets one `Event`. All callbacks of a store are called one after the other on one thread, in the order of what
happened; it begins when there is something to tell and ends when there is nothing left, and the program does not end before
that. An error that a callback raises is logged, and counted; it changes nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from waycairn.errors import WaycairnError
from waycairn.model.ids import CheckpointId, RunId, split_checkpoint_id
from waycairn.model.records import Commit
from waycairn.model.states import RunStatus
from waycairn.model.sweeping import SweepReport
from waycairn.store import StoreCore

log = logging.getLogger("waycairn")
Kind = Literal["created", "completed", "failed", "expired", "health_changed", "backup_ready", "backup_failed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Callback = Callable[["Event"], Any]
_RUNS: Mapping[RunStatus, Kind] = {
    RunStatus.COMPLETED: "completed",
    RunStatus.FAILED: "failed",
    RunStatus.PARTIAL: "failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    kind: Kind
    at: float
    """Seconds since 1970."""
    run: RunId | None = None
    """Id of the run that it is about."""
    name: str | None = None
    """Of that run; None if it was deleted meanwhile."""
    checkpoints: Sequence[str] = ()
    """Ids: the new one, or those that are gone."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """created: `kind` and `tags` of the checkpoint. completed, failed: `status` and `error` of the run. health_changed:
    `before` and `after` (a status each), `score`, `issues`. backup_ready, backup_failed: `backup` (an id), `kind`, `label`,
    `owner`, `records`, `bytes`, `expires`, `error`."""


class Events:
    """Implements `ports.Listener`. Thread-safe."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core
        self._callbacks: list[tuple[Kind, Callback]] = []
        self._waiting: deque[Event] = deque()
        self._lock = threading.RLock()  # a signal handler may save while its thread is in here
        self._thread: threading.Thread | None = None
        self.failures = 0
        """Callbacks that raised."""

    def on(self, kind: Kind, callback: Callback) -> Callable[[], None]:
        """Call it for each event of a kind from now on; returns the function that ends that."""
        if kind not in KINDS:
            raise ValueError(f"there is no event {kind!r}; these are: {', '.join(KINDS)}")
        entry = (kind, callback)
        with self._lock:
            self._callbacks = [*self._callbacks, entry]

        def unsubscribe() -> None:
            with self._lock:
                self._callbacks = [one for one in self._callbacks if one is not entry]

        return unsubscribe

    def wants(self, kind: Kind) -> bool:
        return any(wanted == kind for wanted, _ in self._callbacks)

    def committed(self, commit: Commit, checkpoint: CheckpointId | None) -> None:
        """Called with every commit: two comparisons, unless there is something to tell."""
        if checkpoint is not None and commit.checkpoint is not None and self.wants("created"):
            facts = {"kind": commit.checkpoint.kind, "tags": list(commit.checkpoint.tags)}
            run, _ = split_checkpoint_id(checkpoint)  # a plain value gets its run from the catalog
            self.emit(Event(kind="created", at=commit.now, run=run, checkpoints=[checkpoint], facts=facts))
        kind = None if commit.status is None else _RUNS.get(commit.status)
        if kind is not None and commit.sequence and self.wants(kind):  # 0: a plain value, which is no run
            assert commit.status is not None
            end: dict[str, Any] = {"status": commit.status.value, "error": dict(commit.error) if commit.error else None}
            self.emit(Event(kind=kind, at=commit.now, run=commit.run, facts=end))

    def emit(self, event: Event) -> None:
        """Tell those who asked for it, soon. Never raises, never waits."""
        if not self.wants(event.kind):
            return
        with self._lock:
            self._waiting.append(event)
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._tell_all, name="waycairn-events")
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter ends: no thread begins any more
                self._tell_all()

    def drain(self) -> None:
        """Wait until everybody was told; nothing if a callback asks for it."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _tell_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                event = self._waiting.popleft()
            self._tell(event)

    def _tell(self, event: Event) -> None:
        found = self._named(event)
        if found is None:
            return
        event = found
        for kind, callback in self._callbacks:
            if kind == event.kind:
                try:
                    callback(event)
                except Exception:
                    self.failures += 1
                    log.exception("a callback for %r failed; nothing else is changed by that", event.kind)

    def _named(self, event: Event) -> Event | None:
        """With the name of its run. None for the end of a phase: what is told is how runs end."""
        if event.run is None:
            return event
        try:
            run = self._core.catalog.get_run(event.run)
        except (WaycairnError, OSError):
            run = None  # it is told all the same
        if run is not None and run.parent is not None and event.kind != "created":
            return None
        return event if run is None else replace(event, name=run.name)


def events_of(core: StoreCore) -> Events:
    """Those of a store that is open here; made when somebody asks first."""
    if not isinstance(core.listener, Events):
        core.listener = Events(core)
    return core.listener


def emit(core: StoreCore, event: Event) -> None:
    """Tell who asked for it, if anybody did."""
    if isinstance(core.listener, Events):
        core.listener.emit(event)


def expired(core: StoreCore, checkpoints: Sequence[str]) -> None:
    """For whoever removes checkpoints that policies let go, once they are gone: who asked for it is told which."""
    if checkpoints:
        emit(core, Event(kind="expired", at=core.clock.now(), checkpoints=list(checkpoints)))


def swept(core: StoreCore, report: SweepReport) -> None:
    """For whoever swept: what it gave back is measured."""
    if not report.dry_run:
        core.meter.record("sweep.bytes", float(report.freed_bytes + report.inline_bytes))
