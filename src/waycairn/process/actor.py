"""Who acts: for the audit log."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["acting", "current_actor"]

_acting: ContextVar[str | None] = ContextVar("waycairn_actor", default=None)


def current_actor() -> str:
    """`user@host`, as the system tells it. A name from WAYCAIRN_ACTOR or `acting` stands before it and never in its place:
    anybody can set a variable."""
    system = f"{_user()}@{socket.gethostname()}"
    name = _acting.get() or os.environ.get("WAYCAIRN_ACTOR", "").strip()
    return f"{name} ({system})" if name else system


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
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        return str(os.geteuid()) if hasattr(os, "geteuid") else os.environ.get("USERNAME", "unknown")
