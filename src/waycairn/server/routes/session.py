"""Who is signed in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Response

from waycairn import __version__
from waycairn.model.accounts import Account, Role
from waycairn.server.access import ANYBODY, Access, Caller, Routes, caller_of
from waycairn.server.doorkeeper import csrf_of
from waycairn.server.models.accounts import Credentials, PasswordChange, SessionDocument
from waycairn.server.problems import Problem
from waycairn.server.serving import Serving, serving_of
from waycairn.settings.secrets import without_passwords

routes = Routes("/session", "session")


@routes.get("", Access(Role.VIEWER), response_model=SessionDocument)
def show_session(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> dict[str, Any]:
    """Who asks, and what of. 401 where nobody is signed in."""
    return session_document(serving_of(request), caller)


@routes.post("", ANYBODY, response_model=SessionDocument, problems=(401, 403, 429))
def sign_in(request: Request, response: Response, given: Credentials) -> dict[str, Any]:
    """Sign in by a cookie, which a browser sends by itself from now on. 401 says no more than that it did not work; too many
    tries are refused for a while, see `Retry-After`."""
    serving = serving_of(request)
    account = serving.admission.check(request, given.name, given.password)
    if account is None:
        raise Problem(401, "not signed in", "There is no such account, or that is not its password. Nothing was done.")
    before: Caller | None = request.state.caller
    if before is not None and before.login is not None:
        serving.store.accounts.sign_out(before.account, before.login)
    return signed_in(request, response, account)


@routes.delete("", Access(Role.VIEWER), status_code=204, problems=(409,))
def sign_out(request: Request, response: Response, caller: Annotated[Caller, Depends(caller_of)]) -> None:
    """This browser is signed in no more. 409 with a token, which is revoked by DELETE /tokens/{token}."""
    if caller.login is None:
        raise Problem(409, "signed in by a token", "No browser is signed in by it. Revoke it: DELETE /tokens/{token}.")
    serving = serving_of(request)
    serving.store.accounts.sign_out(caller.account, caller.login)
    serving.doorkeeper.take_back(response)


@routes.put("/password", Access(Role.VIEWER), status_code=204, problems=(409, 429))
def change_password(request: Request, given: PasswordChange, caller: Annotated[Caller, Depends(caller_of)]) -> None:
    """Another password. All other browsers of the account are signed out; its tokens stay. 409 if `old` is not the password."""
    serving = serving_of(request)
    if serving.admission.check(request, caller.name, given.old) is None:
        raise Problem(409, "wrong password", "That is not the password so far. Nothing was changed.")
    serving.store.accounts.change(caller.name, password=given.new, keep=caller.login)


def signed_in(request: Request, response: Response, account: Account) -> dict[str, Any]:
    """A new login of that account, and its document."""
    serving = serving_of(request)
    login, secret = serving.store.accounts.sign_in(account, address=serving.admission.address_of(request))
    serving.doorkeeper.hand_out(response, secret)
    return session_document(serving, Caller(account, account.role, csrf_of(secret), login, login.expires))


def session_document(serving: Serving, caller: Caller) -> dict[str, Any]:
    core = serving.store.core
    return {
        "account": {"name": caller.name, "role": caller.role},
        "csrf": caller.csrf,
        "expires": caller.expires,
        "allow_launch": serving.options.allow_launch,
        "store": {"id": core.catalog.info.id, "url": without_passwords(core.url), "encrypted": core.is_encrypted},
        "version": __version__,
    }
