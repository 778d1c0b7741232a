"""Those who use a server, and what they sign in with."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NewType

import msgspec

AccountId = NewType("AccountId", str)
TokenId = NewType("TokenId", str)


class Role(StrEnum):
    """What an account may do. Each may do what those before it may."""

    VIEWER = "viewer"
    """Sees everything but the contents of what belongs to others."""
    OPERATOR = "operator"
    """Also acts on what belongs to it: resumes, discards, backs up, restores."""
    ADMIN = "admin"
    """Everything, to everything: accounts, settings, the audit log, what belongs to others."""

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def covers(self, other: Role) -> bool:
        return self.rank >= other.rank


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `accounts`. Runs and backups are those of its name."""

    id: AccountId
    name: str
    role: Role
    password: str | None
    """As Argon2id made it, in PHC form; None: it signs in by tokens only."""
    created: float
    """Seconds since 1970, as all times here."""
    updated: float
    disabled: float | None = None
    """Since when it may do nothing."""
    seen: float | None = None
    """When it signed in last."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What a program signs in with: a secret of 256 random bits, of which the hash is kept."""

    id: TokenId
    account: AccountId
    name: str
    digest: bytes
    """SHA-256 of the secret."""
    scopes: Sequence[Role]
    """It may do no more than the highest of these, and no more than its account may."""
    created: float
    expires: float | None
    used: float | None = None
    """To the minute."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that is signed in, by the hash of its cookie."""

    digest: bytes
    account: AccountId
    created: float
    seen: float
    """To the minute."""
    expires: float
