"""`waycairn timeline`, and what `show` tells of it: who entered a run, and how that ended."""

import os
import subprocess
import sys
import time

from commands import document, environment, waycairn

JOB = """
import os, signal, sys, time, waycairn as wc

with wc.run("job") as run:
    state = run.state({"at": 0})
    for item in run.each(range(6)):
        state["at"] = item
        run.checkpoint("milestone", tags=["half"] if item == 2 else [])
        if sys.argv[1:] and item == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def job(folder, *arguments):
    process = subprocess.Popen([sys.executable, "-c", JOB, *arguments], cwd=folder, env=environment())
    process.wait(60)
    return process.pid


def test_the_life_of_a_run(tmp_path):
    """Killed twice, then done: newest first, as lists and as a document; `show` tells the attempts too."""
    began = time.time()
    pids = [job(tmp_path, "1"), job(tmp_path, "3"), job(tmp_path)]
    told = document("timeline", "job", at=tmp_path)
    assert [attempt["owner"]["pid"] for attempt in told["attempts"]] == pids[::-1]
    assert [attempt["end"] for attempt in told["attempts"]] == ["completed", "orphaned", "orphaned"]
    assert [attempt["epoch"] for attempt in told["attempts"]] == [3, 2, 1]
    assert all(0 <= attempt["seconds"] < time.time() - began for attempt in told["attempts"])
    run = document("show", "job", at=tmp_path)["run"]
    assert run["attempts"] == told["attempts"]
    assert sum(attempt["commits"] for attempt in told["attempts"]) == run["sequence"]
    whats = [event["what"] for event in told["events"] if event["what"] != "checkpoint"]
    assert whats == ["left", "resumed", "orphaned", "resumed", "orphaned", "entered", "begun"]
    assert any("tagged half" in event["text"] for event in told["events"])
    shown = waycairn("timeline", "job", at=tmp_path).stdout
    assert f"pid {pids[0]} on {os.uname().nodename}" in shown
    assert "left completed" in shown
    assert len(document("timeline", "job", "--limit", "2", at=tmp_path)["events"]) == 2
    picture = waycairn("show", "job", at=tmp_path).stdout
    assert "attempts" in picture
    assert "orphaned" in picture


def test_a_run_that_nobody_entered(tmp_path):
    """A plain value has a beginning, and no attempts."""
    subprocess.run(
        [sys.executable, "-c", "import waycairn as wc; wc.save('cursor', 7)"],
        cwd=tmp_path,
        env=environment(),
        check=True,
    )
    told = document("timeline", "cursor", at=tmp_path)
    assert told["attempts"] == []
    assert "begun" in {event["what"] for event in told["events"]}
