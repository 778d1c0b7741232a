"""Streams by the API: a real job that follows files, its dead letters, its breaker, and processing by a process."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from serving import a_scene, ended, until
from waycairn.errors import OwnershipLost
from waycairn.process import acting
from waycairn.server.problems import Problem
from waycairn.server.serving import Options
from waycairn.upkeep.starting import StartCommand

TESTS = Path(__file__).parents[1]
CODE = """
def rows(events):
    print("a word of the job itself")
    for event in events:
        if event["id"] == 13:
            raise ValueError("13 is odd")
        yield (event["id"],)
"""


def write(place, numbers, name="a.jsonl", more=""):
    (place / "logs").mkdir(exist_ok=True)
    with (place / "logs" / name).open("a") as file:
        file.write("".join(f'{{"seq": {number}, "id": {number}}}\n' for number in numbers) + more)


@contextmanager
def following(place, account):
    """A job in another process that follows the logs of that place until it is stopped."""
    environment = {**os.environ, "WAYCAIRN_ACCOUNT": account}
    command = [sys.executable, str(TESTS / "following_job.py"), str(place), "10", "follow", "job"]
    job = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield job
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait(30)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A stream that is registered and that nobody followed yet."""
    write(tmp_path, range(5), more="no json\n[1]\n")
    (tmp_path / "rows_of.py").write_text(CODE)
    with closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        database.execute("CREATE TABLE events (id INTEGER)")
    stream = "{paths: [logs/*.jsonl], sink: 'sqlite:///rows.db', rows: 'rows_of:rows', table: events}"
    (tmp_path / "waycairn.yaml").write_text(f"streams:\n  telemetry: {stream}\n")
    monkeypatch.chdir(tmp_path)
    with a_scene(tmp_path, Options(allow_launch=True)) as scene:
        yield scene


def test_a_stream_that_a_job_follows(scene, tmp_path):
    """Who follows it and how far it is; dead letters by the page, for whose run it is and for admins."""
    write(tmp_path, range(20), more="no json\n[1]\n{}\n")
    with following(tmp_path, "olga") as job:
        found = until(lambda: _if_read(scene.vera, 20, 3), 60)
        assert (found["state"], found["account"], found["owner"]["pid"]) == ("following", "olga", job.pid)
        assert (found["counts"]["events"], found["breaker"], found["spool"]) == (
            20,
            {**CLOSED, "state": "closed"},
            None,
        )
        assert (found["may_touch"], found["registered"]) == (False, False)
        whole = scene.vera.get("/streams/job").json()
        assert [one["path"] for one in whole["generations"]] == [f"{tmp_path}/logs/a.jsonl"]
        assert whole["behind"]["bytes"] == 0
        assert scene.olga.post("/streams/job/process").json()["title"] == "launch is off"
    assert _stream(scene.olga)["may_touch"] is True
    assert (_stream(scene.vera)["state"], _stream(scene.vera)["breaker"]) == ("left", None)
    assert scene.vera.get("/streams/job/dead").status_code == 403
    first = scene.olga.get("/streams/job/dead?limit=2").json()
    last = scene.ada.get("/streams/job/dead", params={"limit": 2, "cursor": first["next"]}).json()
    kinds = [one["kind"] for one in first["dead"] + last["dead"]]
    assert (kinds, last["next"]) == (["malformed", "not_object", "schema"], None)
    assert first["dead"][0]["text"] == "no json"
    assert len(scene.ada.get("/streams/job/dead?kind=schema&kind=malformed").json()["dead"]) == 2
    assert scene.ada.get("/streams/job/dead?kind=other").status_code == 422
    assert scene.ada.get("/streams/job/dead?cursor=nonsense").status_code == 422


CLOSED = {"since": None, "tries": None, "error": None, "next_try": None}


def _stream(client):
    (found,) = client.get("/streams").json()["streams"]
    return found


def _if_read(client, events, letters):
    found = client.get("/streams").json()["streams"]
    if not found or found[0]["counts"] is None:
        return None
    return found[0] if (found[0]["counts"]["events"], found[0]["dead_letters"]) == (events, letters) else None


def test_a_breaker_that_is_open(scene, tmp_path):
    """The follower notes what it knows of its database: open with the reason while it is held by somebody, then closed."""
    write(tmp_path, range(4))
    engine = create_engine(f"sqlite:///{tmp_path / 'sink.db'}", connect_args={"timeout": 0.02})
    with closing(sqlite3.connect(tmp_path / "sink.db", isolation_level=None)) as other:
        follower = threading.Thread(target=_follow, args=(scene.store, tmp_path, engine))
        follower.start()
        until(lambda: scene.vera.get("/streams").json()["streams"], 30)
        until(lambda: _stream(scene.vera)["breaker"] == {**CLOSED, "state": "closed"}, 30)
        other.execute("BEGIN IMMEDIATE")
        write(tmp_path, range(4, 8))
        found = until(lambda: _if_open(scene.vera), 30)
        assert "locked" in found["error"]
        assert found["tries"] >= 1
        assert found["since"] < found["next_try"]
        other.execute("COMMIT")
        until(lambda: _stream(scene.vera)["breaker"] == {**CLOSED, "state": "closed"}, 30)
        until(lambda: _stream(scene.vera)["counts"]["events"] == 8, 30)
    scene.store.takeover("job")
    follower.join(30)
    engine.dispose()
    assert _stream(scene.vera)["breaker"] is None


def _if_open(client):
    found = _stream(client)["breaker"]
    return found if found is not None and found["state"] == "open" else None


def _follow(store, place, engine):
    """Until somebody takes the run over."""
    with acting("olga"), pytest.raises(OwnershipLost), store.run("job") as run:
        for batch in run.follow(place / "logs" / "*.jsonl", sink=engine, every="20ms"):
            with batch:
                pass


def test_processing(project):
    """Once, by the code that is registered: what was done is the result, the run belongs to who asked, and it is audited."""
    assert [one["name"] for one in project.vera.get("/streams").json()["registered"]] == ["telemetry"]
    assert project.olga.post("/streams/telemetry/process").status_code == 403, "nobody knows whose it is"
    done = ended(project.ada, project.ada.post("/streams/telemetry/process"))
    assert (done["kind"], done["object"], done["state"]) == ("stream.process", "telemetry", "done"), done
    assert (done["result"]["done"]["events"], done["result"]["done"]["dead"]) == (5, 2)
    with closing(sqlite3.connect("rows.db")) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (5,)
    found = _stream(project.vera)
    assert (found["account"], found["registered"], found["state"]) == ("ada", True, "left")
    assert project.vera.get("/streams").json()["registered"] == []
    acts = [(row["outcome"], row["object"]) for row in project.ada.get("/audit?act=stream.process").json()["rows"]]
    assert acts == [("done", "telemetry"), ("begun", "telemetry")]


def test_processing_that_fails(project):
    """What the process said is what the job says; what it had committed stands."""
    write(Path(), [13])
    done = ended(project.ada, project.ada.post("/streams/telemetry/process"))
    assert (done["state"], done["error"]["status"]) == ("failed", 409)
    assert "13 is odd" in done["error"]["detail"]
    assert "0 events were committed" in done["error"]["detail"]
    (row,) = project.ada.get("/audit?act=stream.process&outcome=failed").json()["rows"]
    assert row["actor"].startswith("ada (")


def test_processing_that_is_refused(project, tmp_path):
    """Unknown, followed by somebody who lives, or registered no more: nothing is started."""
    assert project.ada.post("/streams/other/process").status_code == 404
    assert project.ada.get("/streams/telemetry").status_code == 404, "nobody has followed it yet"
    with project.store.run("telemetry"):
        answer = project.ada.post("/streams/telemetry/process")
        assert (answer.status_code, answer.json()["title"]) == (409, "RunIsHeld")
    (tmp_path / "waycairn.yaml").write_text("streams: 3\n")
    assert project.ada.post("/streams/telemetry/process").status_code == 404
    assert project.ada.get("/streams").status_code == 200
    assert project.ada.get("/jobs").json()["jobs"] == []


def test_what_is_waited_for_ends_with_the_server(project):
    """By SIGTERM; nothing is started any more."""
    launcher, gone = project.app.state.serving.launcher, []
    sleeping = StartCommand([sys.executable, "-c", "import time; time.sleep(60)"], str(Path.cwd()))
    waiting = threading.Thread(target=lambda: gone.append(launcher.run(sleeping, "stream")))
    waiting.start()
    until(lambda: launcher._awaited, 10)
    launcher.end()
    waiting.join(20)
    assert [one.process.returncode for one in gone] == [-signal.SIGTERM]
    with pytest.raises(Problem, match="about to end"):
        launcher.run(sleeping, "stream")
