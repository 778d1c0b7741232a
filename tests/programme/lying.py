"""Process ids that were given out again, and clocks that stand hours apart, jump, or begin anew."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from crash.workloads import STORE, find, open_store
from programme import owner_jobs
from programme.owning import ENTERED_ONCE, World, at
from programme.scene import Scene, assert_same, is_told, last_line
from waycairn.process.identity import _started

__all__ = ["clocks_apart", "jumping_clock", "reused_process_id"]

HOURS = 7200.0


def reused_process_id(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """A killed owner whose process id and start now belong to a living process; and a living owner whose file names a
    dead one. On files the lock decides. On a server the lease has to run out: nobody can tell the two apart."""
    scene, golden, points = world.scene("groups", on_server=on_server)
    is_dead = on_server or chance.random() < 0.5
    stop_at = chance.choice(
        [one for one in points if one[0].startswith(("cut", "store", "output.f", "catalog.committed"))]
    )
    yield f"{scene}: {'killed' if is_dead else 'stopped'} at {at(stop_at)}, its process id is another's"
    with scene.fresh(), scene.here():
        pid = scene.start(crash=f"{at(stop_at)}:{'KILL' if is_dead else 'STOP'}", bug=world.bug)
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
                assert store.holder(store.find("groups")) is not None, "its lease still runs"
                assert store.core.catalog.renew_lease(record.id, record.epoch, 0.0)
            else:
                path = Path(STORE, "owners", f"{record.id}.{record.epoch}")
                path.write_bytes(msgspec.json.encode(liar))
                assert (store.holder(record) is None) == is_dead, "the lock decides, not the name in the file"
        if not is_dead:
            os.kill(pid, signal.SIGCONT)
            assert scene.wait(pid) == 0, last_line(scene.errors)
        assert_same(scene.finish(), golden)


def _owner_like(pid: int, owner: Any, *, is_dead: bool) -> Any:
    return replace(owner, pid=pid, started=_started(pid) if is_dead else 1.0)


def jumping_clock(world: World, chance: random.Random, *, on_server: bool) -> Iterator[str]:
    """Killed and resumed under clocks that stand hours apart, jump while it runs, and begin anew."""
    scene, golden, points = world.scene(chance.choice(ENTERED_ONCE), on_server=on_server)
    stop_at = chance.choice(points)
    clocks = [
        {
            "ahead": chance.choice((-HOURS, 0.0, HOURS)),
            "jump": chance.choice((-HOURS, HOURS)),
            "calls": chance.randrange(1, 12),
            "monotonic": chance.choice((0.0, 5.0, 1e6)),
        }
        for _ in range(2)
    ]
    yield f"{scene}: killed at {at(stop_at)}, clocks {clocks}"
    with scene.fresh():
        code = _run_by(scene, clocks[0], crash=f"{at(stop_at)}:KILL", bug=world.bug)
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
    stop_at = chance.choice([one for one in points if one[0] in {"cut.begin", "store.begin", "output.flush"}])
    yield f"{scene}: stopped at {at(stop_at)}, clocks {theirs:+.0f} s and {mine:+.0f} s"
    host = "elsewhere" if on_server else ""
    with scene.fresh():
        pid = _start_by(
            scene, {"ahead": theirs, "host": host, "lease": 5.0}, crash=f"{at(stop_at)}:STOP", bug=world.bug
        )
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
