"""Looking after a store whose catalog is a database server."""

import os

import pytest
from fastapi.testclient import TestClient

from care_case import noise
from serving import BASE, Scene, add_people, ended
from waycairn.process import current_account, current_actor
from waycairn.server.app import create_app
from waycairn.server.processing import command
from waycairn.settings import load
from waycairn.upkeep.launching import environment_for_jobs
from waycairn.work.store import open_store


@pytest.fixture
def scene(postgres_schema, tmp_path):
    """As elsewhere, over PostgreSQL, with packs where nobody would look for them."""
    with open_store(postgres_schema, packs=tmp_path / "elsewhere") as store:
        add_people(store)
        with TestClient(create_app(store), base_url=BASE) as http:
            yield Scene(store, http)


def test_all_of_it(scene):
    """What is shown, what would be done, what is done, and what the audit log has of it."""
    for number in range(3):
        scene.store.save("value", noise(number), keep=1)
    assert scene.vera.get("/stats").json()["catalog_bytes"] is None
    assert scene.vera.get("/health").json()["status"] == "healthy"
    (today,) = scene.vera.get("/growth").json()["days"]
    assert today["saves"] == 3
    would = scene.ada.post("/sweep", json={"grace": 0}).json()
    assert would["packs"] >= 1
    done = ended(scene.ada, scene.ada.post("/sweep", json={"dry_run": False, "grace": 0}))
    assert done["result"]["packs"] == would["packs"]
    checked = ended(scene.ada, scene.ada.post("/verify"))
    assert checked["result"]["damaged"] == []
    found = scene.ada.get("/audit?actor=ada&outcome=done").json()["rows"]
    assert [row["act"] for row in found] == ["verify", "sweep"]
    assert scene.ada.get("/audit/verify").json()["fits"] is True
    assert scene.vera.get("/streams").json()["streams"] == []


def test_a_process_finds_the_store(scene, tmp_path, monkeypatch):
    """The one that the server serves, whatever the environment says else; and its runs belong to who asked."""
    monkeypatch.setenv("WAYCAIRN_STORE", str(tmp_path / "another"))
    core = scene.store.core
    environment = command(core, "any", "olga").environment(environment_for_jobs(core, os.environ))
    with open_store(settings=load(environment=environment).settings, create=False) as found:
        assert found.core.catalog.info.id == scene.store.core.catalog.info.id
        assert found.core.blobs.folders(()) == [tmp_path / "elsewhere"]
    monkeypatch.setenv("WAYCAIRN_ACCOUNT", environment["WAYCAIRN_ACCOUNT"])
    assert current_account() == "olga"
    assert current_actor().startswith("olga (")
