"""A fair queue of processes in front of one SQLite file.

SQLite's own busy handler polls with growing pauses, so with 50 writers some starve for seconds. One file lock is not
fair either: who releases it takes it again before the one that was woken up runs (measured with 64 processes: the
slowest at 0.16 of the fastest, p99 565 ms). So there are tickets, as in the queue lock of Craig, Landin and Hagersten
(1993-94): everybody holds a lock on the byte of its own ticket and waits for the byte of the ticket before. The order
is fixed when the ticket is drawn, one waiter wakes at a time, and the kernel frees the byte of a process that dies.
Measured with 64 processes: the slowest at 0.97 of the fastest, p99 46 ms where the median is 33. Who finds that
nobody has drawn a ticket since its own needs no new one: then a turn costs 3 µs.

The tickets only order the processes; that one at a time writes is held by the turn, a lock that is kept during the
transaction. So a stopped process in the queue is passed over, also one that was drawing its ticket; one that is stopped
in its transaction blocks all the others, as it would with SQLite alone, and is named in a warning.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import sys
import time
from pathlib import Path

from waycairn.catalog.helper import Helper, Watch
from waycairn.catalog.holders import describe_holder, is_stopped
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import translated

_log = logging.getLogger(__name__)
LOOK_EVERY = 2.0
"""Seconds of waiting after which a process looks whether the one before it is stopped, and then passes it over."""
DRAWING = 0.2
"""Seconds to wait for somebody who draws a ticket, which takes microseconds: then that process is stopped just there, and
this one does without."""
_PAUSE = 0.0002
PATIENCE = 10.0
"""Seconds of waiting for the turn after which a warning names who has it."""
_HAS_TICKETS = sys.platform == "linux" and sys.maxsize > 2**32
"""Elsewhere the turn alone is taken: safe, less fair."""
_LOCK = struct.Struct("hhqqi4x")
"""struct flock of Linux on 64 bits: type, whence, start, length, pid."""
_SLOTS = 4096
_FIRST = 8 * (1 + _SLOTS)
"""The file: the newest ticket; who drew each of the last 4,096; behind that the bytes of the tickets, which are locked
and never written, so that the file stays small."""
# Locks of an open file, not of a process: closing another handle of the same file does not drop them.
_SET, _SET_WAITING = getattr(fcntl, "F_OFD_SETLK", 37), getattr(fcntl, "F_OFD_SETLKW", 38)


class FairQueue:
    """One place in the queue for this process; the threads of a process take turns elsewhere (see `group`)."""

    def __init__(self, path: Path) -> None:
        self._turn_path = path.with_name(f"{path.name}.turn")
        with translated("the queue file", path):
            self._tickets = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._turn = os.open(self._turn_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._newest = -1
        """The newest ticket of this process; none yet."""
        self._held: int | None = None
        self._helper = Helper()
        self._watch = Watch(PATIENCE, self._warn)
        self._is_closed = False

    def acquire(self) -> None:
        try:
            if _HAS_TICKETS and self._read() != self._newest:
                self._line_up()
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with self._watch:
                    fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            # At the beginning of the turn, not at its end: so the next one wakes up and waits at the turn itself by
            # the time it is free.
            self._give_ticket_back()

    def release(self) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody has drawn a ticket since this one's turn began. True where there are no tickets to tell."""
        return not _HAS_TICKETS or self._read() != self._newest

    def close(self) -> None:
        """Idempotent. A helper that still waits for a stopped process keeps the files open until that ends."""
        if not self._is_closed:
            self._is_closed = True
            self._watch.close()
            if self._helper.close():
                self._close_files()

    def abandon(self) -> None:
        """In a forked child: drop the shared open files, or this process would keep its parent's locks alive."""
        if not self._is_closed:
            self._close_files()

    def _close_files(self) -> None:
        os.close(self._tickets)
        os.close(self._turn)

    def _read(self) -> int:
        """The ticket that was drawn last, by anybody."""
        return _number(os.pread(self._tickets, 8, 0))

    def _line_up(self) -> None:
        """Draw a ticket and wait for the one before it, or for the one before that if it belongs to a process that
        is stopped (SIGSTOP, Ctrl-Z) while it waits."""
        if not self._begin_to_draw():
            return  # safe and less fair, as where there are no tickets
        before = self._draw() - 1
        while not self._await_ticket(before):
            before -= 1

    def _await_ticket(self, ticket: int) -> bool:
        """Wait until a ticket is given back. False if its process is stopped and does not come forward."""
        if not self._lock(_SET, fcntl.F_RDLCK, ticket):
            waiting = self._helper_at_hand().begin(
                lambda: self._lock(_SET_WAITING, fcntl.F_RDLCK, ticket),
                undo=lambda: self._lock(_SET, fcntl.F_UNLCK, ticket),
            )
            while not waiting.wait(LOOK_EVERY):
                if is_stopped(self._drawn_by(ticket)):
                    waiting.give_up()
                    return False
        self._lock(_SET, fcntl.F_UNLCK, ticket)
        return True

    def _drawn_by(self, ticket: int) -> int:
        return _number(os.pread(self._tickets, 8, _slot(ticket)))

    def _begin_to_draw(self) -> bool:
        """One at a time; false if somebody does not come to an end of it."""
        ends = time.monotonic() + DRAWING
        while True:
            try:
                fcntl.flock(self._tickets, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > ends:
                    return False
                time.sleep(_PAUSE)
            else:
                return True

    def _draw(self) -> int:
        """The next ticket, with the lock on its byte, so that nobody can wait for a ticket that is not locked yet."""
        try:
            ticket = self._read() + 1
            while not self._lock(_SET, fcntl.F_WRLCK, ticket):
                # The counter was lost in a power cut and counts again from the beginning.
                ticket += 1
            self._held = self._newest = ticket
            os.pwrite(self._tickets, _bytes(os.getpid()), _slot(ticket))
            crashpoint("queue.ticket")
            os.pwrite(self._tickets, _bytes(ticket), 0)
            crashpoint("queue.ticket.done")
        finally:
            fcntl.flock(self._tickets, fcntl.LOCK_UN)
        return ticket

    def _give_ticket_back(self) -> None:
        if self._held is not None:
            self._lock(_SET, fcntl.F_UNLCK, self._held)
            self._held = None

    def _warn(self) -> None:
        _log.warning(
            "waiting to write to the catalog for more than %.0f s: %s. Nothing is lost, this process goes on as soon "
            "as it is free. If that process is stopped or hangs, continue it (kill -CONT) or end it.",
            PATIENCE,
            describe_holder(self._turn_path),
        )

    def _helper_at_hand(self) -> Helper:
        """A fresh one while the old one still waits for a stopped process that was passed over."""
        if self._helper.is_busy:
            self._helper = Helper()
        return self._helper

    def _lock(self, command: int, kind: int, ticket: int) -> bool:
        """Lock or free the byte of a ticket; False if it is held and the command does not wait."""
        try:
            fcntl.fcntl(self._tickets, command, _LOCK.pack(kind, os.SEEK_SET, _FIRST + ticket, 1, 0))
        except BlockingIOError:
            return False
        return True


def _slot(ticket: int) -> int:
    return 8 * (1 + ticket % _SLOTS)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _bytes(number: int) -> bytes:
    return number.to_bytes(8, "little")
