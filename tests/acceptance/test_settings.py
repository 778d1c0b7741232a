"""Settings of files and the environment change what real jobs do, without a line of their code."""

import json
import os
import signal
import subprocess
import sys

import pytest

import waycairn as wc
from commands import document, environment, waycairn

JOB = """
import os, signal, sys, time, waycairn as wc

class State:
    seen = 0

with wc.run("job") as run:
    state = run.state({"seen": 0})
    for item in run.each(range(20)):
        state["seen"] += 1
        if item == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
print("done", state["seen"])
"""


def run(place, die=-1, code=JOB, **variables):
    """The job in that directory."""
    (place / "job.py").write_text(code)
    return subprocess.run(
        [sys.executable, "job.py", str(die)],
        cwd=place,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def cuts(place):
    """Checkpoints of the state that stay."""
    with wc.open(place / ".waycairn") as store:
        return [one.checkpoint.reason for one in store.checkpoints("job", role="state")]


def test_the_pace_of_a_file_takes_effect(tmp_path):
    """Killed in its 13th item, a job has what was committed at that pace; a variable comes before the file."""
    (tmp_path / "waycairn.yaml").write_text("saving: {pace: 25%}\n")
    assert run(tmp_path, 12).returncode == -signal.SIGKILL
    assert done(tmp_path) == 10
    assert run(tmp_path, 19, WAYCAIRN_SAVING__PACE="4 items").returncode == -signal.SIGKILL
    assert done(tmp_path) == 18
    assert run(tmp_path).stdout == "done 20\n"


def done(place):
    with wc.open(place / ".waycairn", create=False) as store:
        return store.find("job").progress.done


def test_what_stays_is_set(tmp_path):
    """How many automatic checkpoints of a state."""
    (tmp_path / "pyproject.toml").write_text("[tool.waycairn]\nsaving.pace = 'every item'\nsaving.keep = 7\n")
    assert run(tmp_path).returncode == 0
    assert cuts(tmp_path).count("pace") == 7


def test_a_wrong_setting_starts_nothing(tmp_path):
    """No store is made, and the message leads to the line."""
    (tmp_path / "waycairn.yaml").write_text("saving:\n  pace: sometimes\n")
    ran = run(tmp_path)
    assert ran.returncode == 1
    assert f"{tmp_path}/waycairn.yaml:2:9: saving.pace: pace 'sometimes' is not understood" in ran.stderr
    assert sorted(os.listdir(tmp_path)) == ["job.py", "waycairn.yaml"]
    told = waycairn("runs", at=tmp_path)
    assert (told.returncode, told.stdout) == (2, "")
    assert "waycairn.yaml:2:9: saving.pace" in told.stderr


def test_the_store_of_a_file_is_the_default_one(tmp_path):
    """Relative to the file, for jobs and commands alike, also when the job is resumed from elsewhere."""
    (tmp_path / "waycairn.yaml").write_text("store: {url: kept/here}\n")
    below = tmp_path / "below"
    below.mkdir()
    assert run(below, 3).returncode == -signal.SIGKILL
    assert (tmp_path / "kept" / "here" / "catalog.db").exists()
    assert [one["name"] for one in document("runs", at=below)["runs"]] == ["job"]
    script = below / "job.py"
    script.write_text(script.read_text().replace("int(sys.argv[1])", "-1"))
    ran = waycairn("resume", "job", "--store", tmp_path / "kept" / "here", at=tmp_path, WAYCAIRN_STORE__URL="/nowhere")
    assert ran.stdout == "done 20\n", ran.stderr


WORK = """
import numpy as np, waycairn as wc
tried = []

def odd(n):
    tried.append(n)
    raise ValueError(n)

with wc.run("batch") as run:
    made = run.map(odd, [1])
    made.drain()
print(len(tried), made._options.workers)
with wc.run("training") as run:
    run.track(weights=np.zeros(10))
    for step in run.steps(12):
        pass
with wc.run("stream") as run:
    for batch in run.follow("*.jsonl", sink="rows.txt", once=True):
        with batch as tx:
            print(len(batch.events))
"""


def test_loops_are_set(tmp_path):
    """Workers and attempts of a map, how often a training saves and which saves stay, and the interval of events of a
    stream, where the code says nothing."""
    (tmp_path / "a.jsonl").write_text("{}\n" * 25)
    (tmp_path / "waycairn.yaml").write_text(
        "batches: {workers: 3, attempts: 4, wait: 1ms}\ntraining: {save_every: 2, keep: 4}\nfollow: {batch: 10}\n"
    )
    ran = run(tmp_path, code=WORK)
    assert ran.stdout.split("\n") == ["4 3", "10", "10", "5", ""], ran.stderr
    with wc.open(tmp_path / ".waycairn") as store:
        steps = [one.checkpoint.iteration for one in store.checkpoints("training", role="state")]
    assert steps == [12, 10, 8, 6]


def test_log_lines_of_a_job(tmp_path):
    """A resumed job says in one line of JSON what it goes on with."""
    assert run(tmp_path, 5, WAYCAIRN_SAVING__PACE="every item").returncode == -signal.SIGKILL
    said = run(tmp_path, WAYCAIRN_LOG="json", WAYCAIRN_BATCHES__PROGRESS="off").stderr
    lines = [json.loads(line) for line in said.splitlines()]
    resumed = next(line for line in lines if line["message"].startswith("resumed run"))
    assert (resumed["run"], resumed["epoch"], resumed["done"], resumed["level"]) == ("job", 2, 5, "info")


def test_sections_may_be_given_in_code(tmp_path):
    """As mappings, as a whole, or by a file of one's choice."""
    with wc.open(tmp_path / "a", saving={"pace": "30s"}, preset="phases") as store:
        assert (store.core.settings.saving.pace, store.core.settings.saving.keep) == ("30s", 10)
        settings = store.core.settings
    with wc.open(tmp_path / "a", settings=settings) as store:
        assert store.core.settings is settings
    (tmp_path / "mine.yaml").write_text("store: {durability: process}\n")
    with wc.open(tmp_path / "a", settings=tmp_path / "mine.yaml") as store:
        assert store.core.settings.store.durability == "process"
    with pytest.raises(ValueError, match="one of both"):
        wc.open(tmp_path / "a", settings=settings, saving={})
    with pytest.raises(wc.errors.SettingsInvalid, match="Did you mean saving"):
        wc.open(tmp_path / "b", svaing={})
    assert not (tmp_path / "b").exists()


# -- the command ------------------------------------------------------------------------------------------------------


def test_config_show(tmp_path):
    """Every setting with its value and where that is from; secrets and passwords are masked."""
    (tmp_path / "waycairn.yaml").write_text("preset: phases\nsaving:\n  pace: 5%, 300s\n")
    told = waycairn("config", "show", "--changed", at=tmp_path, WAYCAIRN_STORE="postgresql://me:hush@host/db").stdout
    head, url, pace, keep, *_ = (line.split() for line in told.splitlines())
    assert head == ["setting", "value", "from"]
    assert url == ["store.url", "postgresql://me:***@host/db", "WAYCAIRN_STORE"]
    assert pace == ["saving.pace", "5%,", "300s", f"{tmp_path}/waycairn.yaml:3:9"]
    assert keep == ["saving.keep", "10", "preset", "phases"]
    whole = document("config", "show", at=tmp_path)
    assert (whole["file"], whole["preset"]) == (f"{tmp_path}/waycairn.yaml", "phases")
    found = {one["setting"]: one for one in whole["settings"]}
    assert (found["saving.grace"]["value"], found["saving.grace"]["text"]) == (25.0, "25s")
    assert (found["saving.pace"]["line"], found["saving.grace"]["from"]) == (3, "default")


def test_config_validate(tmp_path):
    """Exit code 3 and every place; of one file whatever the environment says; with the streams in it."""
    file = tmp_path / "waycairn.yaml"
    file.write_text("saving:\n  keep: 3\nstreams:\n  s: {paths: a, sink: b, write: 'job:write'}\n")
    assert waycairn("config", "validate", at=tmp_path).stdout == f"{file}: all settings are right\n"
    assert waycairn("config", "validate", at=tmp_path, WAYCAIRN_SAVING__KEP="3").returncode == 3
    assert waycairn("config", "validate", file, at=tmp_path, WAYCAIRN_SAVING__KEP="3").returncode == 0
    file.write_text("saving:\n  kep: 3\n  grace: x\n")
    facts = document("config", "validate", at=tmp_path, code=3)
    assert [(one["setting"], one["line"], one["column"]) for one in facts["problems"]] == [("saving.kep", 2, 8)]
    file.write_text("streams:\n  s: {paths: a, snik: b}\n")
    told = waycairn("config", "validate", at=tmp_path)
    assert told.returncode == 3
    assert f"{file}:2:23: streams.s snik: there is no such setting; did you mean sink?" in told.stdout
    assert waycairn("config", "validate", "gone.yaml", at=tmp_path).returncode == 1


def test_config_init(tmp_path):
    """A file that is right as it is; one that is there stays."""
    assert waycairn("config", "init", "--preset", "training", at=tmp_path).returncode == 0
    file = tmp_path / "waycairn.yaml"
    before = file.read_text()
    assert document("config", "show", at=tmp_path)["preset"] == "training"
    again = waycairn("config", "init", at=tmp_path)
    assert (again.returncode, file.read_text()) == (1, before)
    assert "is there already" in again.stderr
    assert waycairn("config", "init", "--force", at=tmp_path).returncode == 0
    assert "\n#preset: phases\n" in file.read_text()
    assert waycairn("config", "init", "--preset", "trainings", at=tmp_path).returncode == 2
    file.unlink()
    (tmp_path / "pyproject.toml").write_text("[tool.waycairn]\n")
    refused = waycairn("config", "init", at=tmp_path)
    assert refused.returncode == 1
    assert "has a [tool.waycairn] already" in refused.stderr
    assert not file.exists()


def test_a_stream_in_yaml_is_processed(tmp_path):
    """Registered in waycairn.yaml as in a pyproject.toml."""
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    (tmp_path / "job.py").write_text("def rows(events):\n    return [{'got': event['n']} for event in events]\n")
    (tmp_path / "waycairn.yaml").write_text(
        "streams:\n  s:\n    paths: a.jsonl\n    sink: rows.txt\n    rows: job:rows\n"
    )
    ran = waycairn("stream", "process", "s", "--once", at=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "rows.txt").read_text() == '{"got":1}\n{"got":2}\n'
