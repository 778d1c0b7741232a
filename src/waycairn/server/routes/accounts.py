"""Who may use the server."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from waycairn.documents.accounts import account_document
from waycairn.model.accounts import Account, Role
from waycairn.server.access import Access, Caller, Routes, caller_of
from waycairn.server.models.accounts import AccountChange, AccountDocument, AccountList, NewAccount
from waycairn.server.serving import serving_of

routes = Routes("/accounts", "accounts")
AccountName = Annotated[str, Path(description="What the account is called.", examples=["ada"])]


@routes.get("", Access(Role.ADMIN), response_model=AccountList)
def list_accounts(request: Request) -> dict[str, Any]:
    """All, by name."""
    accounts = serving_of(request).store.accounts
    tokens = [token for _, token in accounts.tokens()]
    return {"accounts": [account_document(one, tokens) for one in accounts.list()]}


@routes.post("", Access(Role.ADMIN), status_code=201, response_model=AccountDocument, problems=(409,))
def add_account(request: Request, given: NewAccount) -> dict[str, Any]:
    """A new account. Its name is whose runs and backups are: it owns what the user of the operating system with that name made.
    Without a password it signs in by tokens only. 409 if the name is taken."""
    account = serving_of(request).store.accounts.add(given.name, given.role, given.password)
    return account_document(account, ())


@routes.patch("/{name}", Access(Role.ADMIN), response_model=AccountDocument, problems=(404, 409))
def change_account(
    request: Request, name: AccountName, given: AccountChange, caller: Annotated[Caller, Depends(caller_of)]
) -> dict[str, Any]:
    """Another role or password, disabled or enabled. Other browsers in which it is signed in are signed out by a password, and
    by being disabled, which stops its tokens, too. 409 for the last admin."""
    accounts = serving_of(request).store.accounts
    keep = caller.login if caller.name == name else None
    changed = accounts.change(name, role=given.role, disabled=given.disabled, password=given.password, keep=keep)
    return _document(request, changed)


@routes.delete("/{name}", Access(Role.ADMIN), status_code=204, problems=(404, 409))
def remove_account(request: Request, name: AccountName) -> None:
    """With its tokens. What it made stays, under its name. 409 for the last admin."""
    serving_of(request).store.accounts.remove(name)


def _document(request: Request, account: Account) -> dict[str, Any]:
    tokens = serving_of(request).store.accounts.tokens(account.name)
    return account_document(account, [token for _, token in tokens])
