"""Rows about those who use a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from waycairn.model.accounts import Account, AccountId, Login, Token, TokenId


class AccountRows(Protocol):
    """Accounts. All writes are durable when they return."""

    def list_accounts(self) -> Sequence[Account]:
        """By name."""
        ...

    def add_account(self, account: Account) -> bool:
        """False, and nothing changed, if the name is taken."""
        ...

    def change_account(self, account: AccountId, now: float, keep: bytes = b"", **columns: Any) -> bool:
        """Set role, password, disabled or seen. With another password, and disabled, its logins end but the one with the digest
        `keep`. False, and nothing changed, if there is none, or if no admin would be left who can act, also if two are taken
        away at the same time."""
        ...

    def remove_account(self, account: AccountId) -> bool:
        """With its tokens and logins; what it made stays, under its name. False as above."""
        ...

    def get_account(self, account: AccountId) -> Account | None: ...

    def find_account(self, name: str) -> Account | None: ...


class TokenRows(Protocol):
    """What programs sign in with."""

    def list_tokens(self, account: AccountId | None = None) -> Sequence[Token]:
        """Of one account or of all, newest first."""
        ...

    def add_token(self, token: Token) -> None: ...

    def find_token(self, digest: bytes) -> Token | None: ...

    def remove_token(self, token: TokenId) -> bool: ...

    def use_token(self, digest: bytes, now: float) -> None:
        """It was used; written once a minute at most."""
        ...


class LoginRows(Protocol):
    """Browsers that are signed in."""

    def add_login(self, login: Login) -> None:
        """And forget those that are over."""
        ...

    def find_login(self, digest: bytes) -> Login | None: ...

    def remove_login(self, digest: bytes) -> bool:
        """False if there is none."""
        ...

    def use_login(self, digest: bytes, now: float, expires: float) -> None:
        """It was used, and lasts until then; written once a minute at most."""
        ...
