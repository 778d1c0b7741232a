"""What programs sign in with."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request

from waycairn.documents.accounts import token_document
from waycairn.model.accounts import Role
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of
from waycairn.server.models.accounts import NewToken, NewTokenDocument, TokenList
from waycairn.server.problems import Problem
from waycairn.server.serving import serving_of

routes = Routes("/tokens", "tokens")
_ALL = "all"
Whose = Annotated[
    str | None,
    Query(
        max_length=64, description="Of admins: the name of an account, or `all`. One's own otherwise.", examples=["all"]
    ),
]


@routes.get("", Access(Role.VIEWER), response_model=TokenList, problems=(404,))
def list_tokens(
    request: Request, caller: Annotated[Caller, Depends(caller_of)], account: Whose = None
) -> dict[str, Any]:
    """Newest first; the secrets are known to nobody any more. 403 for those of others, unless an admin asks."""
    whose = account or caller.name
    if not caller.may_touch(whose):
        raise Problem(403, "not yours", f"The tokens of {whose} are for admins to see.")
    found = serving_of(request).store.accounts.tokens(None if whose == _ALL else whose)
    return {"tokens": [token_document(name, token) for name, token in found]}


@routes.post("", Access(Role.VIEWER), status_code=201, response_model=NewTokenDocument, problems=(422,))
def add_token(request: Request, given: NewToken, caller: Annotated[Caller, Depends(caller_of)]) -> dict[str, Any]:
    """For a program, of one's own account: it may do no more than who asks for it, and lasts no longer if that is a token. The
    answer has the secret, once. 422 for a scope above one's own."""
    for scope in given.scopes:
        if not caller.role.covers(scope):
            raise Problem(422, "invalid request", f"body.scopes: {scope} is more than you may do. Nothing was made.")
    accounts = serving_of(request).store.accounts
    token, secret = accounts.add_token(
        caller.name, given.name, given.scopes or [caller.role], _end(request, given, caller)
    )
    return {"token": token_document(caller.name, token), "secret": secret}


@routes.delete("/{token}", Access(Role.VIEWER, on=Kind.TOKEN, own=True), status_code=204)
def remove_token(
    request: Request, token: Annotated[str, Path(description="The id of a token.", examples=["5f2c9a01d3e4b677"])]
) -> None:
    """It is worth nothing from now on."""
    serving_of(request).store.accounts.remove_token(token)


def _end(request: Request, given: NewToken, caller: Caller) -> float | None:
    """Tokens that make tokens must not outlive themselves."""
    asked = None if given.expires_in is None else serving_of(request).store.core.clock.now() + given.expires_in
    limit = caller.expires if caller.login is None else None
    return asked if limit is None else limit if asked is None else min(asked, limit)
