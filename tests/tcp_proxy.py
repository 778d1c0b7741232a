"""A TCP proxy in front of PostgreSQL's unix socket that misbehaves at a chosen request: lost replies, resets, black
holes, and whatever else a function does at that instant.

A request is what a client says until it waits for an answer: the start of a connection, a Query message, or the
messages up to a Sync.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

_ENCRYPTION = {80877103, 80877104}
"""Codes of the questions (SSL, GSS) that come before the start of a connection; no requests of their own."""


class Requests:
    """Cuts the bytes that a client sends on one connection into requests."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._read = 0
        self._has_started = False

    def add(self, data: bytes) -> Iterator[bytes]:
        """The requests (or questions before the first one) that are complete now."""
        self._bytes += data
        while (message := self._next()) is not None:
            kind, end = message
            self._read = end
            if kind in b"QSX?":
                request = bytes(self._bytes[:end])
                del self._bytes[:end]
                self._read = 0
                yield request

    def _next(self) -> tuple[int, int] | None:
        """Kind and end of the next whole message; "?" for those that have no kind."""
        rest = self._bytes[self._read : self._read + 8]
        if len(rest) < 8 and (not self._has_started or len(rest) < 5):
            return None
        if self._has_started:
            end = self._read + 1 + struct.unpack_from("!I", rest, 1)[0]
            return (rest[0], end) if len(self._bytes) >= end else None
        length, code = struct.unpack("!II", rest)
        if len(self._bytes) < self._read + length:
            return None
        self._has_started = code not in _ENCRYPTION
        return ord("?"), self._read + length


def name_of(request: bytes) -> str:
    """For people: the statement, as far as it is text."""
    if request[:1] == b"\0":
        return "connect"
    found = re.search(rb"[A-Z][A-Za-z]+[ -~\n]{3,}|BEGIN|COMMIT|ROLLBACK", request)
    return " ".join(found[0].decode().split())[:60] if found else "a prepared statement"


class Proxy:
    """Forwards connections of 127.0.0.1:port to the socket at `upstream`.

    A request is met when it holds `trigger`, or when it is number `at` of all since `misbehave`; then, once for each
    count in `times`:

        "lose reply"   the server gets it, its answer is thrown away and the client sees a reset
        "reset"        the server never gets it, both sides see a reset
        "hole"         the server never gets it, nobody sees anything until the hole heals
        "call"         `call` is called with the server process of the connection, then the request is forwarded

    With `everything` the hole swallows also what all other connections say. It heals after `heal_after` seconds or by
    `heal()`; what it has swallowed stays lost, and the server learns then that its clients are gone.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self._lock = threading.Lock()
        self._healed = threading.Event()
        self.misbehave("", times=0)
        self._closed = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def misbehave(
        self,
        act: str,
        trigger: bytes = b"COMMIT",
        *,
        at: int | None = None,
        times: int = 1,
        everything: bool = False,
        heal_after: float | None = None,
        call: Callable[[int], None] | None = None,
    ) -> None:
        with self._lock:
            self.act, self.trigger, self.at, self.times, self.everything = act, trigger, at, times, everything
            self.heal_after, self.call = heal_after, call
            self.acted = 0
            self.heard: list[str] = []
            """Every request since `misbehave`."""
            self._swallows_all = False
            self._heals_at = float("inf")
            self._healed.clear()

    def heal(self) -> None:
        """New connections work; what a hole has swallowed stays lost."""
        with self._lock:
            self.times, self._swallows_all = 0, False
            self._healed.set()

    def close(self) -> None:
        self._closed.set()
        self.heal()
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            self._heal_in_time()
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            client.setblocking(True)
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.upstream)
            except OSError:  # no server at this moment
                _reset(client, server)
                continue
            self._open = [one for one in self._open if one.fileno() >= 0] + [client, server]
            line = _Line(client, server)
            self._start(self._pump_requests, line)
            self._start(self._pump_answers, line)

    def _heal_in_time(self) -> None:
        if time.monotonic() > self._heals_at:
            self.heal()

    def _pump_requests(self, line: _Line) -> None:
        requests = Requests()
        with contextlib.suppress(OSError):
            while data := line.client.recv(65536):
                for request in requests.add(data):
                    if self._takes(request):
                        if self.act == "reset":
                            self._end(line)
                            return
                        self._act(line)
                    if self._is_swallowed(line):
                        continue
                    line.server.sendall(request)
        self._end(line)

    def _pump_answers(self, line: _Line) -> None:
        with contextlib.suppress(OSError):
            while data := line.server.recv(65536):
                line.note(data)
                if self._is_swallowed(line):
                    continue
                if line.loses_reply:
                    break
                line.client.sendall(data)
        self._end(line)

    def _takes(self, request: bytes) -> bool:
        with self._lock:
            self.heard.append(name_of(request))
            met = self.trigger in request if self.at is None else self.at == len(self.heard)
            if self.times < 1 or not met:
                return False
            self.times -= 1
            self.acted += 1
            return True

    def _act(self, line: _Line) -> None:
        if self.act == "call":
            assert self.call is not None
            self.call(line.process)
        line.loses_reply = self.act == "lose reply"
        if self.act == "hole":
            line.is_torn = True
            self._swallows_all = self.everything
            if self.heal_after is not None:
                self._heals_at = time.monotonic() + self.heal_after

    def _is_swallowed(self, line: _Line) -> bool:
        """Whether a hole takes what is said on the line now; a line of which something was taken never recovers."""
        self._heal_in_time()
        line.is_torn = line.is_torn or self._swallows_all
        return line.is_torn

    def _end(self, line: _Line) -> None:
        while line.is_torn and not self._healed.wait(0.05):
            self._heal_in_time()  # across a hole neither side learns that the other one is gone
        _reset(line.client, line.server)


class _Line:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.process = 0
        """Of the server, as it tells when the connection begins."""
        self.is_torn = self.loses_reply = False

    def note(self, answer: bytes) -> None:
        told = -1 if self.process else answer.find(b"K\0\0\0\x0c")
        if told >= 0:
            self.process = struct.unpack_from("!I", answer, told + 5)[0]


def _reset(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
