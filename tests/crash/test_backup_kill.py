"""kill -9 at every durability step of a backup, a delete and a restore: the data is in its place, in a whole backup, or both."""

from __future__ import annotations

import contextlib
import signal

import pytest

from crash.workloads import open_store
from crash.zygote import Zygote
from programme.victim import Victim, in_memory
from waycairn.model.backups import BackupState

OURS = ("backup.", "folder.")


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as zygote:
        yield zygote


@pytest.fixture
def victim(zygote, tmp_path):
    with in_memory(tmp_path) as folder:
        yield Victim(zygote, "backups", folder / "victim")


def test_killed_at_every_step(victim):
    """Whatever was acknowledged is there, nothing is in neither place, and the same call again ends as if nothing had been."""
    assert victim.run() == 0, victim.errors()
    golden = victim.outcome()
    passed = [point for point in victim.points if point[0].startswith(OURS)]
    assert len(dict(passed)) > 22
    points = {*dict(reversed(passed)).items(), *dict(passed).items()}  # of each the first hit and the last
    given_up = 0
    for name, hit in sorted(points):
        victim.clear()
        assert victim.run(f"{name}@{hit}:KILL") == -signal.SIGKILL, (name, hit)
        assert list(victim.look(leftovers=None)) == [], (name, hit)
        assert victim.run() == 0, (name, hit, victim.errors())
        given_up += any(point == "backup.given_up" for point, _ in victim.points)
        assert list(victim.look(leftovers=None)) == [], (name, hit)
        assert victim.outcome() == golden, (name, hit)
    assert given_up > 5, "what a dead process left of a backup is pruned"


def test_a_dead_export_is_told_from_a_living_one(victim):
    """Its row says exporting for both; the lock of its run says which."""
    assert victim.run("backup.part.committed@1:KILL") == -signal.SIGKILL
    with contextlib.chdir(victim.folder), open_store(create=False) as store:
        [row] = store.backups()
        backup = store.backup(row.id)
        assert (row.state, backup.is_interrupted) == (BackupState.EXPORTING, True)
        assert store.prune_backups().interrupted == 0, "not yet: it is young"
        assert backup.remove().state is BackupState.EXPIRED
        assert store.runs(task="backup") == []


def test_a_full_disk_half_way(victim):
    """The export fails, nothing is deleted, and what was written goes."""
    assert victim.run("backup.part@2:ENOSPC") == 1
    assert "No space left" in victim.errors()
    assert list(victim.look(leftovers=None)) == []
    with contextlib.chdir(victim.folder), open_store(create=False) as store:
        [row] = store.backups()
        assert row.state is BackupState.FAILED
        assert "No space left" in row.error
        assert store.runs(task="backup") == []
    assert victim.run() == 0, victim.errors()
