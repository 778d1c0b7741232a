"""Trials that may crash or hang the interpreter: each runs in a forked process that may die of it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["Died", "isolated"]

Trial = TypeVar("Trial")
HOPELESS = 20
"""So many bad outcomes that more of them tell nothing new."""


class Died(str):
    """Why the process of a trial ended in the middle of it."""

    __slots__ = ()


def isolated(trials: Sequence[Trial], work: Callable[[Trial], Any], limit: float) -> Iterator[tuple[Trial, Any]]:
    """Each trial with what `work` made of it (JSON), or Died. A process does many trials and the next one the rest.

    `limit` is seconds a trial; the kernel ends one that takes longer, also in the midst of native code.
    """
    first = 0
    while first < len(trials):
        reader, writer = os.pipe()
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _die_with(parent)
            os.close(reader)
            _perform(trials, first, work, limit, writer)
        os.close(writer)
        try:
            with os.fdopen(reader) as lines:
                for line in lines:
                    yield trials[first], json.loads(line)
                    first += 1
        finally:
            os.kill(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if first < len(trials):
            yield trials[first], Died("hangs" if code == -signal.SIGALRM else f"ends the interpreter with {code}")
            first += 1


def _perform(trials: Sequence[Trial], first: int, work: Callable[[Trial], Any], limit: float, writer: int) -> None:
    """Never returns."""
    code = 70
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for trial in trials[first:]:
            signal.setitimer(signal.ITIMER_REAL, limit)
            line = json.dumps(work(trial)) + "\n"
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.write(writer, line.encode())
        code = 0
        os.close(writer)
        signal.pause()  # ended from outside, so that how it ends says nothing of the last trial
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


_PR_SET_PDEATHSIG = 1


def _die_with(parent: int) -> None:
    """Also when the parent, itself a trial, is ended in the midst of ours."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(70)
