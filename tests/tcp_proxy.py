"""A TCP proxy in front of a unix socket that misbehaves on request: lost replies, resets, black holes."""

import contextlib
import socket
import struct
import threading


class Proxy:
    """Forwards connections of 127.0.0.1:port to the socket at `upstream`.

    `trigger` is looked for in what clients send. When it is found, `act` happens once for each count in `times`:

        "lose reply"   the server gets it, its answer is thrown away and the client sees a reset
        "reset"        the server never gets it, both sides see a reset
        "hole"         the server never gets it, nobody sees anything

    With `everything` the hole swallows also what all other connections say, until `heal`.
    """

    def __init__(self, upstream):
        self.upstream = upstream
        self.trigger, self.act, self.times, self.everything = b"", "", 0, False
        self.acted = 0
        self._swallows_all = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._open = []
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def misbehave(self, act, trigger=b"COMMIT", times=1, everything=False):
        self.trigger, self.act, self.times, self.everything = trigger, act, times, everything

    def heal(self):
        """New connections work; what a hole has swallowed stays lost."""
        self.times, self.everything, self._swallows_all = 0, False, False

    def close(self):
        self._closed.set()
        self.heal()
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.upstream)
            client.setblocking(True)
            self._open += [client, server]
            state = {"lose": False, "hole": False}
            self._start(self._pump, client, server, state, True)
            self._start(self._pump, server, client, state, False)

    def _pump(self, source, target, state, from_client):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if from_client and self._takes(data):
                    if self.act == "reset":
                        break
                    state["lose"], state["hole"] = self.act == "lose reply", self.act == "hole"
                    self._swallows_all = state["hole"] and self.everything
                if state["hole"] or self._swallows_all:
                    continue
                if state["lose"] and not from_client:
                    break
                target.sendall(data)
        if not state["hole"]:
            # Across a hole the server does not learn either that its client is gone.
            self._reset(source, target)

    def _takes(self, data):
        with self._lock:
            if self.times < 1 or self.trigger not in data:
                return False
            self.times -= 1
            self.acted += 1
            return True

    def _reset(self, *sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
