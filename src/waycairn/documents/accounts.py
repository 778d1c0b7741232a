"""Accounts and tokens as documents: what `--json` says and the API answers. `when` makes of a time what the reader wants: text
for people, seconds for programs of ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from waycairn.documents.moments import When, seconds
from waycairn.model.accounts import Account, Token


def account_document(account: Account, tokens: Iterable[Token], when: When = seconds) -> dict[str, Any]:
    """`tokens` may be those of all."""
    return {
        "name": account.name,
        "role": account.role.value,
        "created": when(account.created),
        "disabled": when(account.disabled),
        "seen": when(account.seen),
        "has_password": account.password is not None,
        "tokens": sum(token.account == account.id for token in tokens),
    }


def token_document(account: str, token: Token, when: When = seconds) -> dict[str, Any]:
    return {
        "id": token.id,
        "account": account,
        "name": token.name,
        "scopes": [scope.value for scope in token.scopes],
        "created": when(token.created),
        "expires": when(token.expires),
        "used": when(token.used),
    }
