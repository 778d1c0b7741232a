"""The crash points themselves: all of them are passed by some workload, and they can be armed from outside."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import one_folder
import waycairn
from crash import job
from crash.workloads import WORKLOADS, verify
from crash.zygote import Zygote
from programme.victim import Victim, in_memory

ELSEWHERE = {
    "lease.": "leases need a database server: tests of PostgreSQL",
    "catalog.migrat": "a store of an older format: tests of the migrations",
    "catalog.cop": "the copy before a migration: tests of the migrations",
    "output.renew": "an owner that was displaced: the harness of displaced owners",
    "flights.alone": "an item that kills its process: kill tests of the map",
    "output.cut": "an item that fails after it wrote: the test below",
    "owner.sweep": "unit tests of the owner files",
    "stream.retry.": "dead letters that are tried again: tests of those",
    "lightning.": "tests of the integrations",
    "stub.": "tests of the integrations",
    "transformers.": "tests of the integrations",
    "mirror.aside": "a second run of the same name: tests of the mirror",
    "mirror.rotate": "more copies than are kept: tests of the mirror",
    "recover.committed": "a session out of its copies: tests of the mirror",
    "salvage.": "a new store of what can be read: tests of the salvage",
    "pack.unfinished.": "an unfinished pack that is swept: tests of sweeps",
    "audit.cut": "rows of the audit log that are cut off: tests of the log",
    "catalog.rewr": "the file of an older store written anew: tests of retention",
    "archive.leftover": "what a call that died left in an archive: tests of archives",
    "backup.given_up": "a process that died while it made a backup: kill tests of backups",
    "backup.paths.unguarded": "trees that go without a backup: tests of declined backups",
    "backup.paths.back": "a tree that was changed while it was deleted: tests of paths",
    "dcp.": "ranks of torch.distributed: tests of the integration",
}
"""Points that no workload on a local store passes, by the beginning of their names, and where they are tested."""
LEAVING_MORE = ("stream.sink.written", 2)
"""Killed there, a job leaves more in a file than was committed of it."""


def test_every_crash_point_is_passed(tmp_path):
    """A point that nothing passes proves nothing: each name in the source is hit by some workload."""
    source = Path(waycairn.__file__).parent
    names = {
        name
        for path in (*source.rglob("*.py"), Path(one_folder.__file__))
        for name in re.findall(r'^\s*crashpoint\("([^"]+)"\)', path.read_text(), re.MULTILINE)
    }
    assert len(names) > 30
    passed = set()
    with in_memory(tmp_path) as folder, Zygote() as zygote:
        for workload in WORKLOADS:
            victim = Victim(zygote, workload, folder / workload)
            assert victim.run() == 0, victim.errors()
            points = victim.points
            passed |= {name for name, _ in points}
            for kill in {points[len(points) // 2], LEAVING_MORE} & set(points):
                victim.clear()
                code = victim.run("{}@{}:KILL".format(*kill))
                # How often its thread comes by is chance: it may have ended before.
                assert code == -signal.SIGKILL or (workload == "upkeep" and code == 0)
                assert victim.run() == 0, victim.errors()
                passed |= {name for name, _ in victim.points}  # some only a takeover passes
    missing = {name for name in names - passed if not name.startswith(tuple(ELSEWHERE))}
    assert sorted(missing) == []
    assert passed - names == set(), "points are named by literals, so that they can be found"


FAILING = """
import waycairn as wc
with wc.open("store") as store, store.run("lines", pace="every item", progress="off") as run:
    out = run.output("lines.txt", append=True)
    for item in run.items(range(6)):
        with item:
            out.write(f"{item.value}\\n")
            if item.value % 2:
                raise ValueError(item.value)
"""


@pytest.mark.parametrize("point", ["output.cut@1", "output.cut.done@1", "output.cut@3", "output.cut.done@2"])
def test_killed_while_a_failed_item_is_undone(tmp_path, point):
    """What an item wrote that failed is in no output, wherever the process dies while it is cut off."""
    command = [sys.executable, "-c", FAILING]
    killed = subprocess.run(command, cwd=tmp_path, env={**os.environ, "WAYCAIRN_CRASH": f"{point}:KILL"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "lines.txt").read_text() == "0\n2\n4\n"


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
