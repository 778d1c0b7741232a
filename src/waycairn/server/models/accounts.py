"""Accounts, tokens, and who is signed in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from waycairn.model.accounts import Role
from waycairn.server.models import Document
from waycairn.work.accounts import LEAST_PASSWORD, MOST_PASSWORD, NAME

Name = Annotated[str, Field(pattern=NAME, examples=["ada"], description="What the account is called.")]
NewPassword = Annotated[
    str,
    Field(
        min_length=LEAST_PASSWORD,
        max_length=MOST_PASSWORD,
        examples=["four words you know"],
        description=f"At least {LEAST_PASSWORD} characters; no other rule.",
    ),
]
OldPassword = Annotated[str, Field(max_length=MOST_PASSWORD, examples=["four words you know"])]


class Credentials(Document):
    name: str = Field(max_length=64, examples=["ada"])
    password: OldPassword


class SetupState(Document):
    needed: bool = Field(description="No account is there yet: the link that the server printed makes the first.")


class SetupRequest(Document):
    secret: str = Field(max_length=200, description="What stands behind # in the link that the server printed.")
    name: Name
    password: NewPassword


class PasswordChange(Document):
    old: OldPassword
    new: NewPassword


class SessionAccount(Document):
    name: str = Field(examples=["ada"])
    role: Role = Field(description="What it may do now: with a token perhaps less than the account may.")


class SessionStore(Document):
    id: str
    url: str = Field(examples=["/srv/jobs/.waycairn"])
    encrypted: bool


class SessionDocument(Document):
    account: SessionAccount
    csrf: str | None = Field(
        description="To be sent as X-Waycairn-CSRF with all that changes something; null with a token."
    )
    expires: float | None = Field(description="When it is over unless it is used; null: never.")
    allow_launch: bool = Field(description="Whether recorded commands may be started: resume.")
    store: SessionStore
    version: str = Field(examples=["0.1.0"])


class AccountDocument(Document):
    name: str = Field(examples=["ada"])
    role: Role
    created: float
    disabled: float | None = Field(description="Since when it may do nothing.")
    seen: float | None = Field(description="When it signed in last.")
    has_password: bool = Field(description="Whether it signs in with a password, or by tokens only.")
    tokens: int


class AccountList(Document):
    accounts: list[AccountDocument]


class NewAccount(Document):
    name: Name
    role: Role
    password: NewPassword | None = None


class AccountChange(Document):
    """What is left out stays."""

    role: Role | None = None
    disabled: bool | None = None
    password: NewPassword | None = None


class TokenDocument(Document):
    id: str
    account: str = Field(examples=["ada"])
    name: str = Field(examples=["nightly report"])
    scopes: list[Role]
    created: float
    expires: float | None
    used: float | None = Field(description="To the minute.")


class TokenList(Document):
    tokens: list[TokenDocument]


class NewToken(Document):
    name: str = Field(min_length=1, max_length=200, examples=["nightly report"])
    scopes: list[Role] = Field(
        max_length=3, default_factory=list, description="It may do what the highest of these may; left out: as you."
    )
    expires_in: float | None = Field(
        default=None, gt=0, le=10 * 366 * 86_400, description="Seconds.", examples=[2_592_000]
    )


class NewTokenDocument(Document):
    token: TokenDocument
    secret: str = Field(examples=["wct_..."], description="Shown this once.")


class RoleDocument(Document):
    role: Role
    may: list[str]


class RoleList(Document):
    roles: list[RoleDocument]
