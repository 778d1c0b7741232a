"""The recorded command line of a run, to be started again."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from waycairn.errors import CannotStart
from waycairn.model.records import RunRecord
from waycairn.settings.secrets import without_passwords
from waycairn.store import StoreCore
from waycairn.upkeep.holding import held
from waycairn.upkeep.standing import Standing

_SETTING, _LONG = "WAYCAIRN_STORE", "WAYCAIRN_STORE__URL"
"""The long name comes first where both are there; one of them is recorded, as the short one."""
_RETRY = "WAYCAIRN_RETRY_FAILED"


@dataclass(frozen=True)
class StartCommand:
    argv: Sequence[str]
    directory: str
    changes: Mapping[str, str] = field(default_factory=dict)
    """Variables that differ from the environment of this process."""
    without: Sequence[str] = ()
    """Variables of this process that the run did not have and that would lead it to another store."""

    def facts(self) -> dict[str, Any]:
        return {
            "argv": list(self.argv),
            "directory": self.directory,
            "environment": self._shown(),
            "unset": list(self.without),
        }

    def with_variable(self, name: str, value: str) -> StartCommand:
        """The same, with a variable set."""
        return replace(self, changes={**self.changes, name: value})

    def retrying(self, failed: bool | None) -> StartCommand:
        """Whether failed items are tried once more; None: as the job does by itself."""
        return self if failed is None else self.with_variable(_RETRY, str(int(failed)))

    def shell_line(self) -> str:
        """To be pasted into a shell; passwords in addresses are left out."""
        settings = [
            *(f"-u {name}" for name in self.without),
            *(f"{k}={shlex.quote(v)}" for k, v in self._shown().items()),
        ]
        prefix = f"env {' '.join(settings)} " if settings else ""
        return f"cd {shlex.quote(self.directory)} && {prefix}{shlex.join(self.argv)}"

    def _shown(self) -> dict[str, str]:
        return {name: without_passwords(value) for name, value in self.changes.items()}

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """What it is started with, laid over what is there."""
        return {**{name: value for name, value in base.items() if name not in self.without}, **self.changes}

    def program(self, environment: Mapping[str, str]) -> str:
        """Where the program lies. Raises CannotStart."""
        program = shutil.which(self.argv[0], path=environment.get("PATH"))
        if program is None:
            raise CannotStart(
                f"{self.argv[0]} is not there any more. Nothing was started. Start the job yourself: entering the run "
                "goes on from its last cut."
            )
        return program

    def refuse_directory(self, error: OSError) -> NoReturn:
        raise CannotStart(
            f"the directory it was started in, {self.directory}, cannot be entered ({error.strerror}). Nothing was "
            "started. Put it back, or start the job yourself: entering the run goes on from its last cut."
        ) from None

    def become(self) -> NoReturn:
        """Replace this process. Raises CannotStart if that is not possible; then nothing was started."""
        environment = self.environment(os.environ)
        try:
            os.chdir(self.directory)
        except OSError as error:
            self.refuse_directory(error)
        program = self.program(environment)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(program, list(self.argv), environment)  # noqa: S606 - exactly what the user started before


def command_of(core: StoreCore, run: RunRecord) -> StartCommand:
    """How to start the run again. Raises CannotStart if that was not recorded."""
    launch = run.launch
    if launch is None:
        raise CannotStart(
            f"how run {run.name!r} ({run.id}) was started is not recorded (a plain value has no command). Nothing was "
            "started. Start the job yourself.",
            run=run.id,
        )
    if len(launch.argv) < 2 and Path(launch.argv[0]).name.startswith("python"):
        raise CannotStart(
            f"run {run.name!r} ({run.id}) was entered from a Python prompt, which cannot be started again. Nothing was "
            "started. Enter it there again: it goes on from its last cut.",
            run=run.id,
        )
    recorded = dict(launch.environment)
    without: tuple[str, ...] = (_LONG,) if _LONG in os.environ else ()
    if _SETTING not in recorded:
        if "://" in core.url:
            # Addresses are not recorded, they may hold a password: it is the one that was given to this command.
            recorded[_SETTING] = address_of(core)
        elif _SETTING in os.environ:
            without = (_SETTING, *without)
    changes = {name: value for name, value in recorded.items() if os.environ.get(name) != value}
    return StartCommand(launch.argv, launch.directory, changes, without)


def address_of(core: StoreCore) -> str:
    """Of a store in PostgreSQL with the password: `url` is for messages. Its streams are in the same database."""
    if "://" not in core.url:
        return core.url
    return core.ledgers.replace("postgresql+psycopg://", "postgresql://", 1) or core.url


def refuse_start(standing: Standing, *, again: bool, hint: str = "Add --again") -> None:
    """Raises RunIsHeld, and CannotStart for a run that is finished, unless it is to be started `again`."""
    run = standing.run
    if standing.holder is not None:
        raise held(run, standing.holder)
    if run.status.is_finished and not again:
        raise CannotStart(
            f"run {run.name!r} ({run.id}) is {run.status}: there is nothing to go on with. Nothing was started. "
            f"{hint} to start its command all the same.",
            run=run.id,
        )
