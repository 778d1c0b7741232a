"""Who is told, for real: a server on loopback that gets a POST, a mail server; and a store that tells them."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

import waycairn as wc
from waycairn.model.notification_settings import ChannelSettings, NotificationSettings
from waycairn.model.settings import Settings


class Hook:
    """A real server; `answers` are given one after the other, then 200."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.got = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((dict(self.headers), body))
                answer = hook.answers.pop(0) if hook.answers else 200
                if answer == "slow":
                    time.sleep(0.5)
                    answer = 200
                self.send_response(answer if isinstance(answer, int) else 302)
                if isinstance(answer, str):
                    self.send_header("Location", answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def channel(self, **more):
        return ChannelSettings(name="hook", kind="webhook", url=self.url, **{"timeout": 5.0, **more})


class Mailbox:
    def __init__(self, refuse=None):
        self.refuse = refuse
        self.got = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session.ssl is not None))
        return "250 OK"


def authenticator(server, session, envelope, mechanism, data):
    ok = (data.login, data.password) == (b"wc", b"pa55")
    return AuthResult(success=ok, handled=ok)


@contextmanager
def mail_server(box, certificate=None, *, is_tls=False):
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=0,
        ssl_context=context if is_tls else None,
        tls_context=None if is_tls else context,
        require_starttls=context is not None and not is_tls,
        authenticator=authenticator if context else None,
        auth_require_tls=not is_tls,
    )
    controller._trigger_server = lambda: _knock(
        controller, is_tls=is_tls
    )  # its own goes to the port that was asked for, 0
    controller.start()
    try:
        yield controller.server.sockets[0].getsockname()[1]
    finally:
        controller.stop()


def _knock(controller, *, is_tls):
    with socket.create_connection(controller.server.sockets[0].getsockname()) as connection:
        if not is_tls:
            connection.recv(100)
            return
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connection) as encrypted:
            encrypted.recv(100)


def mail(port, security, **more):
    return ChannelSettings(
        name="mail",
        kind="smtp",
        host="localhost" if security != "none" else "127.0.0.1",
        port=port,
        security=security,
        sender="waycairn@example.org",
        to=["a@example.org", "b@example.org"],
        timeout=5.0,
        **more,
    )


@contextmanager
def opened(place, *channels, **more):
    with wc.open(place) as store:
        notifications = NotificationSettings(channels=channels, **{"backoff": 0.01, **more})
        store.core.settings = replace(store.core.settings or Settings(), notifications=notifications)
        yield store
