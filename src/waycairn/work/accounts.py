"""Those who use a server: made, changed and removed, each act in the audit log."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from waycairn.crypto.passwords import TOKEN_PREFIX, digest_of, matches, new_secret, stored_form
from waycairn.errors import AccountExists, AccountNotFound, LastAdmin
from waycairn.model.accounts import Account, AccountId, Login, Role, Token, TokenId
from waycairn.model.audit import Outcome
from waycairn.process import acting
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited_commit, record

__all__ = ["LEAST_PASSWORD", "MOST_PASSWORD", "NAME", "Accounts"]

LEAST_PASSWORD, MOST_PASSWORD = 10, 1000
"""Characters. No other rule: those make people write them down."""
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}$"
"""What an account may be called: it stands in addresses, and two that look the same would be mistaken for each other."""


class Accounts:
    """`store.accounts`. Thread-safe. Their names are what `run.account` says: an account owns what the user of the operating
    system with that name made, too."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core

    def list(self) -> Sequence[Account]:
        """By name."""
        return self._core.catalog.list_accounts()

    def get(self, name: str) -> Account:
        """Raises AccountNotFound."""
        found = self._core.catalog.find_account(name)
        if found is None:
            raise AccountNotFound(
                f"there is no account {name!r}. Nothing was changed. See `waycairn user list`.", name=name
            )
        return found

    def add(self, name: str, role: Role | str, password: str | None = None, **facts: Any) -> Account:
        """Without a password it signs in by tokens only. `facts` are for the audit log. Raises AccountExists; ValueError for a
        name or password that will not do."""
        _check_name(name)
        now = self._core.clock.now()
        account = Account(
            id=AccountId(secrets.token_hex(8)),
            name=name,
            role=Role(role),
            password=None if password is None else stored_form(_checked(password)),
            created=now,
            updated=now,
        )
        with audited_commit(self._core, "account.add", name, rides_with=bool, role=account.role.value, **facts):
            if not self._core.catalog.add_account(account):
                raise AccountExists(
                    f"there is an account {name!r} already. Nothing was changed. Choose another name.", name=name
                )
        return account

    def change(
        self,
        name: str,
        *,
        role: Role | str | None = None,
        disabled: bool | None = None,
        password: str | None = None,
        keep: Login | None = None,
    ) -> Account:
        """What is not None. With another password its logins end but `keep`, and disabled it may do nothing any more, its tokens
        neither. Raises AccountNotFound, LastAdmin; ValueError for a password that will not do."""
        account = self.get(name)
        columns = _columns(self._core.clock.now(), account, role, disabled, password)
        facts = {one: "changed" if one == "password" else value for one, value in columns.items()}
        with audited_commit(self._core, "account.change", name, rides_with=bool, **facts) as act:
            act.is_quiet = not columns
            if columns:
                self._write(account, columns, keep)
        return self.get(name)

    def _write(self, account: Account, columns: dict[str, Any], keep: Login | None) -> None:
        kept = b"" if keep is None else keep.digest
        if not self._core.catalog.change_account(account.id, self._core.clock.now(), kept, **columns):
            self._refuse(account)

    def remove(self, name: str) -> None:
        """With its tokens and logins; runs and backups stay, under its name. Raises AccountNotFound, LastAdmin."""
        account = self.get(name)
        with audited_commit(self._core, "account.remove", name, rides_with=bool, role=account.role.value):
            if not self._core.catalog.remove_account(account.id):
                self._refuse(account)

    def _refuse(self, account: Account) -> None:
        if self._core.catalog.get_account(account.id) is None:
            raise AccountNotFound(f"the account {account.name!r} was removed meanwhile.", name=account.name)
        raise LastAdmin(
            f"{account.name} is the last admin who can act, and nobody else may change accounts. Nothing was changed. Make "
            "another account admin first.",
            name=account.name,
        )

    # -- tokens ------------------------------------------------------------------------------------------------------

    def tokens(self, name: str | None = None) -> Sequence[tuple[str, Token]]:
        """Of one account or of all, with the name of the account, newest first. Raises AccountNotFound."""
        if name is not None:
            account = self.get(name)
            return [(account.name, token) for token in self._core.catalog.list_tokens(account.id)]
        names = {account.id: account.name for account in self.list()}
        return [(names[one.account], one) for one in self._core.catalog.list_tokens() if one.account in names]

    def token(self, id_: str) -> tuple[str, Token]:
        """And the name of its account. Raises AccountNotFound."""
        for name, token in self.tokens():
            if token.id == id_:
                return name, token
        raise AccountNotFound(f"there is no token {id_!r}. Nothing was changed. See `waycairn token list`.", token=id_)

    def add_token(
        self, name: str, label: str, scopes: Sequence[Role | str] = (), expires: float | None = None
    ) -> tuple[Token, str]:
        """The token and its secret, which nobody can show again. It may do what the highest of the scopes may, by default what
        the account may, and never more than the account; until `expires` (seconds since 1970). Raises AccountNotFound."""
        account = self.get(name)
        secret = TOKEN_PREFIX + new_secret()
        token = Token(
            id=TokenId(secrets.token_hex(8)),
            account=account.id,
            name=label,
            digest=digest_of(secret),
            scopes=[Role(one) for one in scopes] or [account.role],
            created=self._core.clock.now(),
            expires=expires,
        )
        facts: dict[str, Any] = {
            "token": token.id,
            "label": label,
            "scopes": [one.value for one in token.scopes],
            "expires": expires,
        }
        with audited_commit(self._core, "token.add", name, **facts):
            self._core.catalog.add_token(token)
        return token, secret

    def remove_token(self, id_: str) -> None:
        """Raises AccountNotFound."""
        name, token = self.token(id_)
        with audited_commit(self._core, "token.remove", name, token=token.id, label=token.name) as act:
            act.is_quiet = not self._core.catalog.remove_token(token.id)

    # -- signing in --------------------------------------------------------------------------------------------------

    def check(self, name: str, password: str, **facts: Any) -> Account | None:
        """The account, if that is its password and it may act; takes as long where it is not. A failure is written down with the
        name only if there is such an account: people type passwords where names belong. Raises TooManyGuesses."""
        account = self._core.catalog.find_account(name)
        fits = matches(password, None if account is None else account.password)
        if account is not None and fits and account.disabled is None:
            return account
        why = "no such account" if account is None else "disabled" if fits else "wrong password"
        record(self._core, "login", account.name if account else None, Outcome.REFUSED, {"why": why, **facts})
        return None

    def sign_in(self, account: Account, **facts: Any) -> tuple[Login, str]:
        """A login and its secret."""
        secret, now = new_secret(), self._core.clock.now()
        login = Login(
            digest=digest_of(secret), account=account.id, created=now, seen=now, expires=self.expiry(now, now)
        )
        with acting(account.name):
            self._core.catalog.add_login(login)
            self._core.catalog.change_account(account.id, now, seen=now)
            record(self._core, "login", account.name, facts=facts)
        return login, secret

    def sign_out(self, account: Account, login: Login) -> None:
        if self._core.catalog.remove_login(login.digest):
            record(self._core, "logout", account.name)

    def expiry(self, created: float, now: float) -> float:
        """Until when a login lasts that is used now."""
        settings = self._core.settings.server
        return min(created + settings.login_longest, now + settings.login_idle)


def _columns(
    now: float, account: Account, role: Role | str | None, disabled: bool | None, password: str | None
) -> dict[str, Any]:
    """What becomes different."""
    columns: dict[str, Any] = {}
    if role is not None and Role(role) is not account.role:
        columns["role"] = Role(role)
    if disabled is not None and disabled != (account.disabled is not None):
        columns["disabled"] = now if disabled else None
    if password is not None:
        columns["password"] = stored_form(_checked(password))
    return columns


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME, name):
        raise ValueError(
            f"an account is not called {name!r}: its name is 1 to 64 letters of ASCII, digits and _ . @ + -, the "
            "first of them a letter, a digit or _. Nothing was changed."
        )


def _checked(password: str) -> str:
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise ValueError(
            f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters, and this one has {len(password)}. Nothing was changed."
        )
    return password
