"""Everything below one run, as the server answers: items, failures, iterations, metrics, its life."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from fastapi.testclient import TestClient

import waycairn as wc
from serving import BASE, Scene, add_people
from waycairn.process import acting
from waycairn.server.app import create_app
from waycairn.work.store import open_store


@pytest.fixture
def batch(scene):
    """A run of olga's: 7 items in two loops, of which 3 failed in two ways."""
    with acting("olga"), scene.store.run("photos") as run:
        for number in run.map(shrink, range(5), key=str, retry=wc.Retry(attempts=2, wait=0)):
            assert number
        for item in run.items(["x", "y"], name="second"):
            with item:
                if item.value == "y":
                    raise KeyError("half a \udcff")
    return scene.store.find("photos").id


def shrink(number):
    if number in {1, 3}:
        raise ValueError("too small")
    return {"number": number, "ratio": float("nan")}


def pages(client, path, noun, **params):
    """All pages of a list, one behind the other."""
    found, cursor = [], None
    while True:
        answer = client.get(path, params={**params, **({} if cursor is None else {"cursor": cursor})})
        assert answer.status_code == 200, answer.text
        document = answer.json()
        found.append(document[noun])
        cursor = document["next"]
        if cursor is None:
            return found


def test_items_come_by_the_page(scene, batch):
    """Failed ones with their errors, done ones with what they gave; none twice, none left out, whatever the size of a page."""
    whole = [item for page in pages(scene.olga, f"/runs/{batch}/items", "items") for item in page]
    assert [item["status"] for item in whole] == ["failed"] * 3 + ["done"] * 4
    for limit in (1, 2, 3):
        split = pages(scene.olga, f"/runs/{batch}/items", "items", limit=limit)
        assert [item for page in split for item in page] == whole
        assert max(map(len, split)) == limit
    failed = next(item for item in whole if item["loop"] == "second" and item["status"] == "failed")
    assert failed["error"]["type"] == "KeyError"
    assert "\\udcff" in failed["error"]["message"]
    assert "Traceback" in failed["error"]["traceback"]
    assert whole[3]["result"] == {"number": 0, "ratio": {"type": "float", "value": "NaN"}}
    assert [
        len(pages(scene.olga, f"/runs/{batch}/items", "items", **which)[0])
        for which in (
            {"status": "done"},
            {"status": "failed"},
            {"loop": "second"},
            {"loop": "second", "status": "done"},
            {"loop": "no"},
        )
    ] == [4, 3, 2, 1, 0]


def test_a_list_refuses_the_cursor_of_another(scene, batch):
    """And anything that is none."""
    cursor = scene.olga.get(f"/runs/{batch}/items", params={"limit": 1}).json()["next"]
    for path, wrong in (("items", "???"), ("items", "WzFd"), ("checkpoints", cursor), ("iterations", cursor)):
        answer = scene.olga.get(f"/runs/{batch}/{path}", params={"cursor": wrong})
        assert (answer.status_code, answer.json()["title"]) == (422, "invalid request")


def test_failures_are_counted_together(scene, batch):
    """For everybody who signed in."""
    document = scene.vera.get(f"/runs/{batch}/failures").json()
    assert document["total"] == 3
    assert [(group["type"], group["count"]) for group in document["groups"]] == [("ValueError", 2), ("KeyError", 1)]
    assert document["groups"][0]["example"] in {"'1'", "'3'"}


def test_contents_are_of_the_owner_and_of_admins(scene, batch):
    """Others see that they are there."""
    for path in ("items",):
        assert scene.vera.get(f"/runs/{batch}/{path}").status_code == 403
        assert scene.ada.get(f"/runs/{batch}/{path}").status_code == 200
    for path in ("failures", "checkpoints", "iterations", "metrics", "timeline"):
        assert scene.vera.get(f"/runs/{batch}/{path}").status_code == 200
        assert scene.anybody.get(f"/runs/{batch}/{path}").status_code == 401
        assert scene.vera.get(f"/runs/nothing/{path}").status_code == 404


# -- sessions ----------------------------------------------------------------------------------------------------

STEPS = 2000


@pytest.fixture
def session(scene):
    """A training run of olga's, entered twice: a spike and a NaN among 2,000 steps, and three iterations."""
    for entry in range(2):
        with acting("olga"), scene.store.run("resnet") as run:
            for step in run.steps(STEPS // 2 * (entry + 1)):
                loss = 1e9 if step == 789 else float("nan") if step == 1567 else 1 / (step + 1)
                run.log(loss=loss, lr=0.1)
            if entry:
                for number in range(1, 4):
                    error = ValueError("bad \udcff") if number == 2 else None
                    run.session.iteration(number, metrics={"accuracy": number / 4}, error=error)
                    run.checkpoint(force=True)
    return scene.store.find("resnet").id


def test_curves_keep_their_spikes(scene, session):
    """Of 2,000 points 60 are left; the highest, the one that is no number, the first and the last among them."""
    document = scene.vera.get(f"/runs/{session}/metrics", params={"points": 60}).json()
    by_name = {series["name"]: series for series in document["series"]}
    loss = by_name["loss"]
    points = dict(zip(loss["steps"], loss["values"], strict=True))
    assert loss["thinned"]
    assert len(loss["steps"]) == len(loss["values"]) <= 60
    assert loss["steps"] == sorted(loss["steps"])
    assert points[789] == 1e9
    assert points[1567] is None
    assert {loss["steps"][0], loss["steps"][-1]} == {0, STEPS - 1}
    accuracy = by_name["accuracy"]
    assert (accuracy["source"], accuracy["steps"], accuracy["values"]) == ("iteration", [1, 2, 3], [0.25, 0.5, 0.75])
    assert not accuracy["thinned"]
    first, second = document["entries"]
    assert (first["step"], second["step"], second["iteration"]) == (0, STEPS // 2, 1)
    assert first["at"] < second["at"]
    only = scene.vera.get(f"/runs/{session}/metrics", params={"name": "lr"}).json()
    assert [series["name"] for series in only["series"]] == ["lr"]


def test_iterations_come_by_the_page(scene, session):
    """The highest number first; of an error others see all but the traceback."""
    numbers = [
        [one["number"] for one in page]
        for page in pages(scene.vera, f"/runs/{session}/iterations", "iterations", limit=2)
    ]
    assert numbers == [[3, 2], [1]]
    mine, others = (who.get(f"/runs/{session}/iterations").json()["iterations"][1] for who in (scene.olga, scene.vera))
    assert mine["error"]["type"] == others["error"]["type"] == "ValueError"
    assert (bool(mine["error"]["traceback"]), others["error"]["traceback"]) == (True, None)


# -- its life ----------------------------------------------------------------------------------------------------

KILLED = """
    import sys, time, waycairn as wc
    with wc.open(sys.argv[1]).run("nightly") as run:
        state = run.state({"at": 0})
        for item in run.each(range(1000)):
            state["at"] = item
            if item < 3:
                run.checkpoint("milestone")
            if item == int(sys.argv[2]):
                print("there", flush=True)
            if item >= int(sys.argv[2]):
                time.sleep(0.05)
"""


def entered(scene, stop_at, number):
    """A process that works on it, and is sent a signal at some item."""
    argv = [sys.executable, "-c", textwrap.dedent(KILLED), scene.store.url, str(stop_at)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "there\n"
    os.kill(process.pid, number)
    process.wait(30)
    process.stdout.close()
    return process.pid


def test_the_life_of_a_run(scene):
    """Killed, stopped by a signal, discarded: each entry with how it ended, and who did what."""
    first = entered(scene, 3, signal.SIGKILL)
    run = scene.store.find("nightly")
    alone = scene.vera.get(f"/runs/{run.id}/timeline").json()["attempts"]
    assert [(one["owner"]["pid"], one["end"], one["commits"]) for one in alone] == [(first, "orphaned", run.sequence)]
    document = scene.ada.get(f"/runs/{run.id}").json()
    assert (document["status"], document["owner"]["pid"], document["owner"]["alive"]) == ("orphaned", first, False)
    assert document["launch"] == {"argv": list(run.launch.argv), "directory": run.launch.directory}
    assert scene.vera.get(f"/runs/{run.id}").json()["launch"] is None
    second = entered(scene, 5, signal.SIGTERM)
    scene.store.discard(run.id)
    document = scene.vera.get(f"/runs/{run.id}/timeline").json()
    newest, oldest = document["attempts"]
    assert (oldest["owner"]["pid"], oldest["end"], oldest["ended"]) == (first, "orphaned", alone[0]["ended"])
    assert (newest["owner"]["pid"], newest["end"], newest["epoch"]) == (second, "interrupted", 2)
    assert oldest["begun"] <= oldest["ended"] <= newest["begun"] <= newest["ended"]
    assert oldest["commits"] + newest["commits"] == scene.store.find(run.id).sequence
    whats = [event["what"] for event in document["events"]]
    assert [what for what in whats if what != "checkpoint"] == [
        "run.discard",
        "left",
        "resumed",
        "orphaned",
        "entered",
        "begun",
    ]
    assert document["events"] == sorted(document["events"], key=lambda event: -event["at"])
    assert any("because of a signal" in event["text"] for event in document["events"])


def test_a_forced_takeover_and_a_fork_are_told(scene):
    """The one who was displaced, and who did it; the fork says where it comes from."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), scene.store.url, "2"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "there\n"
        with acting("ada"):
            scene.store.takeover("nightly")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    run = scene.store.find("nightly")
    document = scene.vera.get(f"/runs/{run.id}/timeline").json()
    [attempt] = document["attempts"]
    assert attempt["end"] == "displaced"
    act = next(event for event in document["events"] if event["what"] == "run.takeover")
    assert act["actor"].startswith("ada ")
    state = scene.store.checkpoints(run.id, role="state")[0]
    fork = scene.store.fork(run.id, state.id, "twin")
    events = scene.vera.get(f"/runs/{fork.id}/timeline").json()["events"]
    assert f"forked from {state.id}" in [event["text"] for event in events]
    with scene.store.run("twin"):
        document = scene.vera.get(f"/runs/{fork.id}/timeline").json()
        [attempt] = document["attempts"]
        assert (attempt["end"], attempt["ended"], attempt["seconds"]) == (None, None, None)
    assert scene.vera.get(f"/runs/{fork.id}/timeline").json()["attempts"][0]["end"] == "completed"


def test_a_phase_shows_who_held_its_root(scene):
    """A phase is not entered by itself."""
    with scene.store.run("pipeline") as run:
        run.phase("clean", lambda phase: [None for _ in phase.each(range(3))])
    phase = scene.store.phases("pipeline")[0]
    [attempt] = scene.vera.get(f"/runs/{phase.id}/timeline").json()["attempts"]
    assert (attempt["owner"]["pid"], attempt["commits"], attempt["end"]) == (os.getpid(), None, "completed")


# -- one run -----------------------------------------------------------------------------------------------------


def test_a_run_with_all_that_is_below_it(scene, tmp_path, monkeypatch):
    """Phases at any depth, loops, counts; command, traceback and files only for who may touch it."""
    monkeypatch.chdir(tmp_path)

    def inner(phase):
        phase.step("fetch", int, "7")
        return [None for _ in phase.each(range(3))]

    launch = {"fingerprint": {"model": "m-7"}, "tags": ["x"], "metadata": {"n": 1}}
    with acting("olga"), pytest.raises(ZeroDivisionError), scene.store.run("pipeline", **launch) as run:
        run.output("out.txt", append=True).write("abc")
        run.phase("outer", lambda phase: phase.phase("inner", inner))
        run.step("one", int, "1")
        run.checkpoint("milestone")
        1 / 0  # noqa: B018
    id_ = scene.store.find("pipeline").id
    mine, others = (who.get(f"/runs/{id_}").json() for who in (scene.olga, scene.vera))
    assert (mine["status"], mine["fingerprint"], mine["metadata"]) == ("failed", {"model": "m-7"}, {"n": 1})
    assert [phase["name"] for phase in mine["phases"]] == ["outer", "inner"]
    assert (mine["checkpoints"], mine["steps"], mine["account"]) == (len(scene.store.checkpoints(id_)), 1, "olga")
    assert (mine["may_touch"], others["may_touch"]) == (True, False)
    assert mine["outputs"] == [{"path": "out.txt", "length": 3}]
    assert "Traceback" in mine["error"]["traceback"]
    assert (others["outputs"], others["launch"], others["error"]["traceback"]) == (None, None, None)
    assert others["error"]["type"] == mine["error"]["type"] == "ZeroDivisionError"
    inner_id = mine["phases"][1]["id"]
    phase = scene.vera.get(f"/runs/{inner_id}").json()
    assert (phase["loops"], phase["steps"], phase["phases"]) == ({"items": 3}, 1, [])
    assert [one["name"] for one in scene.vera.get(f"/runs/{mine['phases'][0]['id']}").json()["phases"]] == ["inner"]
    assert scene.vera.get("/runs/nothing").status_code == 404
    assert scene.anybody.get(f"/runs/{id_}").status_code == 401


def test_over_postgresql(postgres_schema, tmp_path):
    """The same, and a name that PostgreSQL cannot even be asked for is not found."""
    with open_store(postgres_schema, packs=tmp_path / "packs") as store:
        add_people(store)
        with TestClient(create_app(store), base_url=BASE) as http:
            scene = Scene(store, http)
            run = scene.run_of("olga", ends=False)
            whole = scene.olga.get(f"/runs/{run}").json()
            assert (whole["status"], whole["loops"], whole["may_touch"]) == ("failed", {"items": 2}, True)
            split = pages(scene.olga, f"/runs/{run}/items", "items", limit=1)
            assert [item["key"] for page in split for item in page] == ["0", "1"]
            [attempt] = scene.vera.get(f"/runs/{run}/timeline").json()["attempts"]
            assert (attempt["end"], attempt["commits"]) == ("failed", whole["sequence"])
            for path in ("/runs/a%00b", "/runs/a%00b/items", "/checkpoints/a%00b.1"):
                assert scene.ada.get(path).status_code == 404
