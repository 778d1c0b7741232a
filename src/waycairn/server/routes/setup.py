"""The first account."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from waycairn.model.accounts import Role
from waycairn.process import acting
from waycairn.server.access import ANYBODY, Routes
from waycairn.server.models.accounts import SessionDocument, SetupRequest, SetupState
from waycairn.server.problems import Problem
from waycairn.server.routes.session import signed_in
from waycairn.server.serving import serving_of

routes = Routes("/setup", "setup")


@routes.get("", ANYBODY, response_model=SetupState)
def show_setup(request: Request) -> dict[str, bool]:
    """Whether there is an account yet."""
    return {"needed": serving_of(request).setup.is_needed}


@routes.post("", ANYBODY, status_code=201, response_model=SessionDocument, problems=(403,))
def set_up(request: Request, response: Response, given: SetupRequest) -> dict[str, Any]:
    """The first admin, by the secret of the link that the server printed when it started; it is signed in at once. The secret
    works once."""
    serving = serving_of(request)
    with serving.setup.lock:
        if not serving.setup.accepts(given.secret):
            raise Problem(
                403,
                "wrong secret",
                "That is not the secret of this start of the server, or an account is there already. Nothing was done. Take "
                "the link that `waycairn serve` printed last, or make accounts with `waycairn user add`.",
            )
        with acting(given.name):
            account = serving.store.accounts.add(given.name, Role.ADMIN, given.password, by="setup")
        serving.setup.end()
    return signed_in(request, response, account)
