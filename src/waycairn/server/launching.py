"""Commands, started by the server: only where the operator allowed it, and only such as a run was started with, or ours."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from waycairn.documents.runs import title_of
from waycairn.model.ids import RunId
from waycairn.model.records import RunRecord
from waycairn.server.problems import Problem
from waycairn.server.serving import Options
from waycairn.store import StoreCore
from waycairn.upkeep.launching import Launched, last_lines, launch, launch_run
from waycairn.upkeep.standing import root_of, standing_of
from waycairn.upkeep.starting import StartCommand, command_of, refuse_start

__all__ = ["Launcher", "Started"]

log = logging.getLogger("waycairn.server")

_PATIENCE = 0.5
"""Seconds that a new process is looked at: what is wrong with it as a rule is wrong at once."""


@dataclass(slots=True)
class Started:
    """One that this server started."""

    run: RunRecord
    launched: Launched
    ended: threading.Event = field(default_factory=threading.Event)

    def settle(self, patience: float = _PATIENCE) -> None:
        """Raises Problem if it died at once."""
        self.ended.wait(patience)
        code = self.launched.process.returncode
        if self.ended.is_set() and code != 0:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            said = "\n".join(last_lines(self.launched.log)) or "(nothing)"
            raise Problem(
                409,
                "launch failed",
                f"the command of run {title_of(self.run)} was started and died at once ({how}). What is committed stands. "
                f"It said:\n{said}\nAll that it said is in {self.launched.log.name} in `launches` of the store.",
                code=code,
            )


class Launcher:
    """Thread-safe. Runs that it started are reaped, and go on when the server ends; what it waits for ends with it."""

    def __init__(self, core: StoreCore, options: Options, told: Callable[[], None]) -> None:
        self._core, self._options, self._told = core, options, told
        self._lock = threading.Lock()
        self._started: dict[RunId, Started] = {}
        self._awaited: set[subprocess.Popen[bytes]] = set()
        self._is_over = False

    def refuse_if_off(self) -> None:
        if not self._options.allow_launch:
            raise Problem(
                403,
                "launch is off",
                "This server starts no commands. Nothing was started. Whoever runs it can allow that: waycairn serve "
                "--allow-launch. Else do it on its host: waycairn resume, waycairn stream process.",
            )

    def command_of(self, run: RunRecord, *, again: bool = False) -> StartCommand:
        """What would be started. Raises CannotStart, RunIsHeld, Problem."""
        self.refuse_if_off()
        root = root_of(self._core, run)
        command = command_of(self._core, root)
        refuse_start(standing_of(self._core, root), again=again, hint="Say `again`")
        return command

    def start(self, run: RunRecord, *, retry_failed: bool | None = None, again: bool = False) -> Started:
        """Raises CannotStart, RunIsHeld, Problem."""
        root = root_of(self._core, run)
        with self._lock:
            command = self.command_of(root, again=again).retrying(retry_failed)
            self._refuse_twice(root)
            started = Started(root, launch_run(self._core, root, command))
            self._started[root.id] = started
        threading.Thread(target=self._reap, args=(started,), name=f"waycairn-job-{root.id}", daemon=True).start()
        return started

    def run(self, command: StartCommand, name: str) -> Launched:
        """Start it and wait until it has ended. Raises CannotStart, Problem."""
        with self._lock:
            self.refuse_if_off()
            if self._is_over:
                raise Problem(409, "launch is over", "The server is about to end. Nothing was started.")
            launched = launch(self._core, command, name)
            self._awaited.add(launched.process)
        try:
            launched.process.wait()
        finally:
            with self._lock:
                self._awaited.discard(launched.process)
        return launched

    def end(self) -> None:
        """Ask what is waited for to stop where it is safe, and start nothing more that would be."""
        with self._lock:
            self._is_over = True
            for process in self._awaited:
                process.terminate()

    def _refuse_twice(self, run: RunRecord) -> None:
        """Between its start and its entering the run nobody holds it."""
        before = self._started.get(run.id)
        if before is not None and not before.ended.is_set():
            raise Problem(
                409,
                "RunIsHeld",
                f"run {title_of(run)} is being started already: pid {before.launched.process.pid}. Nothing was changed.",
            )

    def _reap(self, started: Started) -> None:
        code = started.launched.process.wait()
        started.ended.set()
        with self._lock:
            if self._started.get(started.run.id) is started:
                del self._started[started.run.id]
        log.info("the command of run %s ended with %s", title_of(started.run), code)
        self._told()
