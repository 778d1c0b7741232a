"""SIGTERM and SIGINT: asked once, a run takes its cut and stops; asked twice, it stops at once.

The handler only sets a flag. Raising from it would break whatever the main thread is doing just then: a join, a
commit, a flush.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

from waycairn.errors import Interrupted

__all__ = ["SignalGate", "interruption"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class SignalGate:
    """Catches SIGTERM and SIGINT while at least one gate is open in this process.

        gate = SignalGate()
        with gate:
            ...
            if gate.received: ...

    Handlers are installed by gates that the main thread opens; a gate of another thread sees what they receive. A
    handler that the program had installed before is put back when the last gate closes, and acts on the second
    signal. A signal that the program ignores stays ignored. In a forked child the former handlers are back at once.
    """

    def __init__(self) -> None:
        self._opened_by: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._opened_by = os.getpid()
            _handlers.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened_by == os.getpid():
            _handlers.close()
        self._opened_by = None

    @property
    def received(self) -> int | None:
        """Number of the signal that came while a gate was open in this process, None if none did."""
        return _handlers.received


class _Handlers:
    """What the gates of one process share."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._open = 0
        self._former: dict[int, signal._HANDLER] = {}

    def open(self) -> None:
        self._open += 1
        if self._open == 1:
            self.received = None
            for number in _SIGNALS:
                former = signal.getsignal(number)
                # None: installed by C code, which could not be put back.
                if former not in (signal.SIG_IGN, None, self._receive):
                    self._former[number] = signal.signal(number, self._receive)

    def close(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.restore()

    def restore(self) -> None:
        """Put the former handlers back where ours still stands: one that the job installed meanwhile stays."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python forbids it here; with no gate open, `_receive` passes every signal on
        for number, former in self._former.items():
            if signal.getsignal(number) == self._receive:
                signal.signal(number, former)
        self._former.clear()

    def forget(self) -> None:
        """In a forked child: no gate is open here, whatever the parent had."""
        self._open, self.received = 0, None
        self.restore()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._open and self.received is None:
            self.received = number
            return
        self.restore()
        signal.raise_signal(number)


_handlers = _Handlers()
os.register_at_fork(after_in_child=_handlers.forget)


# -- leaving the process ---------------------------------------------------------------------------------------


def interruption(number: int, run: str, said: str = "its cut was taken, nothing is lost") -> Interrupted:
    """The exception with which a run leaves after its cut (`said` where it was not that). If nobody catches it, the process ends with one line on
    stderr and the exit code that shells give to this signal: 143 for SIGTERM, 130 for SIGINT."""
    name = signal.Signals(number).name
    _exit_by_code()
    return Interrupted(
        f"run {run!r} was stopped by {name}; {said}. Run the job again to go on from it.",
        signal=number,
        code=128 + number,
        run=run,
    )


def _exit_by_code() -> None:
    """An exception hook is the only place between an uncaught exception and the end of the process that can choose
    the exit code, and it leaves the meaning of the exception (it is no SystemExit) to those who catch it."""
    former = sys.excepthook
    if getattr(former, "is_waycairns", False):
        return

    def leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, Interrupted):
            former(kind, error, trace)
            return
        print(f"waycairn: {error}", file=sys.stderr)  # noqa: T201 - the last word of a process
        raise SystemExit(error.code)

    leave.is_waycairns = True  # type: ignore[attr-defined]
    sys.excepthook = leave
