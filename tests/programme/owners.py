"""Who may write: owners that are stopped, displaced and woken up, that die with living children, whose process ids or
clocks lie; on files, where the kernel's lock decides, and on a server, where leases and the epoch do.

Each scene ends with the same outcome as without a fault; a displaced owner ends with OwnershipLost, having changed
nothing, outputs included.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from crash.workloads import ADDRESS, STORE, find, open_store
from crash.zygote import Zygote
from programme import owner_jobs
from programme.scene import Scene, assert_same, is_stopped, is_told, last_line
from programme.server import Missing, Server, started
from programme.tally import Budget, Tally
from waycairn.errors import RunIsHeld

__all__ = ["SCENARIOS", "run"]

ENTERED_ONCE = ("fold", "groups", "pages", "steps", "phases", "batch", "walk")
"""Workloads that work on one run, entered once."""
IN_TRANSACTION = {"catalog.commit"}
"""Stopped there, a process blocks every writer, and no takeover can be committed either: see `RELIABILITY` 19."""
CRITICAL = ("output.", "store.begin", "cut.begin")
"""Points after which an owner that was displaced would do harm if nobody looked."""
HOURS = 7200.0


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


# -- displaced ---------------------------------------------------------------------------------------------------------


def zombie(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """An owner stops, is displaced, and wakes up when its heir has finished, is under way, is dead, or never came."""
    scene, golden, points = world.scene(chance.choice(ENTERED_ONCE), on_server=on_server)
    points = [one for one in points if one[0] not in IN_TRANSACTION]
    critical = [one for one in points if one[0].startswith(CRITICAL)]
    stop, heir_at = chance.choice(critical if chance.random() < 0.5 else points), chance.choice(points)
    then = chance.choice(("finished", "under way", "dead", "never came"))
    yield f"{scene}: stopped at {_at(stop)}, the heir {then} at {_at(heir_at)}"
    with scene.fresh():
        pid = scene.start(crash=f"{_at(stop)}:STOP", bug=world.bug)
        errors = scene.errors
        if not scene.stopped(pid):
            scene.wait(pid)
            return  # the thread that renews a lease passes some points at other times
        is_displaced = _displace(scene, by_command=chance.random() < 0.1)
        world.tally.delivered["takeovers" if is_displaced else "stops"] += 1
        if then == "finished":
            assert_same(
                scene.finish() | {"owners": []}, golden, "the heir ends otherwise"
            )  # the stopped one has its file
            before = scene.outcome() | {"owners": []}, files(scene)
            _wake(scene, pid, errors, is_displaced)
            assert (scene.outcome() | {"owners": []}, files(scene)) == before, "what the woken one changed"
        elif then == "never came":
            _wake(scene, pid, errors, is_displaced)
        else:
            heir = scene.start(crash=f"{_at(heir_at)}:{'STOP' if then == 'under way' else 'KILL'}")
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
    killed_at = chance.choice(("enter.taken", "enter.done", "output.renew", "output.renewed", "output.truncate"))
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
            living = [one for one in living if not _has_ended(one)]
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


# -- identity ----------------------------------------------------------------------------------------------------------


def reused_process_id(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """A killed owner whose process id and start now belong to a living process; and a living owner whose file names a
    dead one. On files the lock decides. On a server the lease has to run out: nobody can tell the two apart."""
    scene, golden, points = world.scene("groups", on_server=on_server)
    is_dead = on_server or chance.random() < 0.5
    at = chance.choice([one for one in points if one[0].startswith(("cut", "store", "output.f", "catalog.committed"))])
    yield f"{scene}: {'killed' if is_dead else 'stopped'} at {_at(at)}, its process id is another's"
    with scene.fresh(), scene.here():
        pid = scene.start(crash=f"{_at(at)}:{'KILL' if is_dead else 'STOP'}", bug=world.bug)
        if scene.stopped(pid) == is_dead:
            return
        world.tally.delivered["reused process ids"] += 1
        with open_store() as store:
            record = find(store, "groups")
            if record is None or record.owner is None:
                return
            liar = _owner_like(os.getpid() if is_dead else pid, record.owner, is_dead=is_dead)
            if on_server:
                store.core.catalog.change_run(record.id, record.epoch, time.time(), owner=liar)
                held = owner_jobs.open_by(owner_jobs.JumpingClock(), 60.0)
                with held, suppress(RunIsHeld):
                    assert held.core.ownership.holder(held.find("groups")) is not None, "a lease still runs"
                assert store.core.catalog.renew_lease(record.id, record.epoch, 0.0)
            else:
                path = Path(STORE, "owners", f"{record.id}.{record.epoch}")
                path.write_bytes(_json(liar))
                assert (store.holder(record) is None) == is_dead, "the lock decides, not the name in the file"
        if not is_dead:
            os.kill(pid, signal.SIGCONT)
            assert scene.wait(pid) == 0, last_line(scene.errors)
        assert_same(scene.finish(), golden)


def _owner_like(pid: int, owner: Any, *, is_dead: bool) -> Any:
    from dataclasses import replace

    from waycairn.process.identity import _started

    return replace(owner, pid=pid, started=_started(pid) if is_dead else 1.0)


def _json(value: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(value)


# -- clocks ------------------------------------------------------------------------------------------------------------


def jumping_clock(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """Killed and resumed under clocks that stand hours apart, jump while it runs, and begin anew."""
    scene, golden, points = world.scene(chance.choice(ENTERED_ONCE), on_server=on_server)
    at = chance.choice(points)
    clocks = [
        {
            "ahead": chance.choice((-HOURS, 0.0, HOURS)),
            "jump": chance.choice((-HOURS, HOURS)),
            "calls": chance.randrange(1, 12),
            "monotonic": chance.choice((0.0, 5.0, 1e6)),
        }
        for _ in range(2)
    ]
    yield f"{scene}: killed at {_at(at)}, clocks {clocks}"
    with scene.fresh():
        code = _run_by(scene, clocks[0], crash=f"{_at(at)}:KILL", bug=world.bug)
        world.tally.delivered["kills"] += code == -signal.SIGKILL
        world.tally.delivered["clock jumps"] += 2
        scene.check()
        code = _run_by(scene, clocks[1])
        assert code == 0, last_line(scene.errors)
        scene.check()
        assert_same(scene.outcome(), golden)


def clocks_apart(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """An owner on another host, hours before or behind: it is respected while it lives; when it is dead it is taken
    over as soon as its lease has run out by the server's clock. On files the same host, and at once."""
    scene, golden, points = world.scene("groups", on_server=on_server)
    mine, theirs = chance.sample((-HOURS, HOURS, 0.0), 2)
    at = chance.choice([one for one in points if one[0] in {"cut.begin", "store.begin", "output.flush"}])
    yield f"{scene}: stopped at {_at(at)}, clocks {theirs:+.0f} s and {mine:+.0f} s"
    host = "elsewhere" if on_server else ""
    with scene.fresh():
        pid = _start_by(scene, {"ahead": theirs, "host": host, "lease": 5.0}, crash=f"{_at(at)}:STOP", bug=world.bug)
        assert scene.stopped(pid), last_line(scene.errors)
        world.tally.delivered["clock jumps"] += 1
        code = _run_by(scene, {"ahead": mine, "lease": 5.0}, bug=world.bug)
        assert code == 1, "entered a run whose owner lives"
        assert is_told(scene.errors, "RunIsHeld"), last_line(scene.errors)
        os.kill(pid, signal.SIGKILL)
        assert scene.wait(pid) == -signal.SIGKILL
        world.tally.delivered["kills"] += 1
        if on_server:
            with scene.here(), open_store() as store:
                record = store.find("groups")
                assert store.core.catalog.renew_lease(record.id, record.epoch, 0.0)
        code = _run_by(scene, {"ahead": mine, "lease": 5.0}, bug=world.bug)
        assert code == 0, f"the dead one still holds: {last_line(scene.errors)}"
        scene.check()
        assert_same(scene.outcome(), golden)


def _run_by(scene: Scene, clock: dict[str, Any], **order: Any) -> int:
    return scene.wait(_start_by(scene, clock, **order))


def _start_by(scene: Scene, clock: dict[str, Any], **order: Any) -> int:
    settings = {owner_jobs.SETTINGS: json.dumps({"workload": scene.workload, **clock})}
    return scene.start(workload="programme.owner_jobs:by_another_clock", environment=settings, **order)


# -- forks -------------------------------------------------------------------------------------------------------------


def child_that_uses_the_run(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """It is refused, and its exit does nothing; the parent goes on, also when it is killed after that and resumed."""
    scene, golden, points = world.scene("programme.owner_jobs:fork_inside", on_server=on_server)
    at = chance.choice(points)
    yield f"{scene}: a child uses the run; killed at {_at(at)}"
    with scene.fresh():
        code = scene.run(crash=f"{_at(at)}:KILL", bug=world.bug)
        world.tally.delivered["kills"] += code == -signal.SIGKILL
        world.tally.delivered["forks"] += (scene.folder / "child").exists()
        assert code in {0, -signal.SIGKILL}, last_line(scene.errors)
        assert_same(_without_child(scene.finish()), _without_child(golden))


def child_that_outlives_the_owner(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """It inherited no lock, no lease and no transaction: the next process enters at once."""
    scene, golden, points = world.scene("programme.owner_jobs:fork_and_go_on", on_server=on_server)
    at = chance.choice(points[len(points) // 2 :])
    yield f"{scene}: killed at {_at(at)} with a living child"
    with scene.fresh(), _children_ended(scene):
        code = scene.run(crash=f"{_at(at)}:KILL", bug=world.bug)
        child = scene.folder / "child"
        if code != -signal.SIGKILL or not child.exists():
            return
        world.tally.delivered["kills"] += 1
        assert not _has_ended(int(child.read_text())), "the child did not outlive its parent"
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


# -- all of them -------------------------------------------------------------------------------------------------------

Scenario = Callable[..., Iterator[str]]
SCENARIOS: tuple[Scenario, ...] = (
    zombie,
    clocks_apart,
    child_that_outlives_the_owner,
    zombie_that_outlives_its_heir,
    jumping_clock,
    zombie,
    reused_process_id,
    child_that_uses_the_run,
    zombie,
    stop_and_go,
)


def run(
    budget: Budget,
    folder: Path,
    server: Server | None = None,
    *,
    scenarios: tuple[Scenario, ...] = SCENARIOS,
    bug: str = "",
) -> Tally:
    """On a server of its own unless one is given; where there is none, on files only."""
    tally = Tally("owners")
    with ExitStack() as stack:
        if server is None:
            with suppress(Missing):
                server = stack.enter_context(started())
        world = World(stack.enter_context(Zygote()), server, folder, tally, bug)
        chance = budget.chance("owners")
        number = 0
        while not budget.is_spent and number != budget.most and not (bug and tally.bad):
            scenario = scenarios[number // (1 + world.has_server) % len(scenarios)]
            _play(scenario, world, chance, on_server=world.has_server and number % 2 == 1)
            number += 1
    tally.seconds = time.monotonic() - budget.began
    return tally


def _play(scenario: Scenario, world: World, chance: random.Random, *, on_server: bool) -> None:
    what = scenario.__name__
    try:
        for step in scenario(world, chance, on_server=on_server):
            what = step
    except Exception as error:
        world.tally.bad.append(f"{scenario.__name__}, {what}: {type(error).__name__}: {error}"[:1500])


def _at(point: tuple[str, int]) -> str:
    return f"{point[0]}@{point[1]}"


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True
