"""Saves behind the caller, one after the other, and what may be done only once they are durable."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from waycairn.codec import Types
from waycairn.model.ids import CheckpointId
from waycairn.model.records import NewRun
from waycairn.process import new_root
from waycairn.store import CheckpointDraft
from waycairn.work.saving import Behind
from waycairn.work.snapshots import Snapshot
from waycairn.work.state import ValueSlot
from waycairn.work.step import check_name
from waycairn.work.store import Store, default_store, open_store
from waycairn.world.randomness import new_run_id

log = logging.getLogger("waycairn")


class Copied:
    """A save that was begun: its content was copied, and is written by the thread that asks for the result."""

    def __init__(self, store: Store, run: NewRun, draft: CheckpointDraft, copy: Snapshot) -> None:
        self._store, self._run, self._draft, self._copy = store, run, draft, copy

    def result(self) -> CheckpointId:
        """Write it; durable when this returns. Raises what went wrong. To be called once."""
        try:
            self._copy.ready()
            return self._store.core.save_value(self._run, self._draft)
        finally:
            self._copy.release()


class Copier:
    """Copies values into memory that stays from save to save, from devices by way of pinned memory."""

    def __init__(self) -> None:
        self._behind = Behind()

    def reserve(self, value: Any) -> None:
        """Have memory for a value of this size ready, or soon: the first copy need not wait for it."""
        self._behind.reserve(ValueSlot(value))

    def begin(
        self,
        store: Store,
        name: str,
        value: Any,
        *,
        types: Types | None = None,
        tags: Sequence[str] = (),
        description: str | None = None,
    ) -> Copied:
        """Copy a value, to be committed under a name. The caller may change it as soon as this returns.

        With `types` a value that could not be restored is refused. Raises TypeError naming the path of what cannot be
        stored.
        """
        check_name("saved value", name)
        new = new_root(new_run_id(), name, "value")
        copy = self._behind.copy(ValueSlot(value, types))
        draft = CheckpointDraft(
            kind="value", role="value", encoded=copy.encoded, tags=tuple(tags), description=description
        )
        return Copied(store, new, draft, copy)

    def trim(self) -> None:
        """Nothing is saved soon: let the memory go."""
        self._behind.trim()


def store_at(where: Store | str | os.PathLike[str] | None) -> Store:
    """A store as an integration is given it: one that is open, its address, or the one in use here."""
    if where is None:
        return default_store()
    return where if isinstance(where, Store) else open_store(where)


class SaveQueue:
    """A thread that finishes saves in the order of the calls.

    What goes wrong in it is raised by the next call of `save` or `wait`, once; what nobody came for is logged when the
    process ends, which first waits for the saves that are under way. One caller at a time; not usable in a forked child.
    """

    def __init__(self, name: str, *, in_flight: int) -> None:
        """`in_flight` is how many saves have their copies in memory at once."""
        self._name = name
        self._in_flight = in_flight
        self._thread: ThreadPoolExecutor | None = None
        self._saves: list[Future[None]] = []
        self._others: list[Future[None]] = []
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()
        # These two belong to the thread: whether a save of the present group failed, and whether the group has ended.
        self._has_failed = False
        self._has_ended = False
        weakref.finalize(self, _tell, name, self._errors)

    def save(self, begin: Callable[[], Copied], then: Callable[[CheckpointId], None], what: str) -> None:
        """Begin a save and return; `then` runs when it is durable. Waits while as many as may be are under way."""
        self._await(self._saves, self._in_flight - 1)
        self.raise_errors()
        saving = begin()
        self._saves.append(self._submit(lambda: self._save(saving, then, what)))

    def after_saves(self, act: Callable[[], None], what: str) -> None:
        """Do what destroys something older, once the saves before it are durable; never if one of them failed.

        Those before it are the saves since the last such act, and between acts without a save in between the same.
        """
        self._others.append(self._submit(lambda: self._act(act, what)))

    def wait(self) -> None:
        """Return when nothing is under way. Raises what went wrong since the last call."""
        self._await(self._saves, 0)
        self._await(self._others, 0)
        self.raise_errors()

    @property
    def is_busy(self) -> bool:
        """True while a save is under way."""
        return any(not save.done() for save in self._saves)

    def raise_errors(self) -> None:
        """Raise what went wrong in the thread, if anything did: the first error, with the others as notes."""
        with self._lock:
            errors = self._errors[:]
            self._errors.clear()
        if errors:
            for other in errors[1:]:
                errors[0].add_note(f"and then {type(other).__name__}: {other}")
            raise errors[0]

    def stop(self) -> None:
        """Wait, and let the thread go; the next save starts another. Raises what went wrong."""
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
                self._thread = None

    def _submit(self, work: Callable[[], None]) -> Future[None]:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"waycairn-{self._name}")
        return self._thread.submit(work)

    def _await(self, futures: list[Future[None]], left: int) -> None:
        while len(futures) > left:
            futures[0].result()
            del futures[0]

    def _save(self, saving: Copied, then: Callable[[CheckpointId], None], what: str) -> None:
        if self._has_ended:
            self._has_failed = self._has_ended = False
        try:
            then(saving.result())
        except BaseException as error:  # noqa: BLE001 - raised by the next call
            self._has_failed = True
            self._keep(error, f"while {what} in the background; earlier checkpoints stand, this one was not made")

    def _act(self, act: Callable[[], None], what: str) -> None:
        self._has_ended = True
        if self._has_failed:
            log.warning("%s is left undone: the save before it failed", what)
            return
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised by the next call
            self._keep(error, f"while {what} in the background; no checkpoint is lost")

    def _keep(self, error: BaseException, note: str) -> None:
        error.add_note(note)
        with self._lock:
            self._errors.append(error)


def _tell(name: str, errors: list[BaseException]) -> None:
    for error in errors:
        notes = "; ".join(getattr(error, "__notes__", ()))
        log.critical("%s: %s: %s (%s)", name, type(error).__name__, error, notes)
