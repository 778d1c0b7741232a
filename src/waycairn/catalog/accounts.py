"""Those who use a server, and what they sign in with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from waycairn.catalog.columns import decode_json, decode_maybe, decode_text, encode_json, encode_text
from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import Double, LargeBinary, bindparam, delete, insert, or_, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import accounts, logins, tokens
from waycairn.model.accounts import Account, AccountId, Login, Role, Token, TokenId

_ACCOUNT, _TOKEN, _LOGIN = tuple(accounts.c), tuple(tokens.c), tuple(logins.c)
_EVERY = 60.0
"""Seconds between two notes of use."""

LIST_ACCOUNTS = Statement("list_accounts", "All accounts, by name.", select(*_ACCOUNT).order_by(accounts.c.name))
GET_ACCOUNT = Statement("get_account", "One by id.", select(*_ACCOUNT).where(accounts.c.id == bindparam("id")))
FIND_ACCOUNT = Statement("find_account", "One by name.", select(*_ACCOUNT).where(accounts.c.name == bindparam("name")))
ADD_ACCOUNT = Statement(
    "add_account",
    "A new account, unless its name is taken.",
    lambda build: (
        build.insert(accounts)
        .values(**{column.name: bindparam(column.name) for column in _ACCOUNT})
        .on_conflict_do_nothing(index_elements=["name"])
    ),
)
HOLD_ADMINS = Statement(
    "hold_admins",
    "The admins who can act: who takes one away waits for who takes another, so that one is left.",
    select(accounts.c.id)
    .where(accounts.c.role == Role.ADMIN.value, accounts.c.disabled.is_(None))
    .order_by(accounts.c.id)
    .with_for_update(),
)
REMOVE_ACCOUNT = Statement(
    "remove_account",
    "An account goes; the foreign keys take its tokens and logins.",
    delete(accounts).where(accounts.c.id == bindparam("id")),
)
LIST_TOKENS = Statement(
    "list_tokens", "All tokens, newest first.", select(*_TOKEN).order_by(tokens.c.created.desc(), tokens.c.id)
)
TOKENS_OF = Statement(
    "tokens_of",
    "The tokens of an account, newest first.",
    select(*_TOKEN).where(tokens.c.account == bindparam("account")).order_by(tokens.c.created.desc(), tokens.c.id),
)
FIND_TOKEN = Statement(
    "find_token", "A token by the hash of its secret.", select(*_TOKEN).where(tokens.c.digest == bindparam("digest"))
)
ADD_TOKEN = Statement(
    "add_token", "A new token.", insert(tokens).values({column.name: bindparam(column.name) for column in _TOKEN})
)
REMOVE_TOKEN = Statement(
    "remove_token", "A token is worth nothing more.", delete(tokens).where(tokens.c.id == bindparam("id"))
)
FIND_LOGIN = Statement(
    "find_login", "A login by the hash of its cookie.", select(*_LOGIN).where(logins.c.digest == bindparam("digest"))
)
ADD_LOGIN = Statement(
    "add_login", "A new login.", insert(logins).values({column.name: bindparam(column.name) for column in _LOGIN})
)
FORGET_LOGINS = Statement(
    "forget_logins",
    "Logins that are over go.",
    delete(logins).where(logins.c.expires <= bindparam("now", type_=Double)),
)
REMOVE_LOGIN = Statement(
    "remove_login", "One login ends.", delete(logins).where(logins.c.digest == bindparam("digest"))
)
REMOVE_LOGINS = Statement(
    "remove_logins",
    "The logins of an account end, but one.",
    delete(logins).where(
        logins.c.account == bindparam("account"), logins.c.digest != bindparam("keep", type_=LargeBinary)
    ),
)
USE_TOKEN = Statement(
    "use_token",
    "A token was used, if that was not noted lately.",
    update(tokens)
    .where(
        tokens.c.digest == bindparam("of"),
        or_(tokens.c.used.is_(None), tokens.c.used < bindparam("before", type_=Double)),
    )
    .values(used=bindparam("now", type_=Double)),
)
USE_LOGIN = Statement(
    "use_login",
    "A login was used, if that was not noted lately; it lasts longer by that.",
    update(logins)
    .where(logins.c.digest == bindparam("of"), logins.c.seen < bindparam("before", type_=Double))
    .values(seen=bindparam("now", type_=Double), expires=bindparam("until", type_=Double)),
)


@cache
def _change(columns: tuple[str, ...]) -> Statement:
    return Statement(
        "change_account",
        "Set columns of an account.",
        update(accounts)
        .where(accounts.c.id == bindparam("of"))
        .values(updated=bindparam("now"), **{column: bindparam(column) for column in columns}),
    )


class AccountPart(Part):
    """Implements `ports.AccountRows`, `ports.TokenRows` and `ports.LoginRows`."""

    def list_accounts(self) -> Sequence[Account]:
        return [_account_of(row) for row in self._database.read(lambda session: session.all(LIST_ACCOUNTS, {}))]

    def add_account(self, account: Account) -> bool:
        values = {
            **{column.name: getattr(account, column.name) for column in _ACCOUNT},
            "name": encode_text(account.name),
            "role": account.role.value,
        }
        return self._database.write(lambda session: session.change(ADD_ACCOUNT, values)) == 1

    def change_account(self, account: AccountId, now: float, keep: bytes = b"", **columns: Any) -> bool:
        values = {name: value.value if isinstance(value, Role) else value for name, value in columns.items()}
        statement = _change(tuple(sorted(values)))
        values |= {"of": account, "now": now}
        may_end = columns.get("role", Role.ADMIN) is not Role.ADMIN or columns.get("disabled") is not None

        def write(session: Session) -> bool:
            if may_end and _is_last_admin(session, account):
                return False
            if "password" in columns or columns.get("disabled") is not None:
                session.change(REMOVE_LOGINS, {"account": account, "keep": keep})
            return session.change(statement, values) == 1

        return self._database.write(write)

    def remove_account(self, account: AccountId) -> bool:
        def write(session: Session) -> bool:
            if _is_last_admin(session, account):
                return False
            return session.change(REMOVE_ACCOUNT, {"id": account}) == 1

        return self._database.write(write)

    def get_account(self, account: AccountId) -> Account | None:
        row = self._database.read(lambda session: session.one(GET_ACCOUNT, {"id": account}))
        return None if row is None else _account_of(row)

    def find_account(self, name: str) -> Account | None:
        row = self._database.read(lambda session: session.one(FIND_ACCOUNT, {"name": encode_text(name)}))
        return None if row is None else _account_of(row)

    # -- tokens and logins -------------------------------------------------------------------------------------------

    def list_tokens(self, account: AccountId | None = None) -> Sequence[Token]:
        statement, values = (LIST_TOKENS, {}) if account is None else (TOKENS_OF, {"account": account})
        return [_token_of(row) for row in self._database.read(lambda session: session.all(statement, values))]

    def add_token(self, token: Token) -> None:
        values = {
            **{column.name: getattr(token, column.name) for column in _TOKEN},
            "name": encode_text(token.name),
            "scopes": encode_json([scope.value for scope in token.scopes]),
        }
        self._database.write(lambda session: session.change(ADD_TOKEN, values))

    def find_token(self, digest: bytes) -> Token | None:
        row = self._database.read(lambda session: session.one(FIND_TOKEN, {"digest": digest}))
        return None if row is None else _token_of(row)

    def remove_token(self, token: TokenId) -> bool:
        return self._database.write(lambda session: session.change(REMOVE_TOKEN, {"id": token})) == 1

    def add_login(self, login: Login) -> None:
        values = {column.name: getattr(login, column.name) for column in _LOGIN}

        def write(session: Session) -> None:
            session.change(FORGET_LOGINS, {"now": login.created})
            session.change(ADD_LOGIN, values)

        self._database.write(write)

    def find_login(self, digest: bytes) -> Login | None:
        row = self._database.read(lambda session: session.one(FIND_LOGIN, {"digest": digest}))
        return None if row is None else _login_of(row)

    def remove_login(self, digest: bytes) -> bool:
        return self._database.write(lambda session: session.change(REMOVE_LOGIN, {"digest": digest})) == 1

    def use_token(self, digest: bytes, now: float) -> None:
        values = {"of": digest, "before": now - _EVERY, "now": now}
        self._database.write(lambda session: session.change(USE_TOKEN, values))

    def use_login(self, digest: bytes, now: float, expires: float) -> None:
        values = {"of": digest, "before": now - _EVERY, "now": now, "until": expires}
        self._database.write(lambda session: session.change(USE_LOGIN, values))


def _is_last_admin(session: Session, account: AccountId) -> bool:
    return [id_ for (id_,) in session.all(HOLD_ADMINS)] == [account]


@reads(_ACCOUNT)
def _account_of(row: Row) -> Account:
    id_, name, role, password, created, updated, disabled, seen = row
    return Account(
        id=AccountId(id_),
        name=decode_text(name),
        role=Role(role),
        password=decode_maybe(password),
        created=created,
        updated=updated,
        disabled=disabled,
        seen=seen,
    )


@reads(_TOKEN)
def _token_of(row: Row) -> Token:
    id_, account, name, digest, scopes, created, expires, used = row
    return Token(
        id=TokenId(id_),
        account=AccountId(account),
        name=decode_text(name),
        digest=bytes(digest),
        scopes=tuple(Role(one) for one in decode_json(scopes)),
        created=created,
        expires=expires,
        used=used,
    )


@reads(_LOGIN)
def _login_of(row: Row) -> Login:
    digest, account, created, seen, expires = row
    return Login(digest=bytes(digest), account=AccountId(account), created=created, seen=seen, expires=expires)
