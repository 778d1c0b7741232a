"""`waycairn stream process NAME --once` as a process of its own: the code that writes the rows is the job's, not the server's."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from waycairn.blobs import PlacedBlobs
from waycairn.server.launching import Launcher
from waycairn.server.problems import Problem
from waycairn.settings.secrets import without_passwords
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited
from waycairn.upkeep.launching import end_of
from waycairn.upkeep.starting import StartCommand, address_of

__all__ = ["command", "process_stream"]

_SAID = 4000
"""Letters of what it said last that the answer has."""


def process_stream(launcher: Launcher, core: StoreCore, name: str, account: str) -> dict[str, Any]:
    """Everything that is there, read once: what was done. Raises Problem if it failed; what it committed stands."""
    with audited(core, "stream.process", name) as act:
        launched = launcher.run(command(core, name, account), "stream")
        code = launched.process.returncode
        done, said = _read(end_of(launched.log))
        act.facts.update(exit_code=code, done=done)
        if code:
            raise Problem(409, "not processed to the end", _why(code, said, done))
    return {"stream": name, "done": done}


def command(core: StoreCore, name: str, account: str) -> StartCommand:
    """Where the server was started, as its settings file names the stream; over this store, and for that account. An address
    may hold a password: it is no argument, which every user of the host can read."""
    argv = [sys.executable, "-m", "waycairn", "stream", "process", "--once", "--json", "--", name]
    changes = {"WAYCAIRN_STORE__URL": address_of(core), **_packs(core), "WAYCAIRN_ACCOUNT": account}
    return StartCommand(argv, os.getcwd(), changes, without=("WAYCAIRN_STORE",))  # noqa: PTH109 - text


def _packs(core: StoreCore) -> dict[str, str]:
    if "://" not in core.url or not isinstance(core.blobs, PlacedBlobs):
        return {}
    return {"WAYCAIRN_STORE__PACKS": str(core.blobs.folders(())[0])}


def _read(text: str) -> tuple[dict[str, Any] | None, str]:
    """What was done, by the document that it printed last, among what else it and the job's own code said."""
    begins = f"\n{text}".rfind("\n{")
    try:
        found, ends = json.JSONDecoder().raw_decode(text, max(begins, 0))
        return found.get("done"), text[: max(begins, 0)] + text[ends:]
    except ValueError:
        return None, text


def _why(code: int, said: str, done: Mapping[str, Any] | None) -> str:
    told = without_passwords(said.strip()[-_SAID:]) or "it said nothing"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    before = "" if done is None else f" Before that {done['events']:,} events were committed; they stand."
    return f"its process ended with {how}: {told}.{before}"
