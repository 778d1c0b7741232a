"""Looking after a store by the API: how it is, what would be done, what is done."""

import asyncio
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from care_case import contents, noise, packs_of
from serving import BASE, a_scene, ended, until
from waycairn.server.app import create_app
from waycairn.server.hub import Hub
from waycairn.server.looking import HealthWatch
from waycairn.server.serving import Options

TESTS = Path(__file__).parents[1]


@dataclass
class State:
    weights: bytes


def issues(client):
    found = client.get("/health").json()
    return {one["check"]: one for one in found["issues"] if one["severity"] != "info"}


def act_of(client, check):
    """What does something about it, by name."""
    return issues(client)[check]["act"]["name"]


def half_dead(store):
    """States that share a half, of which all but the newest are gone: their packs hold dead bytes beside living ones."""
    for page in range(4):
        store.save("state", {"shared": noise(1, 2_500_000), "own": noise(10 + page, 2_500_000)}, keep=1)
    store.sweep(grace=0)


# -- how it is ---------------------------------------------------------------------------------------------------------


def test_statistics_and_growth(scene):
    """Counted now, and what was recorded: what saves held, what was spared, how long they took."""
    for _ in range(3):
        scene.store.load(scene.store.save("value", noise(1), keep=3))
    counted = scene.vera.get("/stats").json()
    assert counted["checkpoints"] == {"valid": 3, "damaged": 0}
    assert counted["raw_bytes"] > 3 * 300_000 > counted["stored_bytes"]
    grown = scene.vera.get("/growth").json()
    (today,) = grown["days"]
    assert (today["saves"], today["loads"], today["failures"]) == (3, 3, 0)
    assert today["raw"] > 900_000
    assert today["saved"] == today["raw"] - today["written"] > 599_000
    assert 0 < today["save_p95"] < 60
    assert scene.vera.get("/growth?days=0").status_code == 422


def test_health_names_the_act(scene):
    """As the command says it; and by name what does something about each issue, null where nothing here does."""
    said = scene.vera.get("/health").json()
    assert (said["status"], said["score"], said["recommendations"]) == ("healthy", 100, [])
    (info,) = said["issues"]
    assert (info["check"], info["act"]) == ("encryption", None)
    assert scene.anybody.get("/health").status_code == 401


# -- an unhealthy store, until it is healthy ---------------------------------------------------------------------------


def test_damage_is_repaired(scene):
    """Critical: an unfinished run has nothing intact left. The act that is named mends it, once the disk is back."""
    place = Path(scene.store.url)
    with pytest.raises(ValueError, match="stop"), scene.store.run("job") as run:
        run.state(State(noise(7)))
        run.checkpoint(force=True)
        raise ValueError("stop")
    (pack,) = packs_of(place)
    pack.rename(place.parent / "away")
    verified = ended(scene.ada, scene.ada.post("/verify"))
    assert verified["result"]["damaged"]
    found = scene.ada.get("/health").json()
    assert found["status"] == "unhealthy"
    assert act_of(scene.ada, "damage") == "repair"
    (place.parent / "away").rename(pack)
    would = scene.ada.post("/repair").json()
    assert would["dry_run"]
    assert would["healed"]
    assert issues(scene.ada)["damage"]
    done = ended(scene.ada, scene.ada.post("/repair", json={"dry_run": False}))
    assert (done["state"], done["kind"], done["owner"]) == ("done", "repair", "ada")
    assert done["result"]["healed"] == would["healed"]
    assert scene.ada.get("/health").json()["status"] == "healthy"


def test_dead_bytes_are_given_back(tmp_path):
    """Fragmentation names `optimize`: what it would do is answered at once, and then it does that."""
    with a_scene(tmp_path, health={"fragmentation_warning": 0.01, "fragmentation_critical": 0.02}) as scene:
        half_dead(scene.store)
        assert scene.vera.get("/health").json()["status"] == "unhealthy"
        act = act_of(scene.vera, "fragmentation")
        assert act == "optimize"
        would = scene.ada.post(f"/{act}").json()
        assert would["actions"]
        done = ended(scene.ada, scene.ada.post(f"/{act}", json={"dry_run": False}))["result"]
        assert [one["kind"] for one in done["actions"]] == [one["kind"] for one in would["actions"]]
        assert done["freed_bytes"] > 0
        assert "fragmentation" not in issues(scene.vera)
        assert scene.vera.get("/health").json()["status"] == "healthy"


def test_leftovers_are_swept(tmp_path):
    """A save that died left a pack behind: `sweep` is named, and gives it back."""
    with a_scene(tmp_path, health={"leftovers_warning": 10}) as scene:
        scene.store.save("kept", noise(1))
        (kept,) = packs_of(tmp_path / "store")
        left = kept.with_name(kept.name[:2] + "0" * 30)
        left.write_bytes(kept.read_bytes())
        os.utime(left, (0, 0))
        assert scene.vera.get("/health").json()["status"] == "degraded"
        act = act_of(scene.vera, "leftovers")
        assert scene.ada.post(f"/{act}").json()["leftovers"] == 1
        assert left.exists()
        assert ended(scene.ada, scene.ada.post(f"/{act}", json={"dry_run": False}))["result"]["leftovers"] == 1
        assert packs_of(tmp_path / "store") == [kept]
        assert scene.vera.get("/health").json()["status"] == "healthy"


@pytest.mark.parametrize("path", ["/sweep", "/optimize", "/repair"])
def test_a_dry_run_changes_nothing(tmp_path, path):
    """Not a row and not a file; also where there is something to do."""
    with a_scene(tmp_path) as scene:
        half_dead(scene.store)
        scene.store.delete(scene.store.save("gone", noise(3)))
        scene.ada.get("/health")
        before = contents(tmp_path / "store")
        answer = scene.ada.post(path)
        assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
        assert contents(tmp_path / "store") == before


# -- acts --------------------------------------------------------------------------------------------------------------


def test_a_sweep_says_what_goes_and_why(tmp_path):
    """First what goes; the job removes exactly that, for who asked, and the audit log says so."""
    with a_scene(tmp_path, retention={"keep": 1}) as scene:
        scene.run_of("olga", items=5)
        would = scene.ada.post("/sweep", json={"grace": "0s"}).json()
        assert [one["stays"] for one in would["decisions"]] == sorted(one["stays"] for one in would["decisions"])
        going = {one["checkpoint"] for one in would["decisions"] if not one["stays"]}
        assert len(going) == would["checkpoints"] == 4
        assert would["more_decisions"] == 0
        done = ended(scene.ada, scene.ada.post("/sweep", json={"dry_run": False, "grace": 0}))
        assert (done["result"]["checkpoints"], done["result"]["dry_run"]) == (4, False)
        assert not going & {one.id for one in scene.store.checkpoints("job")}
        (begun, over) = scene.ada.get("/audit?act=sweep&actor=ada").json()["rows"][::-1]
        assert (begun["outcome"], over["outcome"]) == ("begun", "done")


def test_only_admins(scene):
    """And what is asked for is checked before anything begins."""
    for path in ("/sweep", "/optimize", "/verify", "/repair"):
        assert scene.olga.post(path).status_code == 403
    for path, body in (
        ("/sweep", {"grace": "soon"}),
        ("/sweep", {"nonsense": 1}),
        ("/optimize", {"max_bytes": "much"}),
        ("/verify", {"read_data": "9/7"}),
    ):
        answer = scene.ada.post(path, json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
        assert "Nothing was done" in answer.json()["detail"]
    assert scene.ada.get("/jobs").json()["jobs"] == []


def test_a_verification_tells_how_far_it_is(scene, monkeypatch):
    """To all who watch: what was read, and of how much where all of it is."""
    for number in range(3):
        scene.store.save(f"value {number}", noise(number))
    told = []

    def tell(event, data, *_):
        if event == "job":
            told.append(data["progress"])

    monkeypatch.setattr(scene.app.state.serving.hub, "publish", tell)
    monkeypatch.setattr("waycairn.server.jobs._EVERY", 0.0)
    for body, total in (({}, scene.vera.get("/stats").json()["unique_bytes"]), ({"read_data": "1/2"}, None)):
        told.clear()
        assert ended(scene.ada, scene.ada.post("/verify", json=body))["state"] == "done"
        said = [one for one in told if one is not None]
        assert {one["stage"] for one in said} == {"verify"}
        assert {one["total_size"] for one in said} == {total}
        sizes = [one["size"] for one in said]
        assert sizes == sorted(sizes)
        assert total is None or sizes[-1] == total


def test_one_of_a_kind_at_a_time(scene):
    """Who asks twice is told of the first, and nothing begins."""
    goes_on = threading.Event()
    first = scene.app.state.serving.jobs.start("sweep", None, "olga", lambda _: {"went": goes_on.wait(30)})
    try:
        answer = scene.ada.post("/sweep", json={"dry_run": False})
        assert (answer.status_code, answer.json()["job"]) == (409, first.id)
        assert scene.ada.post("/sweep").status_code == 200, "a dry run may be asked for"
        assert ended(scene.ada, scene.ada.post("/verify"))["state"] == "done"
    finally:
        goes_on.set()
    until(lambda: scene.ada.get(f"/jobs/{first.id}").json()["state"] == "done")
    assert ended(scene.ada, scene.ada.post("/sweep", json={"dry_run": False}))["state"] == "done"


def test_a_sweep_while_a_job_saves(scene):
    """A real job in another process goes on, and everything that it saved is intact."""
    job = subprocess.Popen(
        [sys.executable, str(TESTS / "sweeping_job.py"), "save", scene.store.url, "1", "20"], stdout=subprocess.DEVNULL
    )
    sweeps = 0
    while job.poll() is None:
        done = ended(scene.ada, scene.ada.post("/sweep", json={"dry_run": False}))
        assert done["state"] == "done", done
        sweeps += 1
    assert (job.returncode, sweeps > 1) == (0, True)
    checked = ended(scene.ada, scene.ada.post("/verify"))["result"]
    assert checked["checkpoints"] > 0
    assert (checked["damaged"], checked["violations"], checked["damaged_packs"]) == ([], [], [])


# -- for monitoring ----------------------------------------------------------------------------------------------------


def test_metrics(scene):
    """In Prometheus' format, for who has a token; nothing without."""
    scene.store.save("value", 1)
    for answer in (scene.vera.get("/metrics"), scene.http.get("/metrics", headers=scene.vera.headers)):
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        assert families["waycairn_health_score"].samples[0].value == 100
    assert scene.http.get("/metrics").status_code == 401
    assert scene.anybody.get("/metrics").status_code == 401


def test_metrics_that_are_open(scene):
    """To processes of this host, and to these only; the API stays closed."""
    for host, status in (("127.0.0.1", 200), ("::1", 200), ("10.1.2.3", 401), ("testclient", 401)):
        app = create_app(scene.store, Options(open_metrics=True))
        with TestClient(app, client=(host, 5000), base_url=BASE) as http:
            assert http.get("/metrics").status_code == status, host
            assert http.get("/api/v1/metrics").status_code == 401
            assert http.get("/healthz").json() == {"status": "ok"}


def test_watchers_are_told_of_health(scene, monkeypatch):
    """Once when they come, then when it changes, and not in between."""
    monkeypatch.setattr(HealthWatch, "pause", 0.02)
    told, damaged = [], []

    async def watch():
        hub = Hub()
        hub.begin()
        looking = asyncio.create_task(HealthWatch(scene.store, hub).run())
        async for message in hub.listen(pause=5):
            if b"event: health" in message:
                told.append(message.split(b"data: ")[1])
            if len(told) == 1 and not damaged:
                damaged.append(True)
                await asyncio.sleep(0.2)  # it looks some times more, and finds the same
                await asyncio.to_thread(_damage, scene)
            if len(told) == 2:
                looking.cancel()
                return

    asyncio.run(watch())
    assert told == [b'{"status":"healthy","score":100}\n\n', b'{"status":"degraded","score":80}\n\n']


def _damage(scene):
    scene.store.save("value", noise(1))
    (pack,) = packs_of(Path(scene.store.url))
    os.truncate(pack, 100)
    scene.store.verify()
