"""What the tests of the server share: a store with accounts, their clients, and a real server process.

def test_it(scene):                                      # a fixture of tests/server/conftest.py
    with scene.store.run("nightly"):
        ...
    assert scene.vera.get("/runs").json()["runs"]
    assert scene.token("olga", Role.VIEWER).post("/runs/nightly/discard").status_code == 403

with served(scene.store.url, "--allow-launch") as server:    # `waycairn serve` on a port of its own
    httpx.get(f"{server.url}/healthz")
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from fastapi import FastAPI
from fastapi.testclient import TestClient

from waycairn.model.accounts import Account, AccountId, Login, Role, Token, TokenId
from waycairn.process import acting
from waycairn.server.app import create_app
from waycairn.server.doorkeeper import COOKIE, CSRF, TOKEN_PREFIX, csrf_of, digest_of, new_secret
from waycairn.server.serving import Options
from waycairn.work.store import Store, open_store

API = "/api/v1"
PEOPLE = {"ada": Role.ADMIN, "olga": Role.OPERATOR, "vera": Role.VIEWER}
"""Accounts of every scene. `PASSWORDS[name]` signs them in."""
PASSWORDS = {name: f"{name} likes long walks" for name in PEOPLE}
BASE = "http://127.0.0.1"


@cache
def _quick(password: str) -> str:
    """As it is stored, at a thousandth of what a guess costs in earnest: a check takes what the text says."""
    derive = Argon2id(salt=secrets.token_bytes(16), length=32, iterations=1, lanes=1, memory_cost=16)
    return derive.derive_phc_encoded(password.encode())


def add_account(store: Store, name: str, role: Role, password: str | None = None, **facts: Any) -> Account:
    now = store.core.clock.now()
    stored = None if password is None else _quick(password)
    account = Account(
        id=AccountId(secrets.token_hex(8)), name=name, role=role, password=stored, created=now, updated=now, **facts
    )
    assert store.core.catalog.add_account(account)
    return account


def add_people(store: Store) -> None:
    """ada, olga and vera, with their passwords."""
    for name, role in PEOPLE.items():
        add_account(store, name, role, PASSWORDS[name])


def token_for(store: Store, name: str, *scopes: Role, expires: float | None = None) -> str:
    """The secret of a new token; by default of all that the account may do."""
    account = store.core.catalog.find_account(name)
    assert account is not None
    secret = TOKEN_PREFIX + new_secret()
    now = store.core.clock.now()
    store.core.catalog.add_token(
        Token(
            id=TokenId(secrets.token_hex(8)),
            account=account.id,
            name="of a test",
            digest=digest_of(secret),
            scopes=list(scopes or (account.role,)),
            created=now,
            expires=expires,
        )
    )
    return secret


def cookie_for(store: Store, name: str, expires_in: float = 3600.0) -> str:
    """The secret of a browser that has just signed in."""
    account = store.core.catalog.find_account(name)
    assert account is not None
    secret, now = new_secret(), store.core.clock.now()
    login = Login(digest=digest_of(secret), account=account.id, created=now, seen=now, expires=now + expires_in)
    store.core.catalog.add_login(login)
    return secret


def headers_of_token(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def cookie_name(store: Store) -> str:
    return f"{COOKIE}_{store.core.catalog.info.id[:8]}"


def headers_of_cookie(store: Store, secret: str) -> dict[str, str]:
    """What a page sends along that changes something."""
    return {"Cookie": f"{cookie_name(store)}={secret}", CSRF: csrf_of(secret)}


@dataclass(frozen=True)
class Client:
    """One who asks. Paths are those behind /api/v1."""

    http: TestClient
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The answer, as httpx gives it."""
        headers = {**self.headers, **more.pop("headers", {})}
        try:
            return self.http.request(method, API + path, headers=headers, **more)
        finally:
            self.http.cookies.clear()  # one jar for all clients would sign them in as each other

    def get(self, path: str, **more: Any) -> Any:
        return self.ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.ask("POST", path, **more)

    def put(self, path: str, **more: Any) -> Any:
        return self.ask("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Any:
        return self.ask("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self.ask("DELETE", path, **more)


class Scene:
    """A store with accounts, and the app over it, in this process: everything of the server but its sockets."""

    def __init__(self, store: Store, http: TestClient) -> None:
        self.store, self.http = store, http
        self.ada, self.olga, self.vera = self.token("ada"), self.token("olga"), self.token("vera")
        self.anybody = Client(http)

    @property
    def app(self) -> FastAPI:
        app = self.http.app
        assert isinstance(app, FastAPI)
        return app

    def token(self, name: str, *scopes: Role, expires: float | None = None) -> Client:
        """A program of that account."""
        return Client(self.http, headers_of_token(token_for(self.store, name, *scopes, expires=expires)))

    def browser(self, name: str) -> Client:
        """A browser in which that account is signed in, with a page of ours in it."""
        return Client(self.http, headers_of_cookie(self.store, cookie_for(self.store, name)))

    def run_of(self, owner: str, name: str = "job", items: int = 3, *, ends: bool = True) -> str:
        """The id of a run with some items that belongs to that account; unless it `ends`, an error ended it."""
        with acting(owner):
            return _run(self.store, name, items, ends)


def _run(store: Store, name: str, items: int, ends: bool) -> str:
    with suppress(_Left), store.run(name, total=items) as run:
        for item in run.each(range(items)):
            run.checkpoint("milestone", iteration=item)
            if not ends and item == items - 1:
                raise _Left
    return str(store.find(name).id)


class _Left(Exception):
    """Somebody stopped it."""


@contextmanager
def a_scene(place: Path, options: Options | None = None, **sections: Any) -> Iterator[Scene]:
    """In a new store below that directory. `sections` are settings."""
    with open_store(place / "store", **sections) as store:
        add_people(store)
        with TestClient(create_app(store, options), base_url=BASE) as http:
            yield Scene(store, http)


# -- real processes ----------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """`waycairn serve`, running."""

    url: str
    setup: str | None
    """The link of the first start, if there was no account."""
    process: subprocess.Popen[str]
    log: Path

    @property
    def api(self) -> str:
        return self.url + API

    def stop(self, number: int = signal.SIGTERM, within: float = 15.0) -> int:
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within)


@contextmanager
def served(
    store: str | os.PathLike[str], *arguments: str, log: Path | None = None, **environment: str
) -> Iterator[Server]:
    """A server process over that store, on a free port of loopback; stopped at the end. What it says is in `log`."""
    said = log or Path(f"{os.fspath(store)}.{secrets.token_hex(3)}.log")
    argv = [sys.executable, "-m", "waycairn", "serve", "--store", os.fspath(store), "--port", "0", "--json", *arguments]
    with said.open("w") as errors:
        process = subprocess.Popen(
            argv,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server did not start: {said.read_text()}"
        told = json.loads(line)
        yield Server(told["url"], told["setup"], process, said)
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def until(condition: Any, within: float = 10.0) -> Any:
    """What the condition gives, once it is true."""
    ends = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.02)
    return found


def ended(client: Client, answer: Any) -> dict[str, Any]:
    """The job that an act began, once it is over."""
    assert answer.status_code == 202, answer.text
    path = f"/jobs/{answer.json()['id']}"

    def over() -> Any:
        job = client.get(path).json()
        return job if job["state"] in {"done", "failed"} else None

    found: dict[str, Any] = until(over, within=60)
    return found
