"""Starting recorded commands in the background: for a server, whose jobs live on without it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from waycairn.crypto.sources import VARIABLES
from waycairn.model.records import RunRecord
from waycairn.process import current_account
from waycairn.settings.secrets import is_named_like_a_secret
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited
from waycairn.upkeep.starting import StartCommand
from waycairn.world.files import make_directory, translated

_KEPT = 200
"""Files of what processes said; the oldest go when new ones come."""
_OURS = "WAYCAIRN_"
_TAIL = 8192
"""Bytes at the end of such a file that are looked at for its last lines."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that was started, the head of a process group and session of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    command: str
    """As a line for a shell."""


def launch_run(core: StoreCore, run: RunRecord, command: StartCommand) -> Launched:
    """Start the command of a run. Whether it may be started has been asked. Raises CannotStart."""
    with audited(core, "run.launch", run.id, name=run.name, key=run.key, argv=list(command.argv)) as act:
        launched = launch(core, command, run.id)
        act.facts["pid"] = launched.process.pid
        return launched


def launch(core: StoreCore, command: StartCommand, name: str) -> Launched:
    """Start a command; what it says goes to a file that is named after `name`. Nobody's terminal, no input, no descriptor of
    this process but that file. Raises CannotStart."""
    environment = command.environment(environment_for_jobs(core, os.environ))
    program = command.program(environment)
    log = _new_log(core, name)
    with translated("what the job says", log), os.fdopen(_open(log), "ab") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - exactly what the user started before
                list(command.argv),
                executable=program,
                cwd=command.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            log.unlink(missing_ok=True)
            command.refuse_directory(error)
    return Launched(process, log, command.shell_line())


def environment_for_jobs(core: StoreCore, base: Mapping[str, str]) -> dict[str, str]:
    """That of this process, without secrets of waycairn: what opens an encrypted store is left, since the job has to open it,
    and nothing else. What jobs do is done for the account that asked."""
    found = {name: value for name, value in base.items() if not _is_ours_alone(name)}
    if core.is_encrypted and core.locksmith is not None:
        found.update(core.locksmith.variables)
    found[f"{_OURS}ACTOR"] = current_account()
    return found


def _is_ours_alone(name: str) -> bool:
    return name.startswith(_OURS) and (name in VARIABLES or is_named_like_a_secret(name))


def last_lines(log: Path, count: int = 5) -> Sequence[str]:
    """Of what a process said, as far as it can be read as text."""
    return [line for line in end_of(log).splitlines() if line.strip()][-count:]


def end_of(log: Path) -> str:
    """Of what a process said: some pages of text, as far as it is text."""
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return file.read().decode("utf-8", "replace")
    return ""


def _new_log(core: StoreCore, name: str) -> Path:
    assert core.scratch is not None, "a store that was opened by `wiring` has one"
    folder = core.scratch.with_name("launches")
    with translated("what the job says", folder):
        make_directory(folder)
        for old in sorted(folder.glob("*.log"), key=_age)[: -_KEPT + 1]:
            old.unlink(missing_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return folder / f"{name}-{stamp}.log"


def _age(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _open(log: Path) -> int:
    """Whoever writes to it writes behind what is there; for us only."""
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
