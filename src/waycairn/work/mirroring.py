"""Keeps the mirror of a session up with the catalog, off the job's path."""

from __future__ import annotations

import logging
import os
import threading
import time

from waycairn.errors import WaycairnError
from waycairn.model.records import RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.mirror_folder import MirrorFolder, folder_of

log = logging.getLogger("waycairn")

KEEP = 50
_PAUSE, _LONGEST_PAUSE = 9.0, 5.0
"""After copying, rest for so many times as long (copying takes a tenth of the time), but for so many seconds at most."""
_PATIENCE = 30.0
"""Seconds that leaving a run waits for the last copies."""


class Mirroring:
    """One background thread, begun with the first commit there is something to copy of. A failure of it never is one of
    the run: it is logged once, stands in `problem`, and is tried again with the next commit."""

    def __init__(self, store: StoreCore, run: RunRecord) -> None:
        self._is_encrypted = store.is_encrypted
        self.keep = self.checked(
            _count_setting("WAYCAIRN_MIRROR", 0 if self._is_encrypted else KEEP), "WAYCAIRN_MIRROR"
        )
        self.problem: str | None = None
        """Why the newest copies could not be written; None if they could."""
        self.copied = 0
        """Commits that were copied in this entry."""
        self.folder = folder_of(store, run) if self.keep else None
        self._mirror = None if self.folder is None else MirrorFolder(store, run, self.folder)
        self._has_warned = False
        self._asked = self._done = self._hurried = 0
        self._is_closing = False
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def checked(self, keep: int, where: str) -> int:
        """How many copies are kept. ValueError for any of an encrypted store: they would tell what it hides."""
        if keep and self._is_encrypted:
            raise ValueError(
                f"{where} asks for {keep} readable copies of each iteration, and the store is encrypted: they would tell what "
                "it hides. Nothing was done. Leave it out, or set it to 0; `waycairn export` writes what you ask for."
            )
        return keep

    def catch_up(self) -> None:
        """A process that was killed may have left the newest commits uncopied."""
        if self.folder is not None and self.folder.exists():
            self.wake()

    def wake(self) -> None:
        """Something was committed."""
        if self._mirror is None or not self.keep:
            return
        with self._change:
            self._asked += 1
            self._change.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="waycairn mirror", daemon=True)
                self._thread.start()

    def wait(self, timeout: float = _PATIENCE) -> bool:
        """Until what was committed so far is copied; whether it is."""
        with self._change:
            asked = self._asked
            self._hurried += 1
            self._change.notify_all()
            is_done = self._change.wait_for(lambda: self._done >= asked, timeout)
            self._hurried -= 1
        return is_done and self.problem is None

    def close(self) -> None:
        """Wait until everything is copied, but not for ever."""
        thread = self._thread
        if thread is None:
            return
        with self._change:
            self._is_closing = True
            self._change.notify_all()
        thread.join(_PATIENCE)
        if thread.is_alive():
            self._tell(f"it was not done within {_PATIENCE:.0f} s")

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._asked > self._done or self._is_closing)
                if self._asked == self._done:
                    return
                asked = self._asked
            started = time.monotonic()
            self._copy()
            with self._change:
                self._done = asked
                self._change.notify_all()
                # Where commits come faster than copies, one look takes many of them.
                pause = min(_LONGEST_PAUSE, _PAUSE * (time.monotonic() - started))
                self._change.wait_for(lambda: self._is_closing or self._hurried > 0, pause)

    def _copy(self) -> None:
        assert self._mirror is not None
        try:
            self.copied += self._mirror.sync(self.keep)
            self.problem = None
        except (WaycairnError, OSError, ValueError) as error:
            self._tell(str(error))

    def _tell(self, problem: str) -> None:
        self.problem = problem
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "the readable copies of this session in %s are not up to date: %s. The store itself is, and the run goes "
                "on; they are tried again with the next commit.",
                self.folder,
                problem,
            )


def _count_setting(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} is how many copies are kept, 0 for none, not {text!r}. Nothing was done.")
    return int(text)
