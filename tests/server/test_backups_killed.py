"""kill -9 of a server that makes a backup, or deletes with one: nothing is half, and the next server says what is where."""

from contextlib import contextmanager

import httpx
import pytest

from serving import add_people, served, token_for, until
from waycairn.errors import RunNotFound
from waycairn.process import acting
from waycairn.work.store import open_store


@pytest.fixture
def place(tmp_path):
    """A store with a run of olga, and her token."""
    with open_store(tmp_path / "store") as store:
        add_people(store)
        with acting("olga"), store.run("nightly", total=4) as run:
            for item in run.each(range(4)):
                run.checkpoint("milestone", iteration=item)
        yield store, str(run.id), token_for(store, "olga")


@contextmanager
def asked(place, **environment):
    """A server process, and what olga asks it for."""
    store, _, secret = place
    with (
        served(store.url, **environment) as process,
        httpx.Client(headers={"Authorization": f"Bearer {secret}"}, base_url=process.api, timeout=20) as http,
    ):
        yield process, http


def died(process):
    assert process.process.wait(60) == -9


def job_of(http, answer):
    assert answer.status_code == 202, answer.text
    id_ = answer.json()["id"]
    return until(lambda: (job := http.get(f"/jobs/{id_}").json())["state"] in {"done", "failed"} and job, 60)


def only(http):
    (backup,) = [one for one in http.get("/backups").json()["backups"] if one["state"] != "expired"]
    return backup


def test_nothing_is_half_after_a_kill(place):
    """In the middle of a create: the run is there, the backup guards nothing, and goes away. In the middle of a delete: the backup
    has all of it, and the delete is finished, or all of it restored."""
    store, run, _ = place
    source = {"source": {"kind": "runs", "runs": [run]}}

    with asked(place, WAYCAIRN_CRASH="backup.read_back@1:KILL") as (process, http):
        assert http.post("/backups", json=source).status_code == 202
        died(process)

    with asked(place, WAYCAIRN_CRASH="backup.runs.delete@1:KILL") as (process, http):
        left = only(http)
        assert (left["state"], left["is_interrupted"]) == ("exporting", True)
        assert "it guards nothing, and nothing was deleted" in left["word"]
        assert [one["id"] for one in http.get("/backups?state=interrupted").json()["backups"]] == [left["id"]]
        assert http.get(f"/backups/{left['id']}/archive").status_code == 409
        assert http.post(f"/backups/{left['id']}/delete-source", json={"confirm": left["label"]}).status_code == 409
        assert http.delete(f"/backups/{left['id']}").json()["state"] == "expired"
        assert len(store.checkpoints(run)) == 4
        backup = job_of(http, http.post("/backups", json=source))["result"]["backup"]
        assert http.post(f"/backups/{backup}/delete-source", json={"confirm": left["label"]}).status_code == 202
        died(process)
    assert len(store.checkpoints(run)) == 4, "nothing was deleted yet"

    with asked(place) as (_, http):
        half = only(http)
        assert (half["id"], half["state"], half["is_interrupted"]) == (backup, "deleting", True)
        assert [step["what"] for step in half["next_steps"]][:2] == [
            "finish the delete that was cut off",
            "bring all of it back",
        ]
        assert http.delete(f"/backups/{backup}").status_code == 409, "it may be all that is left"
        finished = job_of(http, http.post(f"/backups/{backup}/delete-source", json={"confirm": half["label"]}))
        assert (finished["state"], only(http)["state"]) == ("done", "deleted")
        with pytest.raises(RunNotFound):
            store.find(run)
        restored = job_of(http, http.post(f"/backups/{backup}/restore", json={}))
        assert (restored["state"], restored["result"]["records"]) == ("done", 1)
    assert (len(store.checkpoints(run)), store.find(run).account) == (4, "olga")
