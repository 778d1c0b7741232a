"""The same jobs on a real PostgreSQL: killed between lines, owned by lease and epoch."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import waycairn as wc
from killing import attempt, sweep
from waycairn.errors import OwnershipLost, RunIsHeld


def job_on(url: str, runs: str) -> Callable[[Path], Any]:
    """A job with a state, steps, a loop and a phase; each place is a run of its own in one database."""

    def job(place: Path) -> Any:
        with wc.open(url, packs=place / "packs") as store:
            with store.run(runs, key=place.name, pace="every item") as run:
                first = run.step("first", lambda: [1, 2], returns=list[int])
                state = run.state({"sum": 0, "blob": b""})
                for number in run.each(range(4)):
                    state["sum"] += number
                    state["blob"] = bytes(range(256)) * 1000 + bytes([number])
                doubled = run.phase("double", lambda phase: sum(phase.each([1, 2, 3])), returns=int)
                run.save("scores", first)
            return [state["sum"], len(state["blob"]), state["blob"][-1], first, doubled]

    return job


def test_a_kill_between_lines_changes_nothing(postgres_schema: str, tmp_path: Path) -> None:
    """Killed and resumed, a job on PostgreSQL ends as if it had never been killed; the dead are known at once."""
    swept = sweep(job_on(postgres_schema, "job"), tmp_path, stride=2)
    print(f"postgresql: {swept.kills} kills, 0 wrong")


def wait_for(path: Path) -> None:
    """Bounded: a child that waits for ever would outlive the tests."""
    ends = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < ends, f"{path} did not appear"
        time.sleep(0.01)


def test_a_living_owner_is_respected(postgres_schema: str, tmp_path: Path) -> None:
    """A second entry is refused while the first lives."""
    with wc.open(postgres_schema, packs=tmp_path) as one, wc.open(postgres_schema, packs=tmp_path) as two:
        with one.run("job"), pytest.raises(RunIsHeld, match=f"held by pid {os.getpid()}"):
            two.run("job").open()
        with two.run("job") as run:
            assert not run.resumed


def test_a_stopped_owner_is_fenced_out_after_a_forced_takeover(postgres_schema: str, tmp_path: Path) -> None:
    """The zombie wakes up, tries to commit and is refused, having changed nothing."""

    def zombie(place: Path) -> Any:
        with wc.open(postgres_schema, packs=place / "packs") as store, store.run("job", pace=0) as run:
            state = run.state({"who": "nobody"})
            run.checkpoint(force=True)
            state["who"] = "zombie"
            (place / "ready").touch()
            wait_for(place / "go")
            run.checkpoint(force=True)

    child = os.fork()
    if child == 0:
        ended = attempt(zombie, tmp_path)
        (tmp_path / "ended").write_text(ended.error)
        os._exit(0)
    wait_for(tmp_path / "ready")
    with wc.open(postgres_schema, packs=tmp_path / "packs") as store:
        store.takeover("job")
        with store.run("job", pace=0) as run:
            state = run.state({"who": ""})
            state["who"] = "heir"
            run.checkpoint(force=True)
        (tmp_path / "go").touch()
        os.waitpid(child, 0)
        assert OwnershipLost.__name__ in (tmp_path / "ended").read_text()
        assert store.load(store.checkpoints("job", role="state")[0].id) == {"who": "heir"}
        assert store.find("job").status == "completed"


def test_sigterm_takes_the_cut(postgres_schema: str, tmp_path: Path) -> None:
    """As on SQLite: the item ends, the cut is taken, Interrupted is raised."""

    def slow(place: Path) -> Any:
        with wc.open(postgres_schema, packs=place / "packs") as store, store.run("slow", pace=0) as run:
            for number in run.each(range(5)):
                if number == 2 and not run.resumed:
                    os.kill(os.getpid(), signal.SIGTERM)
            return run.ledger.summary().completed

    assert "SIGTERM" in attempt(slow, tmp_path).error
    assert attempt(slow, tmp_path).result == 5
