"""Where scenes about owners are played: stores on files and on a server, what each job ends with, what it passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crash.zygote import Zygote
from programme.scene import Scene
from programme.server import Server
from programme.tally import Tally

__all__ = ["ENTERED_ONCE", "World", "at", "has_ended"]

ENTERED_ONCE = ("fold", "groups", "pages", "steps", "phases", "batch", "walk")
"""Workloads that work on one run, entered once."""


class World:
    """Scenes by workload and kind of store, what each ends with, and the points it passes."""

    def __init__(self, zygote: Zygote, server: Server | None, folder: Path, tally: Tally, bug: str) -> None:
        self._zygote, self._server, self._folder = zygote, server, folder
        self._scenes: dict[str, tuple[Scene, dict[str, Any], list[tuple[str, int]]]] = {}
        self.tally, self.bug = tally, bug

    def scene(self, workload: str, *, on_server: bool) -> tuple[Scene, dict[str, Any], list[tuple[str, int]]]:
        server = self._server if on_server else None
        name = f"{workload.rpartition(':')[2]}-{'server' if server else 'files'}"
        if name not in self._scenes:
            scene = Scene(self._zygote, workload, self._folder / name, server)
            self._scenes[name] = (scene, *scene.record())
        return self._scenes[name]

    @property
    def has_server(self) -> bool:
        return self._server is not None


def at(point: tuple[str, int]) -> str:
    return f"{point[0]}@{point[1]}"


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True
