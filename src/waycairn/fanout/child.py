"""What a worker process does. It dies with the process that started it, whatever it is doing."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from time import perf_counter, sleep

from waycairn.fanout.flights import Slots
from waycairn.fanout.hold import Hold
from waycairn.fanout.wire import Sent, pack_broken, pack_outcomes, pack_ready, unpack_hold, unpack_tasks
from waycairn.model.tasks import Outcome
from waycairn.ports import Job

_EAGER = 0.005
"""Seconds after which results do not wait for the rest of their batch."""
HELLO = b"hello"
"""The first message of a worker: it listens."""
STOP = b""
"""The message after which no task comes."""


def work(connection: Connection, slot: int, path: str, owner: int) -> None:
    """Do what comes through the connection, behind the job itself, until STOP comes or the owner is gone."""
    _die_with(owner)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Ctrl-C reaches the whole group; what it means is the owner's to say. A function, since programs that an item
        # starts would inherit SIG_IGN.
        signal.signal(number, lambda _number, _frame: None)
    messages: SimpleQueue[bytes] = SimpleQueue()
    hold = Hold()
    threading.Thread(target=_receive, args=(connection, messages, hold), daemon=True).start()
    connection.send_bytes(HELLO)
    try:
        job: Job = pickle.loads(messages.get())  # noqa: S301 - our own parent made it a moment ago
        slots = Slots(path)
    except Exception as error:  # noqa: BLE001 - told to the owner, who raises it
        connection.send_bytes(pack_broken({"type": type(error).__qualname__, "message": str(error)}))
        return
    connection.send_bytes(pack_ready())
    while message := messages.get():
        _perform(connection, job, slots, slot, hold, unpack_tasks(message))


def _perform(  # noqa: PLR0917 - one private call
    connection: Connection, job: Job, slots: Slots, slot: int, hold: Hold, tasks: list[Sent]
) -> None:
    outcomes: list[Outcome] = []
    posted = perf_counter()
    for number, digest, pickled in tasks:
        while (seconds := hold.seconds) > 0:
            sleep(seconds)
        slots.begin(slot, digest)
        try:
            value = pickle.loads(pickled)  # noqa: S301 - our own parent made it a moment ago
        except Exception as error:  # noqa: BLE001 - the user's classes are in there
            outcomes.append(job.failed(number, error))
            continue
        outcome = job.perform(number, value)
        outcomes.append(outcome)
        if outcome.after:
            hold.extend(outcome.after)
        now = perf_counter()
        if now - posted > _EAGER or outcome.after:
            connection.send_bytes(pack_outcomes(outcomes, now - posted))
            outcomes, posted = [], now
    if outcomes:
        connection.send_bytes(pack_outcomes(outcomes, perf_counter() - posted))
    slots.end(slot)


def _receive(connection: Connection, messages: SimpleQueue[bytes], hold: Hold) -> None:
    """Always reading, so that the owner never waits to send, and its end is noticed while an item runs."""
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)
        if (seconds := unpack_hold(message)) is not None:
            hold.extend(seconds)
            continue
        messages.put(message)
        if message == STOP:
            return


if sys.platform == "linux":
    _PR_SET_PDEATHSIG = 1

    def _die_with(owner: int) -> None:
        """Also in the midst of native code that holds the interpreter's lock: then the kernel does it."""
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != owner:  # it died before
            os._exit(1)

else:

    def _die_with(owner: int) -> None:
        """By its end of the connection alone, see `_receive`."""
        if os.getppid() != owner:
            os._exit(1)
