"""`waycairn serve` as a process: how it begins, what it says, how it ends."""

import signal
import time

import httpx

from commands import waycairn
from serving import PASSWORDS, served
from waycairn.work.store import open_store


def test_the_first_start_and_the_end(tmp_path):
    """From an empty directory to a first admin, by the link that works once; the end comes soon although a browser listens to
    events; and no secret is in what was said or written down."""
    with served(tmp_path / "store", "--create") as server:
        page, _, secret = server.setup.partition("#")
        assert page == f"{server.url}/setup"
        assert len(secret) >= 43
        assert httpx.get(f"{server.api}/setup").json() == {"needed": True}
        given = {"secret": secret, "name": "ada", "password": PASSWORDS["ada"]}
        for wrong in (given | {"secret": "x" * 43}, given | {"secret": ""}):
            assert httpx.post(f"{server.api}/setup", json=wrong).status_code == 403
        assert httpx.post(f"{server.api}/setup", json=given | {"password": "short"}).status_code == 422
        with httpx.Client() as browser:
            answer = browser.post(f"{server.api}/setup", json=given)
            assert answer.status_code == 201, answer.text
            assert answer.json()["account"] == {"name": "ada", "role": "admin"}
            again = given | {"name": "eve"}
            assert httpx.post(f"{server.api}/setup", json=again).status_code == 403
            csrf = {"X-Waycairn-CSRF": answer.json()["csrf"]}
            token = browser.post(f"{server.api}/tokens", json={"name": "ci"}, headers=csrf).json()["secret"]
            httpx.post(f"{server.api}/session", json={"name": "ada", "password": "guessed wrongly"})
            secrets = [secret, PASSWORDS["ada"], "guessed wrongly", token, *browser.cookies.values(), *csrf.values()]
            with browser.stream("GET", f"{server.api}/events") as events:
                assert next(events.iter_lines()) == "event: hello"
                began = time.monotonic()
                assert server.stop(signal.SIGTERM) == 0
                assert time.monotonic() - began < 5
    with open_store(tmp_path / "store") as store:
        rows = [row.entry for row in store.core.catalog.audit_after(0)]
    assert [(one.act, one.object, one.outcome, one.actor.split()[0]) for one in rows if one.act != "store.create"][
        :4
    ] == [
        ("account.add", "ada", "done", "ada"),
        ("login", "ada", "done", "ada"),
        ("token.add", "ada", "done", "ada"),
        ("login", "ada", "refused", rows[-1].actor.split()[0]),
    ]
    said = server.log.read_text() + str(rows)
    assert [one for one in secrets if one in said] == []


def test_another_start_gives_out_another_link(tmp_path):
    """And none, once there is an account; Ctrl-C ends it as SIGTERM does."""
    links = []
    for _ in range(2):
        with served(tmp_path / "store", "--create", "--no-upkeep") as server:
            links.append(server.setup.partition("#")[2])
            given = {"secret": links[0], "name": "eve", "password": "long enough, eve"}
            if len(links) == 2:
                assert httpx.post(f"{server.api}/setup", json=given).status_code == 403
                waycairn("user", "add", "ada", "--no-password", "--store", tmp_path / "store", at=tmp_path)
                given["secret"] = links[1]
                assert httpx.post(f"{server.api}/setup", json=given).status_code == 403
            assert server.stop(signal.SIGINT) == 0
    assert links[0] != links[1]
