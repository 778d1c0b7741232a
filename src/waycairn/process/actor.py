"""Who acts: for the audit log."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

__all__ = ["acting", "current_account", "current_actor"]

_acting: ContextVar[str | None] = ContextVar("waycairn_actor", default=None)


def current_actor() -> str:
    """`user@host`, as the system tells it. A name from WAYCAIRN_ACTOR, WAYCAIRN_ACCOUNT or `acting` stands before it and never in its place:
    anybody can set a variable."""
    system = f"{_user()}@{socket.gethostname()}"
    name = _acting.get() or _said("WAYCAIRN_ACTOR") or _said("WAYCAIRN_ACCOUNT")
    return f"{name} ({system})" if name else system


def current_account() -> str:
    """Who owns what this context makes: the account that it acts for, else the user as the system tells it. A process may give
    its runs to another account by WAYCAIRN_ACCOUNT: it can give away what is its own, and gets nothing by it."""
    return _acting.get() or _said("WAYCAIRN_ACCOUNT") or _user()


def _said(variable: str) -> str:
    return os.environ.get(variable, "").strip()


@contextmanager
def acting(name: str) -> Iterator[None]:
    """What this context does from now on is done for that account."""
    token = _acting.set(name)
    try:
        yield
    finally:
        _acting.reset(token)


def _user() -> str:
    """By the effective user id: LOGNAME and USER are only variables."""
    try:
        return _name_of(os.geteuid())
    except (ImportError, KeyError, AttributeError):
        return str(os.geteuid()) if hasattr(os, "geteuid") else os.environ.get("USERNAME", "unknown")


@cache
def _name_of(user: int) -> str:
    """Looked up once: each plain save asks whose it is. A failure is not remembered."""
    import pwd

    return pwd.getpwuid(user).pw_name
