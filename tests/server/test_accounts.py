"""Accounts and tokens by the API, and what the audit log says of it."""

import asyncio

import pytest
from fastapi import Request

from serving import PASSWORDS, headers_of_token
from waycairn.model.accounts import Role
from waycairn.process import current_account
from waycairn.server.routes.events import heard


@pytest.fixture
def acts(scene):
    """The audit log so far: act, object, outcome, and the account that did it."""

    def read():
        rows = [row.entry for row in scene.store.core.catalog.audit_after(0)]
        return [(one.act, one.object, one.outcome.value, one.actor.split()[0]) for one in rows][1:]

    return read


def _account(scene, name):
    return next(one for one in scene.ada.get("/accounts").json()["accounts"] if one["name"] == name)


def test_an_account_from_its_making_to_its_end(scene, acts):
    """It signs in with its password, changes its role, is disabled with its tokens, and goes."""
    made = scene.ada.post("/accounts", json={"name": "nora", "role": "viewer", "password": "nora likes tea"})
    assert made.status_code == 201
    created = made.json()
    assert created == _account(scene, "nora")
    facts = {"name": "nora", "role": "viewer", "has_password": True, "tokens": 0, "disabled": None, "seen": None}
    assert {name: created[name] for name in facts} == facts
    assert scene.ada.post("/accounts", json={"name": "nora", "role": "admin"}).status_code == 409
    signed = scene.anybody.post("/session", json={"name": "nora", "password": "nora likes tea"})
    assert signed.status_code == 200
    program, browser = scene.token("nora"), scene.browser("nora")
    assert scene.ada.patch("/accounts/nora", json={"role": "operator"}).json()["role"] == "operator"
    assert browser.get("/session").json()["account"]["role"] == "operator"
    assert program.get("/session").json()["account"]["role"] == "viewer"  # as its scope was
    assert scene.ada.patch("/accounts/nora", json={"disabled": True}).json()["disabled"] is not None
    assert (browser.get("/session").status_code, program.get("/session").status_code) == (401, 401)
    assert scene.ada.patch("/accounts/nora", json={"disabled": False}).json()["disabled"] is None
    assert (browser.get("/session").status_code, program.get("/session").status_code) == (401, 200)
    assert _account(scene, "nora")["tokens"] == 1
    assert scene.ada.delete("/accounts/nora").status_code == 204
    assert program.get("/session").status_code == 401
    assert scene.ada.delete("/accounts/nora").status_code == 404
    assert [act for act in acts() if act[1] == "nora"] == [
        ("account.add", "nora", "done", "ada"),
        ("account.add", "nora", "refused", "ada"),
        ("login", "nora", "done", "nora"),
        ("account.change", "nora", "done", "ada"),
        ("account.change", "nora", "done", "ada"),
        ("account.change", "nora", "done", "ada"),
        ("account.remove", "nora", "done", "ada"),
    ]


def test_a_password_that_an_admin_gives_ends_all_logins(scene):
    """But the admin's own, in the browser where it is given."""
    theirs, mine, other = scene.browser("vera"), scene.browser("ada"), scene.browser("ada")
    assert mine.patch("/accounts/vera", json={"password": "another for vera"}).status_code == 200
    assert theirs.get("/session").status_code == 401
    assert mine.patch("/accounts/ada", json={"password": "another for ada"}).status_code == 200
    assert (mine.get("/session").status_code, other.get("/session").status_code) == (200, 401)


def test_the_last_admin_stays(scene, acts):
    """Whatever is tried, and by whom."""
    for change in ({"role": "viewer"}, {"disabled": True}, {"role": "operator", "disabled": True}):
        answer = scene.ada.patch("/accounts/ada", json=change)
        assert (answer.status_code, answer.json()["title"]) == (409, "LastAdmin")
    assert scene.ada.delete("/accounts/ada").status_code == 409
    assert scene.ada.patch("/accounts/ada", json={"disabled": False, "role": "admin"}).status_code == 200
    assert {act[2] for act in acts()} == {"refused"}
    scene.ada.patch("/accounts/olga", json={"role": "admin"})
    assert scene.ada.delete("/accounts/ada").status_code == 204
    assert scene.olga.delete("/accounts/olga").status_code == 403  # by a token that is an operator's still


NO_ACCOUNTS = [
    {"name": "", "role": "viewer"},
    {"name": "a/b", "role": "viewer"},
    {"name": "../ada", "role": "viewer"},
    {"name": "two words", "role": "viewer"},
    {"name": "аda", "role": "viewer"},  # noqa: RUF001 - that is the point
    {"name": "ada\n", "role": "viewer"},
    {"name": "x" * 65, "role": "viewer"},
    {"name": "nora", "role": "root"},
    {"name": "nora", "role": "viewer", "password": "123456789"},
    {"name": "nora", "role": "viewer", "password": "x" * 1001},
    {"name": "nora", "role": "viewer", "admin": True},
    {"name": "nora"},
]


def test_what_is_no_account_is_not_made(scene):
    """Names stand in addresses, and two that look alike are mistaken for each other."""
    for given in NO_ACCOUNTS:
        answer = scene.ada.post("/accounts", json=given)
        assert (answer.status_code, answer.json()["title"]) == (422, "invalid request"), given
    assert len(scene.ada.get("/accounts").json()["accounts"]) == 3


def test_a_token_from_its_making_to_its_end(scene, acts):
    """Its secret is shown once; it does what its scope says."""
    made = scene.olga.post("/tokens", json={"name": "report", "scopes": ["viewer"], "expires_in": 3600})
    assert made.status_code == 201
    token, secret = made.json()["token"], made.json()["secret"]
    assert secret.startswith("wct_")
    assert (token["account"], token["scopes"], token["expires"] - token["created"]) == (
        "olga",
        ["viewer"],
        pytest.approx(3600, abs=5),
    )
    headers = headers_of_token(secret)
    assert scene.anybody.get("/session", headers=headers).json()["account"] == {"name": "olga", "role": "viewer"}
    listed = scene.olga.get("/tokens").json()["tokens"]
    assert listed[0]["used"] is not None
    assert secret not in scene.olga.get("/tokens").text
    assert scene.vera.delete(f"/tokens/{token['id']}").status_code == 403
    assert scene.olga.delete(f"/tokens/{token['id']}").status_code == 204
    assert scene.anybody.get("/session", headers=headers).status_code == 401
    assert scene.olga.delete(f"/tokens/{token['id']}").status_code == 404
    assert acts() == [("token.add", "olga", "done", "olga"), ("token.remove", "olga", "done", "olga")]


def test_a_token_gives_no_more_than_who_makes_it_has(scene):
    """Neither a higher role, nor more time."""
    reader = scene.token("ada", Role.VIEWER, expires=scene.store.core.clock.now() + 100)
    for scopes in (["operator"], ["viewer", "admin"]):
        assert reader.post("/tokens", json={"name": "more", "scopes": scopes}).status_code == 422
    made = reader.post("/tokens", json={"name": "as much"}).json()["token"]
    assert made["scopes"] == ["viewer"]
    assert made["expires"] == pytest.approx(scene.store.core.clock.now() + 100, abs=5)
    longer = reader.post("/tokens", json={"name": "longer", "expires_in": 86400}).json()["token"]
    assert longer["expires"] == pytest.approx(made["expires"])
    assert reader.get("/accounts").status_code == 403


def test_tokens_of_others_are_for_admins(scene):
    """To see, and to revoke."""
    mine = {one["account"] for one in scene.vera.get("/tokens").json()["tokens"]}
    assert mine == {"vera"}
    assert scene.vera.get("/tokens?account=vera").status_code == 200
    for asked in ("olga", "all"):
        assert scene.vera.get(f"/tokens?account={asked}").status_code == 403
        assert scene.token("ada", Role.OPERATOR).get(f"/tokens?account={asked}").status_code == 403
    everybody = scene.ada.get("/tokens?account=all").json()["tokens"]
    assert {one["account"] for one in everybody} == {"ada", "olga", "vera"}
    assert scene.ada.get("/tokens?account=nobody").status_code == 404
    theirs = next(one for one in everybody if one["account"] == "vera")
    assert scene.ada.delete(f"/tokens/{theirs['id']}").status_code == 204
    assert scene.vera.get("/session").status_code == 401


def test_roles_say_what_they_may(scene):
    """In their order."""
    roles = scene.vera.get("/roles").json()["roles"]
    assert [one["role"] for one in roles] == ["viewer", "operator", "admin"]
    assert all(one["may"] for one in roles)


def test_an_account_owns_what_the_user_of_its_name_made(scene):
    """Without a server a run belongs to the user of the operating system: an account of that name may act on it."""
    with scene.store.run("by hand") as run:
        for _ in run.each(range(2)):
            pass
    user = current_account()
    found = scene.store.find("by hand")
    assert found.account == user
    scene.store.accounts.add(user, Role.OPERATOR)
    assert scene.app.state.serving.owners["run"](found.id) == user
    job = scene.app.state.serving.jobs.start("test", found.id, found.account, lambda _: {})
    assert scene.token(user).get(f"/jobs/{job.id}").status_code == 200
    assert scene.olga.get(f"/jobs/{job.id}").status_code == 403


def test_setting_up_is_over_once_there_is_an_account(scene):
    """Whatever the secret."""
    assert scene.anybody.get("/setup").json() == {"needed": False}
    assert scene.app.state.serving.setup.begin() is None
    given = {"secret": "x" * 43, "name": "eve", "password": PASSWORDS["ada"]}
    assert scene.anybody.post("/setup", json=given).status_code == 403


def test_a_disabled_account_hears_no_more(scene):
    """The stream of events of one who was let in ends when that is over; of jobs it has its own."""

    async def story():
        hub = scene.app.state.serving.hub
        hub.begin()
        request = _request(scene.app, scene.olga.headers)
        caller = scene.app.state.serving.doorkeeper.recognise(request)
        events = heard(request, caller, pause=0.05)
        assert b"hello" in await anext(events)
        for owner in ("vera", "olga"):
            hub.publish("job", {"of": owner}, owner)
        assert b"olga" in await anext(events)
        assert b"still here" in await anext(events)
        scene.store.accounts.change("olga", disabled=True)
        return [message async for message in events]

    assert all(b"still here" in message for message in asyncio.run(story()))


def _request(app, headers):
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "app": app})
