"""Owners that are stopped, displaced and woken up: they end with OwnershipLost, having changed nothing, outputs
included."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from crash.workloads import ADDRESS, STORE, find, open_store
from programme.owning import ENTERED_ONCE, World, at, has_ended
from programme.scene import Scene, assert_same, is_stopped, is_told, last_line

__all__ = ["stop_and_go", "zombie", "zombie_that_outlives_its_heir"]

IN_TRANSACTION = {"catalog.commit"}
"""Stopped there, a process blocks every writer for as long as it is stopped, and no takeover can be committed either."""
CRITICAL = ("output.", "store.begin", "cut.begin")
"""Points after which an owner that was displaced would do harm if nobody looked."""

HEIRS_END = (
    "enter.taken",
    "enter.done",
    "output.renew.copy",
    "output.renew",
    "output.renew.directory",
    "output.renewed",
    "output.truncate",
)
"""Where an heir is killed: after it took the run over, and while it gets a file of its own."""


def zombie(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """An owner stops, is displaced, and wakes up when its heir has finished, is under way, is dead, or never came."""
    scene, golden, points = world.scene(chance.choice(ENTERED_ONCE), on_server=on_server)
    points = [one for one in points if one[0] not in IN_TRANSACTION]
    critical = [one for one in points if one[0].startswith(CRITICAL)]
    stop, heir_at = chance.choice(critical if chance.random() < 0.5 else points), chance.choice(points)
    then = chance.choice(("finished", "under way", "dead", "never came"))
    yield f"{scene}: stopped at {at(stop)}, the heir {then} at {at(heir_at)}"
    with scene.fresh():
        pid = scene.start(crash=f"{at(stop)}:STOP", bug=world.bug)
        errors = scene.errors
        if not scene.stopped(pid):
            scene.wait(pid)
            return  # the thread that renews a lease passes some points at other times
        has_entered = ("enter.done", 1) in points[: points.index(stop)]
        # One that is displaced before it has entered is no owner yet: it tries again, behind its heir.
        is_displaced = _displace(scene, by_command=chance.random() < 0.1) and has_entered
        world.tally.delivered["takeovers" if is_displaced else "stops"] += 1
        if then == "finished":
            assert_same(
                scene.finish() | {"owners": []}, golden, "the heir ends otherwise"
            )  # the stopped one has its file
            before = scene.outcome() | {"owners": []}, files(scene)
            _wake(scene, pid, errors, is_displaced)
            now = scene.outcome() | {"owners": []}, files(scene)
            assert now == before or not is_displaced, "what the woken one changed"  # else it enters the completed run
        elif then == "never came":
            _wake(scene, pid, errors, is_displaced)
        else:
            heir = scene.start(crash=f"{at(heir_at)}:{'STOP' if then == 'under way' else 'KILL'}")
            if scene.stopped(heir):
                _wake(scene, pid, errors, is_displaced)
                os.kill(heir, signal.SIGCONT)
                code = scene.wait(heir)
                assert code == 0 or not is_displaced, f"the heir was hindered: {last_line(scene.errors)}"
            else:
                world.tally.delivered["kills"] += scene.wait(heir) == -signal.SIGKILL
                _wake(scene, pid, errors, is_displaced)
        assert_same(scene.finish(), golden)


def zombie_that_outlives_its_heir(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """Stopped as it writes to an output; the heir dies before it has touched the file; a third process finishes the
    job. Only then the first one wakes up, and writes to no file of theirs."""
    scene, golden, _ = world.scene("fold", on_server=on_server)
    killed_at = chance.choice(HEIRS_END)
    yield f"{scene}: stopped at output.write@3, the heir killed at {killed_at}"
    with scene.fresh():
        pid = scene.start(crash="output.write@3:STOP", bug=world.bug)
        errors = scene.errors
        assert scene.stopped(pid)
        assert _displace(scene, by_command=False)
        world.tally.delivered["takeovers"] += 1
        assert scene.run(crash=f"{killed_at}@1:KILL") == -signal.SIGKILL, f"not killed at {killed_at}"
        world.tally.delivered["kills"] += 1
        assert_same(scene.finish() | {"owners": []}, golden, "the third ends otherwise")
        before = scene.outcome() | {"owners": []}, files(scene)
        _wake(scene, pid, errors, is_displaced=True)
        assert (scene.outcome() | {"owners": []}, files(scene)) == before, "what the woken one changed"


def stop_and_go(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """Four workers want the same run; they are stopped and continued at random, and displaced now and then."""
    scene, golden, _ = world.scene("programme.owner_jobs:slow_fold", on_server=on_server)
    yield f"{scene}: four workers, stopped at random"
    job = "programme.owner_jobs:persistent"
    with scene.fresh():
        errors = {}
        for _ in range(4):
            errors[scene.start(workload=job, bug=world.bug)] = scene.errors
        living = list(errors)
        ends = time.monotonic() + 1.5
        while living and time.monotonic() < ends:
            if chance.random() < 0.1:
                scene.start(workload="programme.owner_jobs:displace")
            pid = chance.choice(living)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.01, 0.08))
            world.tally.delivered["stops"] += is_stopped(pid)
            os.kill(pid, signal.SIGCONT)
            living = [one for one in living if not has_ended(one)]
        for pid, said in errors.items():
            code = scene.wait(pid)
            assert code == 0, f"a worker ended with {code}: {last_line(said)}"
        for pid in list(scene.living):
            scene.wait(pid)
        world.tally.delivered["takeovers"] += scene.acks.read_text().count("takeover")
        assert_same(scene.finish(), golden)  # once more: it may have been displaced in the moment it was left


def _displace(scene: Scene, *, by_command: bool) -> bool:
    """False where there is nothing to take: the run is not there yet, or was left already."""
    with scene.here():
        with open_store(create=False) as store:
            found = find(store, scene.workload)
            if found is None or found.status != "running":
                return False
            if not by_command:
                store.takeover(scene.workload)
                return True
        where = os.environ[ADDRESS] or STORE
        command = [sys.executable, "-m", "waycairn", "takeover", scene.workload, "--yes", "--store", where]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    return True


def _wake(scene: Scene, pid: int, errors: Path, is_displaced: bool) -> None:
    os.kill(pid, signal.SIGCONT)
    code = scene.wait(pid)
    if is_displaced:
        assert code == 1, f"the displaced owner ended with {code}"
        assert is_told(errors, "OwnershipLost"), f"the displaced owner ended with {last_line(errors)}"
    else:
        assert code == 0 or is_told(errors), f"ended with {code}, {last_line(errors)}"


def files(scene: Scene) -> dict[str, tuple[int, int, int]]:
    """The outputs: which file lies under each name, how long, when changed."""
    found = [path for path in scene.folder.rglob("*") if path.is_file() and STORE not in path.parts]
    return {path.name: (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) for path in found}
