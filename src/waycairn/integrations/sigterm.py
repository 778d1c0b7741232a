"""SIGTERM while a training runs in somebody else's loop: a flag, which that loop is asked to look at."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Sigterm:
    """Remembers a SIGTERM from `watch` to `put_back`, in the main thread; elsewhere it does nothing.

    The former handler is put back and called by the second signal, and by one that comes while the loop does not run:
    it was left by an exception, of which nobody told us. A signal that the program ignores stays ignored.
    """

    def __init__(self, is_running: Callable[[FrameType | None], bool]) -> None:
        """`is_running` says, by the frame that a signal interrupts, whether the loop is running."""
        self.received = False
        self._is_running = is_running
        self._former: signal._HANDLER = None
        self._watches = False

    def watch(self) -> None:
        """Catch SIGTERM from now on."""
        self.received = False
        if self._watches or threading.current_thread() is not threading.main_thread():
            return
        former = signal.getsignal(signal.SIGTERM)
        if former in (signal.SIG_IGN, None):  # None: installed by C code, which could not be put back
            return
        self._former, self._watches = former, True
        signal.signal(signal.SIGTERM, self._receive)

    def put_back(self) -> None:
        """Put the former handler back, where ours still stands."""
        if not self._watches or threading.current_thread() is not threading.main_thread():
            return
        self._watches = False
        if signal.getsignal(signal.SIGTERM) == self._receive:
            signal.signal(signal.SIGTERM, self._former)

    def pass_on(self) -> bool:
        """Call the handler that the program had, after `put_back`; False if it had none but the default one."""
        if not callable(self._former):
            return False
        self._former(signal.SIGTERM, None)
        return True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.received and self._is_running(frame):
            self.received = True
            return
        self.put_back()
        signal.raise_signal(number)
