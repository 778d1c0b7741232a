"""Who may do what, over the whole API: every route, by everybody, with what is one's own and what is another's.

What a route does is not done here: the guard before it lets somebody through or not, and the test looks at that alone.
"""

import asyncio
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from serving import API, BASE, Client, a_scene, add_account, cookie_for, headers_of_cookie, headers_of_token, token_for
from waycairn.errors import StreamNotFound
from waycairn.model.accounts import Role
from waycairn.model.backups import BackupRecord, BackupState
from waycairn.model.ids import RunId
from waycairn.process import acting
from waycairn.server.access import Guard, Kind
from waycairn.server.problems import Problem
from waycairn.server.serving import Options

POLICY = Path(__file__).with_name("policy.txt")
THROUGH = 299
"""The answer of a guard that let somebody through."""


def _policy():
    """From "GET /api/v1/runs/{run}" to what its access is."""
    found = {}
    for line in POLICY.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            method, path, *access = line.split()
            path = path.removeprefix("^") if path.startswith("^") else API + path
            found[f"{method} {path}"] = " ".join(access)
    return found


def _words(role, on=None, own=False, open_with=None):
    """As the policy has it."""
    said = [str(role or "anybody"), *(["own"] if own else []), *([str(on)] if on else [])]
    return " ".join([*said, *([f"open-with {open_with}"] if open_with else [])])


def _document(app):
    """Of each route, as the OpenAPI document says it."""
    return {
        f"{method.upper()} {path}": said["x-access"]
        for path, methods in app.openapi()["paths"].items()
        for method, said in methods.items()
    }


def _routes(routes, prefix=""):
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield prefix + route.path, route
        else:
            yield from _routes(inner.routes, prefix + route.include_context.prefix)


@dataclass(frozen=True)
class Actor:
    """One who asks."""

    name: str
    account: str | None
    role: Role | None
    """What it may do now; None: nothing, as it is not signed in."""
    client: Client
    is_asked_of_all: bool = False
    """Of everybody's things; of others it would tell nothing more."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """One for all: nothing is changed, as no route is entered."""
    with a_scene(tmp_path_factory.mktemp("access")) as found:
        yield found


@pytest.fixture(scope="module")
def actors(scene):
    """Everybody there is, and those who are not let in any more."""
    store, now = scene.store, scene.store.core.clock.now()

    def by_token(account, *scopes, expires=None):
        return Client(scene.http, headers_of_token(token_for(store, account, *scopes, expires=expires)))

    def by_cookie(account, lasts=3600.0):
        return Client(scene.http, headers_of_cookie(store, cookie_for(store, account, lasts)))

    add_account(store, "dora", Role.ADMIN)
    disabled = [by_token("dora"), by_cookie("dora")]
    store.accounts.change("dora", disabled=True)
    roles = {"vera": Role.VIEWER, "olga": Role.OPERATOR, "ada": Role.ADMIN}
    return [
        Actor("nobody", None, None, scene.anybody),
        Actor("a token that never was", None, None, Client(scene.http, headers_of_token("wct_" + "x" * 43))),
        Actor("an expired token", None, None, by_token("ada", expires=now - 1)),
        Actor("an expired login", None, None, by_cookie("ada", -1.0)),
        *(Actor("a disabled account", None, None, client) for client in disabled),
        *(Actor(f"{name}, by token", name, role, by_token(name), is_asked_of_all=True) for name, role in roles.items()),
        *(Actor(f"{name}, in a browser", name, role, by_cookie(name)) for name, role in roles.items()),
        Actor("olga, a viewer by scope", "olga", Role.VIEWER, by_token("olga", Role.VIEWER)),
        Actor("ada, an operator by scope", "ada", Role.OPERATOR, by_token("ada", Role.OPERATOR), is_asked_of_all=True),
        Actor("vera, whose scope is more than her role", "vera", Role.VIEWER, by_token("vera", Role.ADMIN)),
    ]


@pytest.fixture(scope="module")
def things(scene):
    """Of each kind one that belongs to each account, one of somebody who has none, and a run of which nobody knows."""
    store, jobs = scene.store, scene.app.state.serving.jobs
    add_account(store, "gone", Role.VIEWER)
    found = {}
    for owner in ("vera", "olga", "ada", "gone"):
        run = scene.run_of(owner, f"of {owner}", items=1)
        with acting(owner):
            job = jobs.start("test", None, owner, lambda _: {})
        found[owner] = {
            Kind.RUN: run,
            Kind.CHECKPOINT: f"{run}.{store.checkpoints(run)[0].sequence}",
            Kind.BACKUP: _backup(store, owner),
            Kind.JOB: job.id,
            Kind.TOKEN: store.accounts.add_token(owner, "a token")[0].id,
            Kind.STREAM: f"clicks-of-{owner}",
        }
    store.accounts.remove("gone")
    del found["gone"][Kind.TOKEN]
    streams = {ids[Kind.STREAM]: owner for owner, ids in found.items()}

    def owner_of(stream):  # what follows a stream is tried where streams are
        if stream not in streams:
            raise StreamNotFound
        return streams[stream]

    scene.app.state.serving.owners[Kind.STREAM] = owner_of
    return found


def _backup(store, owner):
    now = store.core.clock.now()
    id_ = RunId(secrets.token_hex(6))
    facts = {"kind": "paths", "label": "exports/", "source": {"path": "/data/exports"}, "state": BackupState.VERIFIED}
    record = BackupRecord(id=id_, owner=owner, created=now, updated=now, **facts)
    store.core.catalog.add_backup(record)
    return id_


@pytest.fixture
def guarded(monkeypatch):
    """Whoever is let through gets an answer that no route gives, and nothing is done."""

    async def admit(self, request: Request):
        self._admit(request)
        raise Problem(THROUGH, "let through", "The guard has nothing against it.")
        yield

    monkeypatch.setattr(Guard, "__call__", admit)


def test_the_policy_is_what_the_routes_say(scene):
    """A route that takes less than it should is found, so is one that nobody thought about, and one that is gone."""
    assert {route: _words(**access) for route, access in _document(scene.app).items()} == _policy()


def test_every_route_has_a_guard(scene):
    """Also one that the document leaves out; and the guard is the one that the document tells of."""
    document, seen = _document(scene.app), set()
    for path, route in _routes(scene.app.routes):
        if path == f"{API}/openapi.json":
            continue
        assert isinstance(route, APIRoute), path
        guards = [one.call for one in route.dependant.dependencies if isinstance(one.call, Guard)]
        assert len(guards) == 1, f"{path} has {len(guards)} guards"
        for method in route.methods:
            name = f"{method} {re.sub(r':[a-z]+}', '}', path)}"
            access = guards[0].access
            assert _words(**document[name]) == _words(access.role, access.on, access.own, access.open_with), name
            seen.add(name)
    assert seen == set(document)


def test_a_route_without_a_guard_is_found(scene):
    """The test above would see it."""
    app = FastAPI()

    @app.get(f"{API}/open")
    def leak():
        return {}

    found = [route for path, route in _routes(app.routes) if path == f"{API}/open"]
    assert found
    assert not [one for one in found[0].dependant.dependencies if isinstance(one.call, Guard)]


def test_everybody_gets_what_the_policy_says(scene, actors, things, guarded):
    """Let through, 401 or 403, for each route, each who asks, and each whose it is; a thing that is not there is 404 for all
    who may ask for it."""
    wrong, asked = asyncio.run(_ask_all(scene.app, actors, things))
    assert wrong == []
    assert asked > 200


async def _ask_all(app, actors, things):
    """Within the event loop of the app: a request is a millisecond."""
    wrong, asked = [], 0
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as http:
        for route, access in _document(app).items():
            method, path = route.split()
            for actor in actors:
                addresses = list(_addresses(path, access.get("on"), things))
                for whose, address in addresses if actor.is_asked_of_all else addresses[:1]:
                    expected = _expected(actor, whose, **access)
                    answer = await http.request(method, address, headers=actor.client.headers)
                    asked += 1
                    if answer.status_code != expected:
                        wrong.append((route, actor.name, f"of {whose}", expected, answer.status_code))
    return wrong, asked


def _addresses(path, on, things):
    """With whose each is; None: of nobody, as it is not there."""
    if on is None:
        yield None, path.replace("{name}", "ada")
        return
    for owner, ids in things.items():
        if on in ids:
            yield owner, path.replace(f"{{{on}}}", ids[on]).replace("{name}", "part")
    yield (
        None,
        path.replace(f"{{{on}}}", "0123456789ab.1" if on == Kind.CHECKPOINT else "0123456789ab").replace(
            "{name}", "part"
        ),
    )


def _expected(actor, whose, *, role, own, on=None, open_with=None):
    """`open_with` is an option that this server was not started with."""
    if role == "anybody":
        return THROUGH
    if actor.role is None:
        return 401
    if not actor.role.covers(Role(role)):
        return 403
    if on is not None and whose is None:
        return 404
    return 403 if own and whose != actor.account and actor.role is not Role.ADMIN else THROUGH


def test_what_nobody_owns_is_for_admins(scene, monkeypatch, guarded):
    """A run from before owners were kept: rows are for all, the rest for admins."""
    run = scene.run_of("olga", "an old one", items=1)
    owners = scene.app.state.serving.owners
    monkeypatch.setitem(owners, Kind.JOB, lambda _: None)
    assert scene.olga.get(f"/jobs/{run}").status_code == 403
    assert "nobody knows" in scene.olga.get(f"/jobs/{run}").json()["detail"]
    assert scene.ada.get(f"/jobs/{run}").status_code == THROUGH


def test_every_kind_has_owners(scene):
    """A route can be about each of them."""
    assert set(scene.app.state.serving.owners) == set(Kind)


def test_metrics_are_open_to_this_host_only(scene, guarded, monkeypatch):
    """With the option, and not through a proxy, which asks for others."""
    for options, headers, code in (
        (Options(), {}, 401),
        (Options(open_metrics=True), {}, THROUGH),
        (Options(open_metrics=True), {"X-Forwarded-For": "192.0.2.7"}, 401),
    ):
        monkeypatch.setattr(scene.app.state.serving, "options", options)
        assert asyncio.run(_scrape(scene.app, headers)).status_code == code


async def _scrape(app, headers):
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        return await http.get("/metrics", headers=headers)
