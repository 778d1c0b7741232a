"""What the other tests of the server stand on."""

import httpx

from serving import served
from waycairn.model.accounts import Role


def test_people_are_recognised(scene):
    """By token and by cookie; others are not."""
    assert scene.vera.get("/jobs").status_code == 200
    assert scene.browser("vera").get("/jobs").status_code == 200
    assert scene.anybody.get("/jobs").status_code == 401


def test_runs_belong_to_who_made_them(scene):
    """A run of an account has its name, one that was interrupted too."""
    run = scene.run_of("olga", "nightly", ends=False)
    assert scene.store.find(run).account == "olga"
    assert scene.store.find(run).status == "failed"
    assert scene.token("ada", Role.VIEWER).get("/jobs").status_code == 200


def test_a_process_serves(scene):
    """The command, its socket and its end."""
    with served(scene.store.url, "--no-upkeep") as server:
        answer = httpx.get(f"{server.api}/jobs", headers=scene.vera.headers)
        assert answer.status_code == 200, server.log.read_text()
        assert server.stop() == 0
