"""Signing in and out by a password, and the cookie that stands for it."""

import re
from http.cookies import SimpleCookie

import pytest

from serving import PASSWORDS, a_scene, cookie_for, cookie_name, headers_of_cookie
from waycairn.model.accounts import Role
from waycairn.server.doorkeeper import CSRF
from waycairn.server.limiting import Limit
from waycairn.server.serving import Options


def _sign_in(scene, name="ada", password=None, **more):
    return scene.anybody.post("/session", json={"name": name, "password": password or PASSWORDS[name]}, **more)


def _cookie(answer):
    (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
    return cookie


def _audit(scene, act):
    return [row.entry for row in scene.store.core.catalog.audit_after(0) if row.entry.act == act]


def test_a_password_signs_in(scene):
    """The answer says who, and what changes something carries; the cookie comes back by itself."""
    answer = _sign_in(scene)
    assert answer.status_code == 200, answer.text
    session = answer.json()
    assert session["account"] == {"name": "ada", "role": "admin"}
    assert session["store"]["id"] == scene.store.core.catalog.info.id
    headers = {"Cookie": f"{_cookie(answer).key}={_cookie(answer).value}"}
    assert scene.anybody.get("/session", headers=headers).json() == session
    assert scene.anybody.delete("/session", headers=headers | {CSRF: session["csrf"]}).status_code == 204
    assert scene.anybody.get("/session", headers=headers).status_code == 401
    assert [(one.actor.split()[0], one.act) for one in _audit(scene, "logout")] == [("ada", "logout")]


def test_the_cookie_is_shown_to_no_script_and_no_other_site(scene):
    """And kept for thirty days at most."""
    cookie = _cookie(_sign_in(scene))
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert (cookie["max-age"], cookie["secure"], cookie["domain"]) == ("2592000", "", "")


def test_behind_https_the_cookie_takes_no_other_way(tmp_path):
    """And browsers are told to use nothing else."""
    with a_scene(tmp_path, Options(secure=True)) as scene:
        answer = _sign_in(scene)
        assert _cookie(answer)["secure"] is True
        assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_what_does_not_fit_is_told_alike(scene):
    """Unknown, wrong and disabled: the same answer, and the log has no password and no name that may be one."""
    scene.store.accounts.change("vera", disabled=True)
    answers = [
        _sign_in(scene, "ada", "not hers, certainly"),
        _sign_in(scene, "hunter2-is-mine", "whatever it may be"),
        _sign_in(scene, "vera"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    failed = _audit(scene, "login")
    assert [(one.object, one.outcome, one.facts["why"]) for one in failed] == [
        ("ada", "refused", "wrong password"),
        (None, "refused", "no such account"),
        ("vera", "refused", "disabled"),
    ]
    written = str(failed)
    assert not re.search("hunter2|certainly|whatever|walks", written)


def test_a_name_can_be_tried_so_often(scene):
    """Then not even the right password helps, for a while; another name is another matter."""
    for _ in range(10):
        assert _sign_in(scene, "ada", "not hers, certainly").status_code == 401
    refused = _sign_in(scene)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 300
    assert _sign_in(scene, "olga").status_code == 200


def test_an_address_can_try_so_often(scene):
    """Whatever the names are; what succeeds between buys no more tries."""
    admission = scene.app.state.serving.admission
    admission._addresses = Limit(4, 300, scene.store.core.clock.monotonic)
    assert [_sign_in(scene, f"nobody{number}", "whatever it is").status_code for number in range(3)] == [401] * 3
    assert _sign_in(scene, "olga").status_code == 200
    assert _sign_in(scene, "olga").status_code == 429


def test_tries_are_counted_for_a_time_and_in_bounds():
    """Each one counts until its time is over; of very many keys the oldest are forgotten."""
    now = [0.0]
    limit = Limit(2, 10, lambda: now[0])
    assert [limit.take("a"), limit.take("a")] == [0, 0]
    now[0] = 4.0
    assert (limit.take("a"), limit.take("b")) == (6, 0)
    now[0] = 10.0
    assert limit.take("a") == 0
    for number in range(20_000):
        limit.take(str(number))
    assert len(limit._tries) == 10_000


def test_a_login_ends_when_it_is_not_used(tmp_path):
    """After the time of the settings, counted from its last use and from its beginning."""
    with a_scene(tmp_path, server={"login_idle": "1h", "login_longest": "2h"}) as scene:
        accounts, catalog = scene.store.accounts, scene.store.core.catalog
        login, secret = accounts.sign_in(accounts.get("ada"))
        assert login.expires == pytest.approx(login.created + 3600)
        assert accounts.expiry(login.created, login.created + 3000) == pytest.approx(login.created + 6600)
        assert accounts.expiry(login.created, login.created + 7000) == pytest.approx(login.created + 7200)
        headers = headers_of_cookie(scene.store, secret)
        catalog.use_login(login.digest, login.created + 61, login.created)
        assert scene.anybody.get("/session", headers=headers).status_code == 401


def test_a_use_makes_a_login_last_longer(scene):
    """Written down once a minute at most."""
    accounts, catalog = scene.store.accounts, scene.store.core.catalog
    login, secret = accounts.sign_in(accounts.get("ada"))
    catalog.use_login(login.digest, login.created + 61, login.created + 1000)
    before = catalog.find_login(login.digest)
    assert before.expires == pytest.approx(login.created + 1000)
    answer = scene.anybody.get("/session", headers=headers_of_cookie(scene.store, secret))
    assert answer.json()["expires"] == pytest.approx(before.expires)
    assert catalog.find_login(login.digest) == before


def test_another_password_ends_other_logins(scene):
    """Not the one that changed it; the old password fits no more."""
    other, mine = scene.browser("ada"), scene.browser("ada")
    change = {"old": PASSWORDS["ada"], "new": "a new one, longer"}
    assert mine.put("/session/password", json=change | {"old": "wrong, I know"}).status_code == 409
    assert mine.put("/session/password", json=change | {"new": "too short"}).status_code == 422
    assert other.get("/session").status_code == 200
    assert mine.put("/session/password", json=change).status_code == 204
    assert (mine.get("/session").status_code, other.get("/session").status_code) == (200, 401)
    assert _sign_in(scene).status_code == 401
    assert _sign_in(scene, "ada", "a new one, longer").status_code == 200
    assert [one.facts for one in _audit(scene, "account.change")] == [{"password": "changed"}]
    assert "a new one" not in str(list(scene.store.core.catalog.audit_after(0)))


def test_signing_in_again_ends_the_login_before(scene):
    """The browser has one login."""
    first = cookie_for(scene.store, "ada")
    again = _sign_in(scene, headers={"Cookie": f"{cookie_name(scene.store)}={first}"})
    assert again.status_code == 200
    assert scene.anybody.get("/session", headers=headers_of_cookie(scene.store, first)).status_code == 401


FORGED = [
    ({}, 204),
    ({"Origin": "http://127.0.0.1"}, 204),
    ({CSRF: ""}, 403),
    ({CSRF: "0" * 64}, 403),
    ({"Origin": "http://127.0.0.1.evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:9999"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 204),
]


def test_other_sites_can_do_nothing(scene):
    """What a browser sends by itself is not enough for anything that changes something."""
    for headers, code in FORGED:
        browser = scene.browser("ada")
        assert browser.delete("/session", headers=headers).status_code == code, headers
        assert browser.get("/session").status_code == (401 if code == 204 else 200)


def test_other_sites_can_sign_nobody_in(scene):
    """Not even as somebody else, which would have people work in the account of an attacker."""
    assert _sign_in(scene, headers={"Origin": "https://evil.example"}).status_code == 403
    assert _sign_in(scene, headers={"Origin": "http://127.0.0.1"}).status_code == 200


def test_a_name_that_was_allowed_is_ours(tmp_path):
    """Behind a proxy that says another host than the browser."""
    with a_scene(tmp_path, Options(hosts=("jobs.example",))) as scene:
        assert _sign_in(scene, headers={"Origin": "https://jobs.example"}).status_code == 200
        assert _sign_in(scene, headers={"Origin": "https://other.example"}).status_code == 403


def test_a_token_is_no_login(scene):
    """It has no CSRF word, and signs no browser out."""
    session = scene.token("ada", Role.VIEWER).get("/session").json()
    assert (session["account"], session["csrf"]) == ({"name": "ada", "role": "viewer"}, None)
    assert scene.ada.delete("/session").status_code == 409


def test_two_stores_of_one_host_do_not_sign_each_other_out(scene, tmp_path):
    """Browsers do not tell ports apart: the names of the cookies differ."""
    with a_scene(tmp_path / "other") as other:
        assert cookie_name(other.store) != cookie_name(scene.store)
        assert _cookie(_sign_in(other)).key == cookie_name(other.store)
