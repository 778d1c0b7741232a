"""Runs jobs whose system calls fail as planned, by forking a warm process: 20 ms each.

    python faulty_job.py WORKLOAD...

reads one order a line (JSON: see `Order`) and answers with one line (see `Ending`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crash.workloads import WORKLOADS
from programme import stubborn
from programme.refusing import CALLS, Fault, Refusing
from programme.system_calls import Listener, hand_over

JOBS = {**WORKLOADS, **stubborn.WORKLOADS}
_LIMIT = 30
"""Seconds after which a job that hangs is ended by SIGALRM, which no job expects."""
_TRIES = 4
"""How often a job that is told to go on by itself calls the workload again."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    workload: str
    folder: str
    acks: str
    errors: str
    """File for the job's stderr."""
    history: str
    fault: Fault | None = None
    is_watched: bool = True
    """Whether calls are handed over at all."""
    goes_on: bool = False
    """After an error of the store the job calls its workload again, with the store that it has open."""
    often: bool = False
    """SQLite copies its log into the database every few pages, not every thousand."""
    limits: dict[str, int] = {}
    """Resource limits by the names of the module `resource`."""
    bug: str = ""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    """Negative for a signal, like subprocess."""
    error: str = ""
    """The class of the error that ended the job, with its module."""
    number: int | None = None
    """errno, if it has one."""
    message: str = ""
    seen: dict[str, int] = {}
    refused: list[str] = []


class FaultyJobs(AbstractContextManager["FaultyJobs"]):
    """The process that forks jobs of these workloads; ended at the end of the block."""

    def __init__(self, workloads: Iterable[str]) -> None:
        self._workloads = tuple(workloads)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._workloads], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.stdin.close()

    def run(self, order: Order) -> Ending:
        """Run one job to its end, however it ends."""
        print(msgspec.json.encode(order).decode(), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"the process that forks jobs ended with {self._process.wait()}: what it wrote tells why"
            )
        return msgspec.json.decode(answer, type=Ending)


# -- the job -------------------------------------------------------------------------------------------------------


def _job(order: Order, channel: socket.socket, ending: int) -> int:
    from crash import bugs
    from waycairn.world import history

    os.dup2(os.open(order.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    os.chdir(order.folder)
    _wait_less()
    if order.often:
        _copy_the_log_often()
    history.begin(order.history)
    if order.bug:
        bugs.plant(order.bug)
    _limit(order.limits)
    if order.is_watched:
        hand_over(channel, CALLS)
    try:
        _work(order)
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        os.write(ending, json.dumps(_facts(error)).encode())
        return 1
    return 0


def _work(order: Order) -> None:
    import waycairn as wc
    from crash import job
    from crash.workloads import STORE
    from waycairn.errors import StoreError

    told = job.teller(order.acks)
    with wc.open(STORE) as store:
        for trial in range(_TRIES):
            try:
                JOBS[order.workload].run(store, told)
                return
            except (StoreError, OSError):
                if not order.goes_on or trial == _TRIES - 1:
                    raise
                traceback.print_exc()


def _facts(error: BaseException) -> dict[str, object]:
    kind = type(error)
    return {
        "error": f"{kind.__module__}.{kind.__qualname__}",
        "number": getattr(error, "errno", None),
        "message": str(error),
    }


def _wait_less() -> None:
    """What looks busy because its locks fail is not worth ten seconds."""
    from waycairn.catalog import sqlite

    sqlite.BUSY_SECONDS = 0.2


def _copy_the_log_often() -> None:
    from waycairn.catalog import sqlite

    sqlite._PRAGMAS = (*sqlite._PRAGMAS, "PRAGMA wal_autocheckpoint = 4")


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if "RLIMIT_FSIZE" in limits:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does at its start


# -- the process that forks ----------------------------------------------------------------------------------------


def _run(order: Order) -> Ending:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, theirs, open(reader, "rb") as told:
        pid = os.fork()
        if pid == 0:
            signal.alarm(_LIMIT)
            code = 1
            try:
                code = _job(order, theirs, writer)
                sys.stderr.flush()
            finally:
                os._exit(code)
        os.close(writer)
        theirs.close()
        watched = _watch(order, ours) if order.is_watched else {}
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return msgspec.convert({"code": code, **watched, **json.loads(told.read() or b"{}")}, Ending)


def _watch(order: Order, channel: socket.socket) -> dict[str, object]:
    listener = Listener(channel)
    try:
        report = Refusing(Path(order.folder), order.fault).serve(listener)
    finally:
        listener.close()
    return {"seen": dict(report.seen), "refused": report.refused}


def _warm_up(workloads: Iterable[str]) -> None:
    """Everything that one of these jobs imports, and every statement compiled, before the forks."""
    import gc
    import tempfile

    import waycairn as wc
    from crash import bugs, job  # noqa: F401 - imported before the forks
    from crash.workloads import STORE

    with tempfile.TemporaryDirectory(prefix="waycairn-jobs-") as folder, contextlib.chdir(folder):
        for name in workloads:
            # Opened for each: one of them sets back the numbers that an open store has taken for itself.
            with wc.open(STORE) as store:
                JOBS[name].run(store, lambda _: None)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all of it


if __name__ == "__main__":
    _warm_up(sys.argv[1:])
    for line in sys.stdin:
        print(msgspec.json.encode(_run(msgspec.json.decode(line, type=Order))).decode(), flush=True)
