"""Who may do what: the one mechanism that stands before every route.

A route says what it takes, `Routes` puts the guard before it, and the OpenAPI document says so under `x-access`: a test goes
through that document with every role, for what is one's own and what is another's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from waycairn.errors import OwnershipLost
from waycairn.model.accounts import Account, Login, Role
from waycairn.process import acting
from waycairn.server.listening import is_loopback
from waycairn.server.problems import Problem, documented
from waycairn.server.reading import ReadingRoute
from waycairn.server.serving import Serving, serving_of

__all__ = ["ANYBODY", "Access", "Caller", "Kind", "Routes", "caller_of", "refuse_foreign"]


class Kind(StrEnum):
    """What a route is about, by the name of its path parameter."""

    RUN = "run"
    CHECKPOINT = "checkpoint"
    BACKUP = "backup"
    JOB = "job"
    STREAM = "stream"
    TOKEN = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Access:
    """What a route takes."""

    role: Role | None
    """At least this; None: anybody, who need not have signed in."""
    on: Kind | None = None
    """The route has a path parameter of that name. Whose it is decides, if `own`."""
    own: bool = False
    """It gives out contents, or it acts: only to whose it is, and to admins."""
    open_with: str | None = None
    """With this option of the server processes of its own host need not sign in."""

    def described(self) -> Mapping[str, Any]:
        """Without what there is not: the document has no null."""
        about = {"on": None if self.on is None else self.on.value, "open_with": self.open_with}
        said = {name: value for name, value in about.items() if value is not None}
        return {"role": "anybody" if self.role is None else self.role.value, "own": self.own, **said}

    def is_open(self, request: Request) -> bool:
        """To anybody who asks like that."""
        if self.open_with is None or not getattr(serving_of(request).options, self.open_with):
            return False
        if any(name in request.headers for name in _FORWARDED):  # a proxy of this host asks for somebody else
            return False
        return request.client is not None and is_loopback(request.client.host)


_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


ANYBODY = Access(None)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    account: Account
    role: Role
    """That of the account, or less by the scopes of a token."""
    csrf: str | None = None
    """What requests of this browser that change something carry; None for tokens, which no browser sends by itself."""
    login: Login | None = None
    """Of a browser."""
    expires: float | None = None
    """Of the login or the token; None: never."""

    @property
    def name(self) -> str:
        return self.account.name

    def may_touch(self, owner: str | None) -> bool:
        """What belongs to that account; None: nobody knows to whom."""
        return self.role is Role.ADMIN or owner == self.account.name


class Guard:
    """Stands before one route."""

    def __init__(self, access: Access) -> None:
        self.access = access

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        caller = await run_in_threadpool(self._admit, request)
        request.state.caller = caller
        if caller is None:
            yield
            return
        with acting(caller.name):
            try:
                yield
            except OwnershipLost as error:  # no Exception, so no handler of the framework would see it
                raise Problem(409, type(error).__name__, str(error)) from None

    def _admit(self, request: Request) -> Caller | None:
        """Raises Problem."""
        serving = serving_of(request)
        caller = serving.doorkeeper.recognise(request, by_csrf=self.access.role is not None)
        if self.access.role is None or (caller is None and self.access.is_open(request)):
            return caller
        if caller is None:
            raise Problem(401, "not signed in", "Sign in, or send a token: Authorization: Bearer ...")
        if not caller.role.covers(self.access.role):
            raise Problem(
                403, "not allowed", f"This takes the role {self.access.role}; you have {caller.role}. Nothing was done."
            )
        _refuse_nul(request)
        if self.access.on is not None:
            self._check_owner(serving, caller, request.path_params[self.access.on])
        return caller

    def _check_owner(self, serving: Serving, caller: Caller, id_: str) -> None:
        """Also raises what is raised for something that does not exist: 404 before 403, as rows are no secret."""
        assert self.access.on is not None
        owner = serving.owners[self.access.on](id_)
        if self.access.own:
            refuse_foreign(caller, self.access.on, id_, owner)


def _refuse_nul(request: Request) -> None:
    """PostgreSQL keeps no text with it, and refuses the question. Nothing has such a name. Raises Problem."""
    if any("\0" in value for value in request.path_params.values()):
        raise Problem(404, "not found", "There is nothing of that name. Nothing was done.")
    wrong = next((name for name, value in request.query_params.multi_items() if "\0" in value), None)
    if wrong is not None:
        raise Problem(422, "invalid request", f"query.{wrong}: the character NUL is in it. Nothing was done.")


def refuse_foreign(caller: Caller, kind: Kind, id_: str, owner: str | None) -> None:
    """Raises Problem for what belongs to another one, or to nobody who is known, unless an admin asks. The guard does so for
    what the path names; this is for what a body names."""
    if not caller.may_touch(owner):
        whose = "nobody knows whose it is" if owner is None else f"it belongs to {owner}"
        raise Problem(
            403,
            "not yours",
            f"{kind} {id_} is not yours: {whose}. Nothing was done. Ask an admin, or sign in as its owner.",
        )


def caller_of(request: Request) -> Caller:
    """In a route that asks for a role. As a parameter: `Annotated[Caller, Depends(caller_of)]`."""
    caller = request.state.caller
    assert isinstance(caller, Caller), "the guard lets nobody through to a route that asks for a role"
    return caller


class Routes:
    """An APIRouter whose routes cannot be without a guard."""

    def __init__(self, prefix: str, tag: str) -> None:
        self.router = APIRouter(prefix=prefix, tags=[tag], route_class=ReadingRoute)

    def get(self, path: str, access: Access, **more: Any) -> Callable[[Any], Any]:
        return self.add("GET", path, access, **more)

    def post(self, path: str, access: Access, **more: Any) -> Callable[[Any], Any]:
        return self.add("POST", path, access, **more)

    def put(self, path: str, access: Access, **more: Any) -> Callable[[Any], Any]:
        return self.add("PUT", path, access, **more)

    def patch(self, path: str, access: Access, **more: Any) -> Callable[[Any], Any]:
        return self.add("PATCH", path, access, **more)

    def delete(self, path: str, access: Access, **more: Any) -> Callable[[Any], Any]:
        return self.add("DELETE", path, access, **more)

    def add(
        self, method: str, path: str, access: Access, *, problems: tuple[int, ...] = (), **more: Any
    ) -> Callable[[Any], Any]:
        """`problems` are the statuses beside those that every route may answer with. 404 is among them where `on` is."""
        assert access.on is None or f"{{{access.on}" in self.router.prefix + path, "the path names what it is about"
        known = {422, *problems, *(() if access.role is None else (401, 403)), *((404,) if access.on else ())}
        known |= set() if method in {"GET", "HEAD"} else {413}
        return self.router.api_route(
            path,
            methods=[method],
            dependencies=[Depends(Guard(access))],
            responses={**documented(known), **more.pop("responses", {})},
            openapi_extra={"x-access": access.described()},
            response_model_exclude_none=False,
            **more,
        )
