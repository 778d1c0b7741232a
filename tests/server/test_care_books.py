"""The audit log and the settings by the API."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from serving import a_scene
from waycairn.errors import RunIsHeld
from waycairn.process import acting

URL = "https://ada:hunter2@hooks.example/x"


@pytest.fixture
def filled(scene):
    """Acts of two people: three runs were given up, and one is not because somebody works in it."""
    for actor, name in (("olga", "one"), ("ada", "two"), ("ada", "three")):
        run = scene.run_of("olga", name, ends=False)
        with acting(actor):
            scene.store.discard(run)
    with scene.store.run("held"), acting("olga"), pytest.raises(RunIsHeld):
        scene.store.discard("held")
    return scene


def rows(client, **question):
    answer = client.get("/audit", params=question)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def test_filters(filled):
    """Each narrows by itself, and together; the newest is first."""
    everything = rows(filled.ada)
    assert [one["number"] for one in everything] == [5, 4, 3, 2, 1]
    assert [one["act"] for one in everything] == ["run.discard"] * 4 + ["store.create"]
    middle = everything[2]
    for question, found in (
        ({"act": "run"}, [5, 4, 3, 2]),
        ({"act": "run.discard", "actor": "ada"}, [4, 3]),
        ({"actor": "olga"}, [5, 2]),
        ({"actor": "olg"}, []),
        ({"outcome": "refused"}, [5]),
        ({"object": middle["object"]}, [3]),
        ({"since": middle["at"]}, [5, 4, 3]),
        ({"until": middle["at"]}, [2, 1]),
        ({"since": middle["at"], "actor": "olga", "outcome": "done"}, []),
    ):
        assert [one["number"] for one in rows(filled.ada, **question)] == found, question
    assert middle["facts"]["name"] == "two"
    assert middle["actor"].startswith("ada (")


def test_pages(filled):
    """Each row once, also while others are written; the last page says that it is the last."""
    seen, cursor = [], None
    while True:
        page = filled.ada.get(
            "/audit", params={"act": "run", "limit": 2, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [one["number"] for one in page["rows"]]
        filled.ada.post("/verify")
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2]


def test_who_may_read_it(filled):
    """Admins; and what is asked is checked."""
    for path in ("/audit", "/audit/verify", "/settings"):
        assert filled.olga.get(path).status_code == 403
        assert filled.anybody.get(path).status_code == 401
    for question in ("limit=0", "limit=501", "outcome=lost", "since=soon", "since=nan", "cursor=x", "cursor=WyJhIl0"):
        assert filled.ada.get(f"/audit?{question}").status_code == 422, question
    assert filled.ada.get("/audit/verify?anchor=1").status_code == 422


def test_tampering_is_shown(filled):
    """By the number of the row; an anchor that was kept shows a log that was written anew."""
    checked = filled.ada.get("/audit/verify").json()
    assert (checked["fits"], checked["rows"], checked["misfits"]) == (True, 5, [])
    assert filled.ada.get("/audit/verify", params={"anchor": checked["anchor"]}).json()["fits"] is True
    assert filled.ada.get("/audit/verify", params={"anchor": f"5:{'ab' * 32}"}).json()["fits"] is False
    with closing(sqlite3.connect(Path(filled.store.url, "catalog.db"))) as database, database:
        database.execute("UPDATE audit SET actor = 'eve' WHERE number = 3")
        database.execute("UPDATE audit SET facts = '{' WHERE number = 4")
    checked = filled.ada.get("/audit/verify").json()
    assert (checked["fits"], [one["number"] for one in checked["misfits"]]) == (False, [3, 4])
    assert {one["number"]: one["damage"] is not None for one in rows(filled.ada)}[4]
    assert rows(filled.ada, actor="eve")[0]["number"] == 3


def test_settings(tmp_path, monkeypatch):
    """All of them, as they hold in the server, with where each comes from; what is secret is not shown to admins either."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAYCAIRN_HEALTH__TREND_DAYS", "5")
    file = tmp_path / "waycairn.yaml"
    channel = {"name": "hook", "kind": "webhook", "url": URL}
    file.write_text(f"saving:\n  pace: 7s\nnotifications:\n  channels: [{json.dumps(channel)}]\n")
    with a_scene(tmp_path) as scene:
        answer = scene.ada.get("/settings")
        assert "hunter2" not in answer.text
        assert "***" in answer.text
        found = answer.json()
        assert found["file"] == str(file)
        settings = {one["key"]: one for one in found["settings"]}
        pace, days, size = (settings[key] for key in ("saving.pace", "health.trend_days", "retention.max_size"))
        assert (pace["text"], pace["origin"], pace["source"]) == ("7s", f"{file}:2:9", "file")
        assert (days["value"], days["origin"]) == (5, "WAYCAIRN_HEALTH__TREND_DAYS")
        assert (size["source"], size["value"] == size["default"]) == ("default", True)
        assert all(one["meaning"] for one in settings.values())
        file.write_text("saving:\n  pace: 8s\n")
        pace = {one["key"]: one for one in scene.ada.get("/settings").json()["settings"]}["saving.pace"]
        assert (pace["text"], pace["source"]) == ("7s", "earlier")
        file.write_text("saving:\n  pacee: 8s\n")
        answer = scene.ada.get("/settings")
        assert (answer.status_code, answer.json()["title"]) == (409, "SettingsInvalid")
