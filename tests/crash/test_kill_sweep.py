"""Kill every workload at every crash point, for real; go on with the same call; end as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import waycairn
from crash import job
from crash.workloads import WORKLOADS, outcome, read_acks, verify
from crash.zygote import Order, Zygote
from waycairn.errors import Damaged

DEEP = 2
"""Hits of each crash point that are killed; the third of a name adds time and, so far, no state of its own."""
STORAGE = re.compile(r"(pack|files|catalog|output|store|cut)\.")
"""Points at which a device can fail."""


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as process:
        yield process


class Scene:
    """One workload in one folder: run it, look at it, compare how it ends."""

    def __init__(self, zygote: Zygote, workload: str, root: Path) -> None:
        self.zygote, self.workload, self.root = zygote, workload, root
        self.acks, self.errors, self.hits = root / "acks", root / "errors", root / "hits"
        self.folder = root / "work"
        self.clear()

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def run(self, crash: str | None = None, record: Path | None = None, bug: str = "") -> int:
        return self.zygote.run(
            Order(
                workload=self.workload,
                folder=str(self.folder),
                acks=str(self.acks),
                errors=str(self.errors),
                crash=crash,
                record=str(record) if record else None,
                bug=bug,
            )
        )

    def check(self) -> None:
        """What was acknowledged is there, and everything that is there is whole."""
        told = self.acks.read_text().splitlines() if self.acks.exists() else []
        with contextlib.chdir(self.folder):
            verify(self.workload, read_acks(told))

    def outcome(self) -> dict:
        with contextlib.chdir(self.folder):
            return outcome()

    def finish(self) -> dict:
        """Go on until it is done."""
        code = self.run()
        assert code == 0, self.errors.read_text()
        self.check()
        return self.outcome()

    def record(self) -> tuple[dict, list[tuple[str, int]]]:
        """How it ends without a fault, and every point that it passes: name and number of the hit."""
        assert self.run(record=self.hits) == 0, self.errors.read_text()
        self.check()
        points = [(name, int(hit)) for _, name, hit, _ in map(str.split, self.hits.read_text().splitlines())]
        return self.outcome(), points


@pytest.fixture
def scene(zygote, tmp_path, request) -> Scene:
    return Scene(zygote, request.param, tmp_path / "scene")


every_workload = pytest.mark.parametrize("scene", WORKLOADS, indirect=True)


@every_workload
def test_killed_anywhere_it_ends_the_same(scene):
    """SIGKILL at every point: acknowledged is kept, what is there is whole, and the next call ends as without it."""
    golden, points = scene.record()
    scene.clear()
    assert scene.finish() == golden, "the job is not the same twice without any fault"
    kills = 0
    for name, hit in points:
        if hit > DEEP:
            continue
        scene.clear()
        code = scene.run(f"{name}@{hit}:KILL")
        assert code == -signal.SIGKILL, f"not killed at {name}@{hit}: exit code {code}"
        kills += 1
        scene.check()
        assert scene.finish() == golden, f"killed at {name}@{hit}"
    print(f"{scene.workload}: {kills} kills delivered, 0 bad")
    assert kills > 20


@every_workload
def test_killed_again_while_it_recovers(scene):
    """A second kill at every third point of the recovery, and a third at its end: recovery can be repeated."""
    golden, points = scene.record()
    middle = points[len(points) // 2]
    scene.clear()
    scene.run("{}@{}:KILL".format(*middle))
    resumed = scene.root / "resumed"
    assert scene.run(record=resumed) == 0
    names = list(dict.fromkeys(line.split()[1] for line in resumed.read_text().splitlines()))
    kills = 0
    for name in names[1::3]:
        scene.clear()
        assert scene.run("{}@{}:KILL".format(*middle)) == -signal.SIGKILL
        assert scene.run(f"{name}@1:KILL") == -signal.SIGKILL
        kills += 2
        scene.check()
        if scene.run(f"{names[-1]}@1:KILL") == -signal.SIGKILL:
            kills += 1
            scene.check()
        assert scene.finish() == golden, f"killed at {middle}, then at {name}"
    print(f"{scene.workload}: {kills} kills delivered, 0 bad")
    assert kills > 10


@pytest.mark.parametrize("scene", ["pages"], indirect=True)
def test_a_planted_bug_is_found(scene):
    """The sweep bites: a catalog that names a pack before the pack is there is found by a kill between the two."""
    _, points = scene.record()
    with pytest.raises((AssertionError, Damaged)):
        for name, hit in points:
            scene.clear()
            if scene.run(f"{name}@{hit}:KILL", bug="commit-before-pack") == -signal.SIGKILL:
                scene.check()


@pytest.mark.parametrize("act", ["RAISE", "ENOSPC"])
@every_workload
def test_a_device_that_fails_is_told(scene, act):
    """An I/O error or a full disk at each storage point is raised as an error of the store, never passed over as
    success; what was acknowledged is kept, and with a sound device the next call ends as without it."""
    golden, points = scene.record()
    failed = survived = 0
    for name in dict.fromkeys(name for name, _ in points if STORAGE.match(name)):
        scene.clear()
        code = scene.run(f"{name}@1:{act}")
        errors = scene.errors.read_text()
        if code == 0:
            assert scene.outcome() == golden, f"{act} at {name} was taken for success"
            survived += 1
        else:
            assert code == 1
            assert re.search(r"waycairn\.errors\.(StoreFull|WriteFailed)|OSError: \[Errno", errors), errors
            failed += 1
        scene.check()
        assert scene.finish() == golden, f"{act} at {name}"
    print(f"{scene.workload}: {failed} errors told, {survived} survived, 0 bad")
    assert failed > 5


ELSEWHERE = {
    "lease.": "leases need a database server: tests of PostgreSQL",
    "catalog.migrat": "no older format was released: tests of the migrations",
    "catalog.cop": "the copy before a migration: tests of the migrations",
    "output.renew": "an owner that was displaced: acceptance tests of the ownership",
    "flights.alone": "an item that kills its process: kill tests of the map",
    "owner.sweep": "unit tests of the owner files",
    "pack.delete": "packs are deleted by a sweep: tests of the upkeep",
}
"""Points that no workload on a local store passes, by the beginning of their names, and where they are tested."""


def test_every_crash_point_is_passed(zygote, tmp_path):
    """A point that nothing passes proves nothing: each name in the source is hit by some workload."""
    source = Path(waycairn.__file__).parent
    names = {
        name
        for path in source.rglob("*.py")
        for name in re.findall(r'^\s*crashpoint\("([^"]+)"\)', path.read_text(), re.MULTILINE)
    }
    assert len(names) > 30
    passed = set()
    for workload in WORKLOADS:
        scene = Scene(zygote, workload, tmp_path / workload)
        _, points = scene.record()
        passed |= {name for name, _ in points}
        middle = points[len(points) // 2]
        scene.clear()
        scene.run("{}@{}:KILL".format(*middle))
        _, points = scene.record()  # what only a takeover passes
        passed |= {name for name, _ in points}
    missing = {name for name in names - passed if not name.startswith(tuple(ELSEWHERE))}
    assert sorted(missing) == []
    assert passed - names == set(), "points are named by literals, so that they can be found"


def test_the_environment_arms_a_process(tmp_path):
    """The same from outside, without a zygote: WAYCAIRN_CRASH kills a process that was started by hand."""
    command = [sys.executable, job.__file__, "values", str(tmp_path / "acks")]
    environment = {**os.environ, "WAYCAIRN_CRASH": "store.value.committed@2:KILL"}
    killed = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "acks").read_text() == "page 1\n"
    with contextlib.chdir(tmp_path):
        verify("values", {"page": 1})
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    with contextlib.chdir(tmp_path):
        verify("values", {"page": 7})
