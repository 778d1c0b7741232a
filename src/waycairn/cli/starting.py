"""The recorded command line of a run, to be started again."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from waycairn.cli.output import Refused

if TYPE_CHECKING:
    from waycairn.model.records import RunRecord
    from waycairn.store import StoreCore

_SETTING, _LONG = "WAYCAIRN_STORE", "WAYCAIRN_STORE__URL"
"""The long name comes first where both are there; one of them is recorded, as the short one."""


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
            "environment": dict(self.changes),
            "unset": list(self.without),
        }

    def with_variable(self, name: str, value: str) -> StartCommand:
        """The same, with a variable set."""
        return replace(self, changes={**self.changes, name: value})

    def shell_line(self) -> str:
        """To be pasted into a shell."""
        settings = [
            *(f"-u {name}" for name in self.without),
            *(f"{k}={shlex.quote(v)}" for k, v in self.changes.items()),
        ]
        prefix = f"env {' '.join(settings)} " if settings else ""
        return f"cd {shlex.quote(self.directory)} && {prefix}{shlex.join(self.argv)}"

    def become(self) -> NoReturn:
        """Replace this process. Raises Refused if that is not possible; then nothing was started."""
        environment = {name: value for name, value in os.environ.items() if name not in self.without}
        environment.update(self.changes)
        try:
            os.chdir(self.directory)
        except OSError as error:
            raise Refused(
                f"the directory it was started in, {self.directory}, cannot be entered ({error.strerror}). Nothing was "
                "started. Put it back, or start the job yourself: entering the run goes on from its last cut."
            ) from None
        program = shutil.which(self.argv[0], path=environment.get("PATH"))
        if program is None:
            raise Refused(
                f"{self.argv[0]} is not there any more. Nothing was started. Start the job yourself: entering the run "
                "goes on from its last cut."
            )
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(program, list(self.argv), environment)  # noqa: S606 - exactly what the user started before


def command_of(core: StoreCore, run: RunRecord) -> StartCommand:
    """How to start the run again. Raises Refused if that was not recorded."""
    launch = run.launch
    if launch is None:
        raise Refused(
            f"how run {run.name!r} ({run.id}) was started is not recorded (a plain value has no command). Nothing was "
            "started. Start the job yourself."
        )
    if len(launch.argv) < 2 and Path(launch.argv[0]).name.startswith("python"):
        raise Refused(
            f"run {run.name!r} ({run.id}) was entered from a Python prompt, which cannot be started again. Nothing was "
            "started. Enter it there again: it goes on from its last cut."
        )
    recorded = dict(launch.environment)
    without: tuple[str, ...] = (_LONG,) if _LONG in os.environ else ()
    if _SETTING not in recorded:
        if "://" in core.url:
            # Addresses are not recorded, they may hold a password: it is the one that was given to this command.
            recorded[_SETTING] = core.url
        elif _SETTING in os.environ:
            without = (_SETTING, *without)
    changes = {name: value for name, value in recorded.items() if os.environ.get(name) != value}
    return StartCommand(launch.argv, launch.directory, changes, without)
