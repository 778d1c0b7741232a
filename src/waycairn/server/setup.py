"""The first start: no account is there and no default password, so the one who started the server gets a link that makes the
first admin, once."""

from __future__ import annotations

import hmac
import threading

from waycairn.server.doorkeeper import digest_of, new_secret
from waycairn.store import StoreCore

__all__ = ["Setup"]


class Setup:
    """Thread-safe. Only the hash of the secret is kept, and only in memory: the next start gives out another one."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core
        self._digest: bytes | None = None
        self.lock = threading.Lock()
        """Held from the check of the secret until the account is there: it works once."""

    @property
    def is_needed(self) -> bool:
        return not self._core.catalog.list_accounts()

    def begin(self) -> str | None:
        """The secret; None where there are accounts already."""
        if not self.is_needed:
            return None
        secret = new_secret()
        self._digest = digest_of(secret)
        return secret

    def accepts(self, secret: str) -> bool:
        """Whether it is the secret that was given out, and nobody used it yet."""
        return self._digest is not None and hmac.compare_digest(self._digest, digest_of(secret)) and self.is_needed

    def end(self) -> None:
        """The secret is worth nothing more."""
        self._digest = None
