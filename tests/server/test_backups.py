"""Backups by REST: the three steps, what is one's own, what comes back."""

import time
from dataclasses import replace

import pytest

from backups_served import backed_up, told
from commands import waycairn
from serving import API, a_scene, add_account, ended
from waycairn.errors import RunNotFound
from waycairn.model.accounts import Role
from waycairn.process import acting


def test_a_run_is_deleted_in_three_steps_and_comes_back(scene):
    """What is asked, a backup with its progress, the label typed; and then all of it is there again, checkpoints and items."""
    run = scene.run_of("olga", items=5)
    source = {"source": {"kind": "runs", "runs": [run]}, "keep": "3d"}
    plan = scene.olga.post("/backups/plan", json=source).json()
    facts = {fact["name"]: fact["value"] for fact in plan["facts"]}
    assert (plan["step"], facts["records"], facts["records of checkpoints"]) == (1, 1, 5)
    assert scene.olga.get("/backups").json()["backups"] == [], "a plan does nothing"

    made = ended(scene.olga, scene.olga.post("/backups", json=source))
    id_ = made["result"]["backup"]
    assert (made["state"], made["kind"], made["result"]["question"]["step"]) == ("done", "backup.create", 3)
    backup = scene.vera.get(f"/backups/{id_}").json()
    assert (backup["owner"], backup["state"], backup["may_touch"]) == ("olga", "verified", False)
    assert abs(backup["expires"] - time.time() - 3 * 86400) < 60
    assert backup["next_steps"][0]["command"] == f"waycairn backup delete-source {id_}"

    refused = scene.olga.post(f"/backups/{id_}/delete-source", json={"confirm": "run"})
    assert (refused.status_code, refused.json()["title"]) == (422, "not confirmed")
    assert scene.store.find(run).id == run
    deleted = ended(scene.olga, scene.olga.post(f"/backups/{id_}/delete-source", json={"confirm": backup["label"]}))
    assert deleted["result"] == {"backup": id_, "records": 1}
    with pytest.raises(RunNotFound):
        scene.store.find(run)

    last = scene.olga.delete(f"/backups/{id_}")
    assert (last.status_code, "all that is left" in last.json()["detail"]) == (409, True)
    restored = ended(scene.olga, scene.olga.post(f"/backups/{id_}/restore", json={}))
    assert (restored["result"]["records"], restored["result"]["skipped"]) == (1, 0)
    assert (scene.store.find(run).account, len(scene.store.checkpoints(run))) == ("olga", 5)
    rows = [row.entry for row in scene.store.core.catalog.audit_after(0)]
    assert {row.actor.split()[0] for row in rows if row.act.startswith(("backup.", "run.remove"))} == {"olga"}


def test_lists_are_filtered_and_come_by_the_page(scene):
    """Nothing twice and nothing left out while others are made; the dead are seen as such."""
    mine = [told(scene.store, {f"m{number}": [b"x"]}) for number in range(5)]
    other = backed_up(scene, scene.run_of("ada", "Nightly"), scene.ada)["id"]
    row = scene.store.core.catalog.get_backup(mine[0])
    dead = replace(row, id="dead00000000", state="exporting", created=row.created - 9, label="cut off")
    scene.store.core.catalog.add_backup(dead)

    def ids(query):
        return [one["id"] for one in scene.vera.get(f"/backups?{query}").json()["backups"]]

    assert ids("") == [other, *reversed(mine), dead.id]
    assert ids("owner=ada") == ids("kind=runs") == ids("text=NIGHTLY") == [other]
    assert ids("state=interrupted") == [dead.id]
    assert ids("state=exporting") == []
    assert ids(f"state=verified&state=interrupted&text={dead.id}") == [dead.id]
    shown = scene.vera.get(f"/backups/{dead.id}").json()
    assert shown["is_interrupted"]
    assert "its process died" in shown["word"]

    found, cursor = [], ""
    while cursor is not None:
        page = scene.vera.get(f"/backups?limit=2&owner=olga{cursor and f'&cursor={cursor}'}").json()
        found += [one["id"] for one in page["backups"]]
        cursor = page["next"]
        told(scene.store, {"later": [b"y"]}, owner="olga")
    assert found == [*reversed(mine), dead.id]
    assert scene.vera.get("/backups?cursor=bm9uZQ").status_code == 422


ACTS = {
    ("get", "/members"): None,
    ("get", "/members/{name}"): None,
    ("get", "/archive"): None,
    ("head", "/members/{name}"): None,
    ("head", "/archive"): None,
    ("get", "/search"): None,
    ("post", "/delete-source"): {"confirm": "what was told"},
    ("post", "/restore"): {},
    ("post", "/verify"): None,
    ("post", "/extend"): {"keep": "1d"},
    ("post", "/pin"): None,
    ("post", "/unpin"): None,
    ("delete", ""): None,
}


def test_what_is_anothers_is_refused_on_every_route(scene):
    """Each that the server has below a backup, and nothing is changed by it; an admin is let through."""
    base = f"{API}/backups/{{backup}}"
    paths = scene.app.openapi()["paths"]
    below = {
        (method, path[len(base) :]) for path, methods in paths.items() if path.startswith(base) for method in methods
    }
    assert below - {("get", "")} == set(ACTS)
    add_account(scene.store, "otto", Role.OPERATOR)
    otto = scene.token("otto")
    id_ = told(scene.store, {"m": [b"words"]})
    before = scene.store.backup(id_).record
    for (method, path), body in ACTS.items():
        asked = f"/backups/{id_}{path.replace('{name}', 'm')}{'?text=w' if path == '/search' else ''}"
        more = {} if body is None else {"json": body}
        for who, status in ((otto, 403), (scene.vera, 403), (scene.anybody, 401)):
            answer = who.ask(method.upper(), asked, **more)
            assert answer.status_code == status, (method, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert b"words" not in answer.content
        unknown = asked.replace(id_, "nothingthere")
        assert scene.ada.ask(method.upper(), unknown, **more).status_code == 404, (method, path)
    assert scene.store.backup(id_).record == before
    assert scene.ada.get(f"/backups/{id_}/members/m").content == b"words"
    assert scene.token("olga", Role.VIEWER).post(f"/backups/{id_}/pin").status_code == 403, "a token that only looks"


def test_nothing_but_ones_own_is_backed_up(scene, tmp_path):
    """By the id of a run and nothing else: no name, no phase, no path, no address."""
    theirs, mine = scene.run_of("ada", "theirs"), scene.run_of("olga", "mine")
    of_ada = backed_up(scene, theirs, scene.ada)["id"]

    def status(source):
        plan = scene.olga.post("/backups/plan", json={"source": source})
        made = scene.olga.post("/backups", json={"source": source})
        assert plan.status_code == made.status_code, (plan.text, made.text)
        return plan.status_code

    assert status({"kind": "runs", "runs": [mine, theirs]}) == 403
    assert status({"again": of_ada}) == 403
    assert status({"kind": "runs", "runs": ["mine"]}) == 404
    assert status({"kind": "runs", "runs": [of_ada]}) == 403, "the run of a backup"
    for source in (
        {"kind": "paths", "paths": [str(tmp_path)]},
        {"kind": "runs", "runs": [mine], "store": "/etc"},
        {"again": of_ada, "to": "/etc"},
        {"kind": "runs", "runs": []},
    ):
        assert status(source) == 422
    assert (
        scene.olga.post("/backups/plan", json={"source": {"kind": "runs", "runs": [mine]}, "keep": "x"}).status_code
        == 422
    )
    assert len(scene.ada.get("/backups").json()["backups"]) == 1, "that of ada"


def test_what_was_backed_up_before_is_backed_up_again(scene, tmp_path):
    """As it is now: the path is in the store, where its owner put it."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "a").write_text("first")
    with acting("olga"), scene.store.safeguard(folder) as first:
        pass
    (folder / "b").write_text("second")
    job = ended(scene.olga, scene.olga.post("/backups", json={"source": {"again": first.id}}))
    id_ = job["result"]["backup"]
    assert scene.olga.get(f"/backups/{id_}/members/old/b").content == b"second"
    label = scene.olga.get(f"/backups/{id_}").json()["label"]
    (folder / "b").write_text("changed since")
    changed = ended(scene.olga, scene.olga.post(f"/backups/{id_}/delete-source", json={"confirm": label}))
    assert (changed["state"], changed["error"]["title"], changed["error"]["status"]) == ("failed", "SourceChanged", 409)
    assert (folder / "b").read_text() == "changed since"
    (folder / "a").unlink()
    restore = ended(scene.olga, scene.olga.post(f"/backups/{first.id}/restore", json={"only": ["old/a"]}))
    assert (restore["state"], (folder / "a").read_text()) == ("done", "first")


def test_what_fails_is_a_backup_that_failed(scene):
    """The job says why, and so does its row; nothing was deleted, and it cannot be deleted with."""
    with acting("olga"), scene.store.run("busy") as run:
        job = ended(scene.olga, scene.olga.post("/backups", json={"source": {"kind": "runs", "runs": [run.id]}}))
    assert (job["state"], job["error"]["title"], job["error"]["status"]) == ("failed", "RunIsHeld", 409)
    (row,) = scene.olga.get("/backups").json()["backups"]
    assert (row["state"], "RunIsHeld" in row["error"]) == ("failed", True)
    for path, body in (("delete-source", {"confirm": row["label"]}), ("restore", {}), ("verify", None)):
        refused = scene.olga.post(f"/backups/{row['id']}/{path}", json=body)
        assert (refused.status_code, refused.json()["title"]) == (409, "BackupError")
    assert scene.olga.get(f"/backups/{row['id']}/archive").status_code == 409
    assert scene.store.find("busy").id == run.id
    assert scene.olga.delete(f"/backups/{row['id']}").json()["state"] == "expired"


def test_what_is_gone_cannot_be_planned(scene, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    with acting("olga"), scene.store.safeguard(folder) as first:
        pass
    folder.rmdir()
    gone = scene.olga.post("/backups", json={"source": {"again": first.id}})
    assert (gone.status_code, gone.json()["title"]) == (409, "BackupError")
    assert "Nothing was" in gone.json()["detail"]


def test_somebody_elses_run_is_not_overwritten(scene):
    """By a restore of a run of that name."""
    mine = scene.run_of("olga", "nightly")
    backup = backed_up(scene, mine)
    ended(scene.olga, scene.olga.post(f"/backups/{backup['id']}/delete-source", json={"confirm": backup["label"]}))
    theirs = scene.run_of("ada", "nightly", items=1)
    refused = scene.olga.post(f"/backups/{backup['id']}/restore", json={"overwrite": True})
    assert (refused.status_code, refused.json()["title"]) == (403, "not yours")
    assert scene.store.find("nightly").id == theirs
    stopped = ended(scene.olga, scene.olga.post(f"/backups/{backup['id']}/restore", json={}))
    assert stopped["error"]["title"] == "WouldOverwrite"
    by_admin = ended(scene.ada, scene.ada.post(f"/backups/{backup['id']}/restore", json={"overwrite": True}))
    assert (by_admin["state"], scene.store.find("nightly").id) == ("done", mine)


def test_how_long_they_stay(scene):
    """Extended, pinned, given up; and those whose time is over go, after it was shown which."""
    kept, over, mine = (told(scene.store, {"m": [b"x"]}) for _ in range(3))
    assert scene.olga.post(f"/backups/{kept}/extend", json={"keep": "forever"}).json()["expires"] is None
    bad = scene.olga.post(f"/backups/{kept}/extend", json={"keep": "30 moons"})
    assert (bad.status_code, "length of time" in bad.json()["detail"]) == (422, True)
    assert scene.olga.post(f"/backups/{mine}/pin").json()["pinned"]
    assert scene.olga.delete(f"/backups/{mine}").status_code == 409
    assert not scene.olga.post(f"/backups/{mine}/unpin").json()["pinned"]
    assert scene.olga.delete(f"/backups/{mine}").json()["state"] == "expired"
    for path in ("members", "archive", "members/m"):
        assert scene.olga.get(f"/backups/{mine}/{path}").status_code == 410
    assert scene.olga.post(f"/backups/{mine}/restore", json={}).status_code == 410
    scene.store.backup(over).extend(0.0)
    for dry_run, state in ((True, "verified"), (False, "expired")):
        report = scene.ada.post("/backups/prune", json={"dry_run": dry_run}).json()
        assert (report["expired"], [(one["id"], one["state"]) for one in report["backups"]]) == (1, [(over, state)])
    assert scene.olga.post("/backups/prune", json={}).status_code == 403


def test_what_is_in_one(scene):
    """Members by the page and by a pattern, with what their source noted; and lines that hold a text."""
    id_ = told(
        scene.store, {f"t{number}.txt": [f"line\nnumber {number}\n".encode()] for number in range(5)} | {"b": [b"\0"]}
    )
    pages, cursor = [], ""
    while cursor is not None:
        page = scene.olga.get(f"/backups/{id_}/members?limit=2&glob=t*{cursor and f'&cursor={cursor}'}").json()
        pages.append([one["name"] for one in page["members"]])
        cursor = page["next"]
    assert pages == [["t0.txt", "t1.txt"], ["t2.txt", "t3.txt"], ["t4.txt"]]
    hits = scene.olga.get(f"/backups/{id_}/search", params={"text": "number 3", "members": ["t*"]}).json()["hits"]
    assert hits == [{"member": "t3.txt", "line": 2, "offset": 5, "text": "number 3"}]
    assert scene.olga.get(f"/backups/{id_}/search?text=x&members=none*").status_code == 409
    assert scene.olga.get(f"/backups/{id_}/search?text=a%0Ab").status_code == 422


def test_what_leaves_an_encrypted_store_is_asked_for_in_so_many_words(tmp_path):
    """As on the command line; and the audit log says that it lies in the clear somewhere."""
    assert waycairn("key", "file", "key", at=tmp_path).returncode == 0
    with a_scene(tmp_path, key_file=tmp_path / "key") as scene:
        id_ = told(scene.store, {"m": [b"secret words"]})
        for path in ("members/m", "archive"):
            refused = scene.olga.get(f"/backups/{id_}/{path}")
            assert (refused.status_code, refused.json()["title"]) == (409, "BackupRefused")
            assert b"secret" in scene.olga.get(f"/backups/{id_}/{path}?decrypt=true").content
        ends = [row.entry for row in scene.store.core.catalog.audit_after(0) if row.entry.act == "backup.extract"]
        assert [(one.outcome.value, one.facts.get("decrypted")) for one in ends] == [
            ("begun", None),
            ("refused", None),
            ("begun", None),
            ("done", True),
        ] * 2
