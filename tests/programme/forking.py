"""Children that an owner forks: they inherit no lock, no lease and no transaction, and the run refuses them."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from programme.owning import World, at, has_ended
from programme.scene import Scene, assert_same, last_line

__all__ = ["child_that_outlives_the_owner", "child_that_uses_the_run"]


def child_that_uses_the_run(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """It is refused, and its exit does nothing; the parent goes on, also when it is killed after that and resumed."""
    scene, golden, points = world.scene("programme.owner_jobs:fork_inside", on_server=on_server)
    stop_at = chance.choice(points)
    yield f"{scene}: a child uses the run; killed at {at(stop_at)}"
    with scene.fresh():
        code = scene.run(crash=f"{at(stop_at)}:KILL", bug=world.bug)
        world.tally.delivered["kills"] += code == -signal.SIGKILL
        world.tally.delivered["forks"] += (scene.folder / "child").exists()
        assert code in {0, -signal.SIGKILL}, last_line(scene.errors)
        assert_same(_without_child(scene.finish()), _without_child(golden))


def child_that_outlives_the_owner(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """It inherited no lock, no lease and no transaction: the next process enters at once."""
    scene, golden, points = world.scene("programme.owner_jobs:fork_and_go_on", on_server=on_server)
    late = points[len(points) // 2 :]
    in_transaction = [one for one in late if one[0] == "catalog.commit"]
    stop_at = chance.choice(in_transaction if chance.random() < 0.3 else late)
    yield f"{scene}: killed at {at(stop_at)} with a living child"
    with scene.fresh(), _children_ended(scene):
        code = scene.run(crash=f"{at(stop_at)}:KILL", bug=world.bug)
        child = scene.folder / "child"
        if code != -signal.SIGKILL or not child.exists():
            return
        world.tally.delivered["kills"] += 1
        assert not has_ended(int(child.read_text())), "the child did not outlive its parent"
        world.tally.delivered["forks"] += 1
        assert_same(_without_child(scene.finish()), _without_child(golden))


@contextmanager
def _children_ended(scene: Scene) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((scene.folder / "child").read_text()), signal.SIGKILL)


def _without_child(outcome: dict[str, Any]) -> dict[str, Any]:
    return outcome | {"files": {name: content for name, content in outcome["files"].items() if name != "child"}}
