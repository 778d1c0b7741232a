"""Acts on runs: who may, what is off, and one act on many."""

import json

import pytest

from serving import a_scene
from waycairn.server.serving import Options
from waycairn.upkeep.launching import environment_for_jobs
from waycairn.work.store import open_store


def _acts(client, **asked):
    answer = client.post("/runs/acts", json=asked)
    assert answer.status_code == 200, answer.text
    return {outcome["name"]: (outcome["outcome"], outcome["status"]) for outcome in answer.json()["outcomes"]}


def _statuses(scene):
    return {run.name: run.status.value for run in scene.store.runs()}


def test_launch_is_off_unless_the_operator_allows_it(scene):
    """403 that names the option, for one and for many, also as a dry run."""
    run = scene.run_of("olga", ends=False)
    asked = {"act": "resume", "runs": [run]}
    for answer in (
        scene.olga.post(f"/runs/{run}/resume"),
        scene.olga.post("/runs/acts", json=asked),
        scene.olga.post("/runs/acts", json={**asked, "act": "retry", "dry_run": False}),
    ):
        assert (answer.status_code, answer.json()["title"]) == (403, "launch is off")
        assert "--allow-launch" in answer.json()["detail"]


def test_runs_of_others_are_not_acted_on(scene):
    """An operator is refused, a viewer as well, an admin is not; nothing happened before."""
    run = scene.run_of("ada", ends=False)
    for act in ("resume", "discard", "cancel", "takeover"):
        assert scene.olga.post(f"/runs/{run}/{act}").status_code == 403
        assert scene.vera.post(f"/runs/{run}/{act}").status_code == 403
        assert scene.olga.post(f"/runs/nothing/{act}").status_code == 404
    assert _acts(scene.olga, act="discard", runs=[run], dry_run=False) == {"job": ("refused", "failed")}
    assert _statuses(scene) == {"job": "failed"}
    assert scene.ada.post(f"/runs/{run}/discard").json()["status"] == "discarded"


def test_a_dry_run_changes_nothing_and_says_what_would_be(scene):
    """By filter, and by default; then the same in earnest."""
    for name, owner, ends in (("a", "olga", False), ("b", "olga", True), ("c", "ada", False), ("d", "olga", False)):
        scene.run_of(owner, name, ends=ends)
    held = scene.store.start("e")
    before = _statuses(scene)
    audited = len(list(scene.store.core.catalog.audit_after(0)))
    expected = {
        "a": ("would", "failed"),
        "b": ("refused", "completed"),
        "c": ("refused", "failed"),
        "d": ("would", "failed"),
        "e": ("refused", "running"),
    }
    assert _acts(scene.olga, act="discard", filter={}) == expected
    assert _statuses(scene) == before
    assert len(list(scene.store.core.catalog.audit_after(0))) == audited
    done = _acts(scene.olga, act="discard", filter={"status": ["failed"], "account": "olga"}, dry_run=False)
    assert done == {"a": ("done", "discarded"), "d": ("done", "discarded")}
    assert _statuses(scene) == before | {"a": "discarded", "d": "discarded"}
    held.complete()


def test_nothing_is_chosen_by_mistake(scene):
    """Neither or both of `runs` and `filter`, an unknown act or field: 422. A run that is not there is one of the refused."""
    for asked in (
        {"act": "discard"},
        {"act": "discard", "runs": [], "filter": {}},
        {"act": "delete", "runs": []},
        {"act": "discard", "filter": {"status": ["lost"]}},
        {"act": "discard", "filter": {"nmae": "a"}},
        {"act": "discard", "runs": ["x"] * 501},
        {"act": "discard", "runs": ["\ud800"]},
        {"act": "discard", "filter": {"text": "\udfff"}},
    ):
        answer = scene.olga.post("/runs/acts", content=json.dumps(asked), headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, asked
    assert scene.olga.post("/runs/%00/discard").status_code == 404
    answer = scene.olga.post("/runs/acts", json={"act": "discard", "runs": ["nothing"]}).json()["outcomes"]
    assert [(one["run"], one["name"], one["outcome"]) for one in answer] == [("nothing", None, "refused")]


def test_the_server_does_not_cancel_itself(scene):
    """A run that this process works on: SIGTERM would end the server."""
    held = scene.store.start("mine")
    answer = scene.ada.post(f"/runs/{held.id}/cancel")
    assert (answer.status_code, answer.json()["title"]) == (409, "CannotCancel")
    assert _acts(scene.ada, act="cancel", filter={}) == {"mine": ("refused", "running")}
    held.complete()


@pytest.fixture
def launching(tmp_path):
    """A scene whose server may start commands."""
    with a_scene(tmp_path, Options(allow_launch=True)) as found:
        yield found


def test_many_are_resumed_and_retried(launching):
    """As a dry run each is told with its command, with failed items where they are tried once more."""
    ids = [launching.run_of("olga", name, ends=False) for name in ("a", "b")]
    launching.run_of("olga", "c")
    answer = launching.olga.post("/runs/acts", json={"act": "retry", "filter": {}}).json()["outcomes"]
    told = {one["run"]: (one["outcome"], "WAYCAIRN_RETRY_FAILED=1" in one["detail"]) for one in answer}
    assert {run: told[run] for run in ids} == dict.fromkeys(ids, ("would", True))
    assert [one["outcome"] for one in answer if one["name"] == "c"] == ["refused"]


def test_jobs_are_told_no_secrets(launching, tmp_path, monkeypatch):
    """What is named like a secret of ours is not handed on, nor a key, unless the store is encrypted: the job has to open it."""
    base = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "theirs",
        "WAYCAIRN_SAVING__PACE": "1s",
        "WAYCAIRN_PASSPHRASE": "x",
        "WAYCAIRN_NEW_PASSPHRASE": "x",
        "WAYCAIRN_KEY": "x",
        "WAYCAIRN_SERVER__SETUP_TOKEN": "x",
    }
    kept = {"PATH", "AWS_SECRET_ACCESS_KEY", "WAYCAIRN_SAVING__PACE", "WAYCAIRN_ACTOR"}
    assert set(environment_for_jobs(launching.store.core, base)) == kept
    monkeypatch.setenv("WAYCAIRN_PASSPHRASE", "correct horse")
    with open_store(tmp_path / "sealed", encrypt=True) as store:
        assert environment_for_jobs(store.core, base)["WAYCAIRN_PASSPHRASE"] == "correct horse"
