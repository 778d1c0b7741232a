"""Runs of real processes, watched and acted on through a real server: killed, resumed, cancelled."""

import os
import signal
import time
from types import SimpleNamespace

import httpx
import pytest

import waycairn as wc
from run_jobs import Listener, start_job, waiting_job
from serving import add_people, headers_of_token, served, token_for, until
from waycairn.work.store import open_store


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A server that may start commands, over a store with accounts; their clients; and where jobs run."""
    folder = tmp_path_factory.mktemp("live")
    with open_store(folder / "store") as store:
        add_people(store)
        secrets = {name: token_for(store, name) for name in ("ada", "olga", "vera")}
        with served(store.url, "--allow-launch") as server:
            clients = {
                name: httpx.Client(base_url=server.api, headers=headers_of_token(secret), timeout=30)
                for name, secret in secrets.items()
            }
            yield SimpleNamespace(store=store, server=server, folder=folder, secret=secrets["vera"], **clients)
            for client in clients.values():
                client.close()


def _status(place, name):
    return place.store.find(name).status.value


def _launches(place):
    """What is in the files of what started commands said, by the run that they are of."""
    files = sorted((place.folder / "store" / "launches").glob("*.log"))
    return {file.name.partition("-")[0]: file for file in files}


def test_a_killed_run_is_orphaned_at_once_and_resumed_by_a_click(place):
    """kill -9 in the middle: those who listen know within two seconds. Resume starts the recorded command in the background, and
    every item is there once."""
    with Listener(place.server, place.secret) as listener:
        at = place.folder / "killed"
        job = start_job(at, place.store, "olga", "killed", "kill")
        assert job.wait(60) == -signal.SIGKILL
        died = time.monotonic()
        job.stdout.close()
        until(lambda: listener.runs("killed") and listener.runs("killed")[-1]["status"] == "orphaned", within=5)
        assert time.monotonic() - died < 3  # two looks, and what a busy machine adds
        told = listener.runs("killed")[-1]
        assert told["owner"]["alive"] is False
        (listed,) = place.vera.get("/runs?status=orphaned").json()["runs"]
        assert (listed["id"], listed["resumable"], listed["progress"]["done"]) == (told["id"], True, 20)
        # Counts are told behind the runs they are of, and counting has its own pace.
        until(lambda: listener.named("counts")[-1]["counts"].get("orphaned") == 1, within=5)

        answer = place.olga.post(f"/runs/{told['id']}/resume", json={})
        assert answer.status_code == 202, answer.text
        assert "job.py olga killed kill" in answer.json()["command"]
        until(lambda: listener.runs("killed")[-1]["status"] == "completed", within=20)
        assert (at / "items.txt").read_text() == "".join(f"{item}\n" for item in range(40))
        assert listener.runs("killed")[-1]["progress"]["done"] == 40
        until(lambda: "orphaned" not in listener.named("counts")[-1]["counts"], within=5)
    log = _launches(place)[told["id"]]
    assert log.stat().st_mode & 0o777 == 0o600
    acts = {(row.act, row.actor.partition(" ")[0]) for row in _audited(place, told["id"])}
    assert ("run.launch", "olga") in acts
    assert not os.path.exists(f"/proc/{answer.json()['pid']}")


def _audited(place, run):
    return [row.entry for row in place.store.core.catalog.audit_after(0) if row.entry.object == run]


def test_a_job_is_cancelled_and_takes_its_cut(place):
    """SIGTERM to its process, and to no other: it leaves the run interrupted, and the act is written down."""
    with waiting_job(place.folder / "cancelled", place.store, "olga", "cancelled") as job:
        run = place.store.find("cancelled").id
        assert place.vera.get("/runs?name=cancelled").json()["runs"][0]["owner"]["pid"] == job.pid
        refused = place.olga.post(f"/runs/{run}/resume")
        assert (refused.status_code, refused.json()["title"]) == (409, "RunIsHeld")
        refused = place.olga.post(f"/runs/{run}/discard")
        assert (refused.status_code, refused.json()["title"]) == (409, "RunIsHeld")
        answer = place.olga.post(f"/runs/{run}/cancel")
        assert answer.status_code == 200, answer.text
        assert job.wait(20) == 143
    assert _status(place, "cancelled") == "interrupted"
    assert place.store.find("cancelled").progress.done >= 20
    assert ("run.cancel", "done") in {(row.act, row.outcome) for row in _audited(place, run)}
    refused = place.olga.post(f"/runs/{run}/cancel")
    assert (refused.status_code, refused.json()["title"]) == (409, "CannotCancel")
    assert place.olga.post(f"/runs/{run}/discard").json()["status"] == "discarded"
    refused = place.olga.post(f"/runs/{run}/resume")
    assert (refused.status_code, refused.json()["title"]) == (409, "CannotStart")


def test_a_hung_job_is_fenced_out(place):
    """Takeover: the run is free, in a new epoch, while its former owner still hangs."""
    with waiting_job(place.folder / "hung", place.store, "olga", "hung") as job:
        job.send_signal(signal.SIGSTOP)
        answer = place.olga.post(f"/runs/{place.store.find('hung').id}/takeover")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["epoch"], answer.json()["status"]) == (2, "orphaned")


def test_a_command_that_dies_at_once_says_why(place):
    """Its exit code and its last lines are in the answer; the run is as it was."""
    at = place.folder / "broken"
    job = start_job(at, place.store, "olga", "broken", "kill")
    job.wait(60)
    job.stdout.close()
    (at / "job.py").write_text("import sys\nsys.exit('the disk is not mounted')\n")
    run = place.store.find("broken").id
    refused = place.olga.post(f"/runs/{run}/resume")
    assert (refused.status_code, refused.json()["title"], refused.json()["code"]) == (409, "launch failed", 1)
    assert "the disk is not mounted" in refused.json()["detail"]
    assert place.store.find("broken").epoch == 1
    (at / "job.py").unlink()
    at.rename(place.folder / "moved")
    refused = place.olga.post(f"/runs/{run}/resume")
    assert (refused.status_code, refused.json()["title"]) == (409, "CannotStart")


def test_events_tell_how_fast_it_goes(place):
    """While somebody listens rate and time to go are measured, and lists tell them, too."""
    with (
        place.store.run("measured", total=1000, pace=wc.Pace(seconds=0.2)) as run,
        Listener(place.server, place.secret) as listener,
    ):
        for item in run.each(range(1000)):
            time.sleep(0.01)
            if item > 30 and any(told["rate"] for told in listener.runs("measured")):
                break
            assert item < 600, "no rate was told"
        told = next(told for told in listener.runs("measured") if told["rate"])
        assert 5 < told["rate"] < 200
        assert told["eta"] == pytest.approx((1000 - told["progress"]["done"]) / told["rate"])
        assert place.vera.get("/runs?name=measured").json()["runs"][0]["rate"] is not None


def test_what_others_do_is_told(place):
    """Through another door than the server: a run that rests is discarded, one that runs is deleted, phases go on."""
    with Listener(place.server, place.secret) as listener:
        with place.store.run("left") as run:
            for item in run.each(range(9)):
                if item == 3:
                    break
        place.store.discard("left")
        until(lambda: [one["status"] for one in listener.runs("left")][-1:] == ["discarded"])
        with place.store.run("outer") as run:
            run.phase("inner", lambda phase: [time.sleep(0.3) for _ in phase.each(range(5))])
        until(lambda: listener.named("phases") and listener.named("phases")[-1]["phases"][-1]["status"] == "completed")
        told = [phase for data in listener.named("phases") for phase in data["phases"]]
        assert {(phase["name"], phase["root"]) for phase in told} == {("inner", run.id)}
        assert listener.runs("inner") == []
        gone = place.store.start("gone")
        until(lambda: listener.runs("gone"))
        place.store.core.catalog.delete_run(gone.id)
        until(lambda: listener.named("gone") == [{"runs": [gone.id]}])
