"""Workloads on a PostgreSQL store, killed for real at their crash points: between two statements, after the server
committed and before the job knows, while the lease is claimed or given back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from crash.workloads import WORKLOADS
from crash.zygote import Zygote
from programme.scene import Scene, assert_same
from programme.server import Server, missing, started
from programme.tally import Budget, Tally
from programme.victim import in_memory

__all__ = ["missing", "run"]

DEEP = 2
"""Hits of each crash point that are killed."""


def run(
    budget: Budget, folder: Path, server: Server | None = None, *, workloads: Iterable[str] = tuple(WORKLOADS)
) -> Tally:
    """On a server of its own unless one is given. Raises `server.Missing` where there is no PostgreSQL."""
    tally = Tally("kills on a server")
    with ExitStack() as stack:
        folder = stack.enter_context(in_memory(folder))
        server = server or stack.enter_context(started())
        zygote = stack.enter_context(Zygote())
        scenes = {name: Scene(zygote, name, folder / name, server) for name in workloads}
        golden, cases = {}, []
        for name, scene in scenes.items():
            golden[name], points = scene.record()
            cases += [(name, f"{point}@{hit}") for point, hit in points if hit <= DEEP]
        for name, point in budget.renewed().spread(cases):
            with scenes[name].fresh() as scene:
                code = scene.run(crash=f"{point}:KILL")
                if code != -signal.SIGKILL:
                    continue  # the thread that renews the lease passes some points at other times
                tally.delivered["kills"] += 1
                try:
                    scene.check()
                    assert_same(scene.finish(), golden[name])
                except Exception as error:
                    tally.bad.append(f"{scene}, killed at {point}: {type(error).__name__}: {error}"[:1000])
    tally.seconds = time.monotonic() - budget.began
    return tally
