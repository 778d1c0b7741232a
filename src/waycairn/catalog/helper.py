"""Blocking calls that take too long, where the kernel offers no time limit: another thread makes them, or watches."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable


class Waiting:
    """A call that the helper makes. Either it is waited for to its end, or it is given up and undone when it ends."""

    def __init__(self, work: Callable[[], object], undo: Callable[[], object]) -> None:
        self._work, self._undo = work, undo
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_given_up = False

    def wait(self, seconds: float | None) -> bool:
        """True if the call has ended in time. An error of the caller (Ctrl-C) gives it up."""
        try:
            return self._ended.wait(seconds)
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        with self._lock:
            self._is_given_up = True
            if self._ended.is_set():
                self._undo()

    def run(self) -> None:
        self._work()

    def end(self) -> None:
        with self._lock:
            self._ended.set()
            if self._is_given_up:
                self._undo()


class Helper:
    """The thread, started when it is first needed."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.is_busy = False

    def begin(self, work: Callable[[], object], undo: Callable[[], object]) -> Waiting:
        """One call at a time: the caller looks at `is_busy` first."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="waycairn-queue", daemon=True)
            self._thread.start()
        waiting = Waiting(work, undo)
        self.is_busy = True
        self._jobs.put(waiting)
        return waiting

    def close(self) -> bool:
        """End the thread; False if it is still in a call and ends when that does."""
        if self._thread is None:
            return True
        self._jobs.put(None)
        self._thread.join(0.1 if self.is_busy else None)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while (waiting := self._jobs.get()) is not None:
            waiting.run()
            # Free before the caller knows, or it would start another thread for its next call.
            self.is_busy = False
            waiting.end()


class Watch:
    """Calls `warn` once if a `with` block takes longer than its patience; the block itself is blocked in the kernel.

    Its thread starts with the first block and looks up now and then: entering costs an assignment, not a thread.
    """

    def __init__(self, patience: float, warn: Callable[[], None]) -> None:
        self._patience, self._warn = patience, warn
        self._since: float | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def __enter__(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="waycairn-watch", daemon=True)
            self._thread.start()
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def close(self) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        warned: float | None = None
        while not self._closed.wait(self._patience / 2):
            since = self._since
            if since is not None and since != warned and time.monotonic() - since >= self._patience:
                warned = since
                self._warn()
