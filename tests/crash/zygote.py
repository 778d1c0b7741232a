"""Starts jobs by forking, so that a kill costs 50 ms and not the half second of an interpreter that imports.

    python zygote.py

reads one order a line (JSON: see `Order`) and answers with the process id of the job; to a process id it answers with
the exit code of that job: negative for a signal, like subprocess. Each job is a process of its own in its folder, as if
it had been started there by a shell; only the imports are done before.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Self

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

_LIMIT = 60
"""Seconds after which a job that hangs is ended by SIGALRM, which no job expects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    workload: str
    folder: str
    acks: str
    errors: str
    """File for the job's stderr."""
    crash: str | None = None
    record: str | None = None
    history: str | None = None
    """Where what is acknowledged is written, see `waycairn.world.history`."""
    bug: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


class Zygote(AbstractContextManager["Zygote"]):
    """The process that forks jobs; ended at the end of the block."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.stdin.close()

    def run(self, order: Order) -> int:
        """Run one job to its end, however it ends."""
        return self.wait(self.start(order))

    def start(self, order: Order) -> int:
        """The process id of a job; the same one `wait`s for it."""
        return self._ask(asdict(order))

    def wait(self, pid: int) -> int:
        """The exit code of a job that was started, once it has ended."""
        return self._ask(pid)

    def _ask(self, what: Any) -> int:
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def _job(order: Order) -> int:
    from crash import job
    from waycairn.errors import Interrupted
    from waycairn.world import crashpoints, history

    errors = os.open(order.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 1)  # where we answer
    os.dup2(errors, 2)
    os.chdir(order.folder)
    for name, text in (("WAYCAIRN_CRASH", order.crash), ("WAYCAIRN_CRASH_RECORD", order.record)):
        if text:
            os.environ[name] = text
    os.environ.update(order.environment)
    crashpoints._plan = crashpoints._from_environment()
    if order.history:
        os.environ["WAYCAIRN_HISTORY"] = order.history
        history.begin(order.history)
    try:
        job.main(order.workload, order.acks, order.bug)
    except Interrupted as stopped:
        return stopped.code  # what its hook makes of it in a process that ends by itself
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve() -> None:
    import signal

    import waycairn.blobs
    import waycairn.catalog.opening
    import waycairn.chunks
    import waycairn.codec
    import waycairn.process
    import waycairn.work.store  # noqa: F401 - imported before the forks
    from crash import bugs, job  # noqa: F401 - imported before the forks

    _warm_up(job)
    for text in sys.stdin:
        asked = json.loads(text)
        if isinstance(asked, int):
            print(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            signal.alarm(_LIMIT)
            code = _job(Order(**asked))
            sys.stderr.flush()
            os._exit(code)
        print(pid, flush=True)


def _warm_up(job: ModuleType) -> None:
    """Statements and codecs are prepared at their first use, which takes half the time of a small job: once here."""
    with tempfile.TemporaryDirectory(prefix="waycairn-zygote-") as folder, contextlib.chdir(folder):
        for workload in ("fold", "batch", "forget"):
            job.main(workload, os.devnull)
    _compile_statements()
    gc.collect()
    gc.freeze()  # what is never looked at by the collector stays shared with the children


def _compile_statements() -> None:
    """The rest of them, and those of a server."""
    from waycairn.catalog import sqlite
    from waycairn.catalog.statement import Statement

    dialects = [sqlite._TEXTS]
    with suppress(ImportError):
        from waycairn.catalog import postgres

        dialects.append(postgres._TEXTS)
    for statement in [one for one in gc.get_objects() if isinstance(one, Statement)]:
        for texts in dialects:
            texts[statement]


if __name__ == "__main__":
    _serve()
