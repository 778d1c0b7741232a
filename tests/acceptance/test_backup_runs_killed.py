"""A job in the midst of its work is backed up, deleted and restored, with kill -9 at each step, and goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import backup_job
import waycairn as wc
from waycairn.upkeep.sweep import sweep
from waycairn.upkeep.verifying import verify

RESTORE = (
    ("backup.runs.state@1", True),
    ("backup.runs.state@2", False),
    ("store.kept@2", False),
    ("backup.runs.states@1", True),
    ("backup.runs.restored@1", False),
)
"""Where it is killed, and whether a sweep comes before it is called again."""


def act(place, what, crash=None):
    environment = {**os.environ, "PYTHONPATH": str(Path(backup_job.__file__).parent)}
    environment |= {"WAYCAIRN_CRASH": f"{crash}:KILL"} if crash else {}
    command = [sys.executable, backup_job.__file__, str(place), what]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What an uninterrupted job leaves."""
    place = tmp_path_factory.mktemp("whole")
    assert act(place, "work").returncode == 0
    return outcome(place)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A job that died in the midst of its work, and its backup."""
    place = tmp_path_factory.mktemp("killed") / "place"
    place.mkdir()
    (place / "kill").touch()
    assert act(place, "work").returncode == -9
    exported = act(place, "export")
    assert exported.returncode == 0, exported.stderr
    return place


def outcome(place):
    """What an outsider can see at the end: the file, the result, what was done, and how it stands."""
    with wc.open(place / "store") as store:
        run = store.find("job")
        result = store.core.catalog.latest_checkpoint(run.id, role="result")
        return {
            "out": (place / "out.txt").read_text(),
            "log": (place / "done.log").read_text(),
            "status": run.status,
            "done": run.progress.done,
            "result": store.load(result.id),
            "steps": [step.step.name for step in store.core.catalog.list_steps(run.id)],
            "phases": [(phase.name, phase.status, phase.progress.done) for phase in store.phases(run.id)],
        }


def a_copy(killed, tmp_path):
    place = tmp_path / "place"
    shutil.copytree(killed, place)
    return place


def test_a_restored_job_goes_on_as_it_would_have(killed, tmp_path, expected):
    """No item is done twice, no step called again, and the output is that of an uninterrupted run; also after a sweep that
    took everything of the deleted run."""
    place = a_copy(killed, tmp_path)
    assert act(place, "delete").returncode == 0
    with wc.open(place / "store") as store:
        assert store.runs() == []
        sweep(store.core)
        assert store.core.catalog.stats()["chunks"] == 0
    restored = act(place, "restore")
    assert restored.returncode == 0, restored.stderr
    resumed = act(place, "work")
    assert resumed.returncode == 0, resumed.stderr
    assert outcome(place) == expected


@pytest.mark.parametrize("point", ["backup.runs.delete@1", "backup.runs.deleted@1"])
def test_a_delete_that_is_killed(killed, tmp_path, point, expected):
    """The run is there, or it is gone; called again it is gone; and it is in the backup at any time."""
    place = a_copy(killed, tmp_path)
    assert act(place, "delete", point).returncode == -9
    with wc.open(place / "store") as store:
        assert len(store.runs()) == (point == "backup.runs.delete@1")
        assert not verify(store.core).broken
    assert act(place, "delete").returncode == 0
    assert act(place, "delete").returncode == 0
    with wc.open(place / "store") as store:
        assert store.runs() == []
        removed = [
            row.entry.facts["names"] for row in store.core.catalog.audit_after(0) if row.entry.act == "run.remove"
        ]
        assert removed == [["job"]]
    assert act(place, "restore").returncode == 0
    assert act(place, "work").returncode == 0
    assert outcome(place) == expected


@pytest.mark.parametrize(("point", "swept"), RESTORE)
def test_a_restore_that_is_killed(killed, tmp_path, point, swept, expected):
    """There is no run, or all of it; called again it goes on, also where a sweep took what it had written."""
    place = a_copy(killed, tmp_path)
    assert act(place, "delete").returncode == 0
    killed_restore = act(place, "restore", point)
    assert killed_restore.returncode == -9, killed_restore.stderr
    with wc.open(place / "store") as store:
        assert len(store.runs()) == (point == "backup.runs.restored@1")
        assert not verify(store.core).broken
        if swept:
            sweep(store.core)
    again = act(place, "restore")
    assert again.returncode == 0, again.stderr
    assert act(place, "restore").returncode == 0
    assert act(place, "work").returncode == 0
    assert outcome(place) == expected


def test_an_output_that_is_shorter_is_told(tmp_path):
    """Files are not in the backup: who restores is told, before the job refuses to go on."""
    (tmp_path / "kill").touch()
    for what in ("work", "export", "delete"):
        act(tmp_path, what)
    (tmp_path / "out.txt").write_text("0 0\n")
    restored = act(tmp_path, "restore")
    assert restored.returncode == 0
    assert "files are not part of the backup" in restored.stderr
    assert "Damaged" in act(tmp_path, "work").stderr
