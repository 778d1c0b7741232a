"""How this process was started, so that `waycairn resume` can start it again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from waycairn.model.records import Launch

__all__ = ["current_launch"]

_ENVIRONMENT = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHASHSEED",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)
"""What decides which code runs and what it computes. Nothing else is recorded: an environment is full of secrets."""


def current_launch() -> Launch:
    """Command line, working directory and the part of the environment that decides which code runs."""
    return Launch(
        argv=_command(),
        directory=os.getcwd(),  # noqa: PTH109 - a string is what is stored
        environment={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _store_setting(),
    )


def _store_setting() -> dict[str, str]:
    """Without it a resumed run would look for its store elsewhere. An address is left out: it may hold a password."""
    setting = os.environ.get("WAYCAIRN_STORE__URL") or os.environ.get("WAYCAIRN_STORE", "")
    return {"WAYCAIRN_STORE": setting} if setting and "://" not in setting else {}


def _command() -> list[str]:
    """`python -m`, `python script.py -x` and console scripts, as given, but found again from any directory."""
    command = list(sys.orig_argv)
    if sys.executable:
        command[0] = sys.executable
    script = _script()
    for place, word in enumerate(command[1:], start=1):
        if script and Path(word).name == script.name and not word.startswith("-"):
            command[place] = str(script)
            break
    return command


def _script() -> Path | None:
    """Absolute path of the script that runs, None for `-m`, `-c` and the prompt."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return Path(file) if file and main.__spec__ is None else None
