"""Recognises who asks: by a token, or by the cookie of a login. What is compared are hashes, so a copy of the catalog signs
nobody in."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from fastapi import Request, Response

from waycairn.crypto.passwords import TOKEN_PREFIX, digest_of, new_secret
from waycairn.model.accounts import Account, AccountId, Role, Token
from waycairn.server.access import Caller
from waycairn.server.problems import Problem
from waycairn.server.serving import Options
from waycairn.work.store import Store

__all__ = ["COOKIE", "CSRF", "TOKEN_PREFIX", "Doorkeeper", "csrf_of", "digest_of", "new_secret"]

COOKIE = "waycairn_login"
CSRF = "X-Waycairn-CSRF"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_EVERY = 60.0
"""Seconds between two notes that somebody was here."""


def csrf_of(secret: str) -> str:
    """Only who can read our answers learns it; it tells nothing of the cookie."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


class Doorkeeper:
    def __init__(self, store: Store, options: Options) -> None:
        self._core, self._accounts, self._options = store.core, store.accounts, options
        self.cookie = f"{COOKIE}_{store.core.catalog.info.id[:8]}"
        """One for each store: browsers tell two servers of one host apart by name, not by port."""

    def recognise(self, request: Request, *, by_csrf: bool = True) -> Caller | None:
        """None for somebody who says nothing, or whose word is worth nothing (any more). Raises Problem for a request that
        another site may have made a browser send. Not `by_csrf`: a page that signs somebody in has lost that word."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._by_token(token.strip())
        if request.method not in _SAFE:
            self._refuse_foreign(request)
        cookie = request.cookies.get(self.cookie)
        caller = None if cookie is None else self._by_cookie(cookie)
        if caller is not None and by_csrf and request.method not in _SAFE:
            said = request.headers.get(CSRF, "")
            if not hmac.compare_digest(said.encode(), (caller.csrf or "").encode()):
                raise _forged(f"The header {CSRF} is missing or of another login")
        return caller

    def hand_out(self, response: Response, secret: str) -> None:
        """Only to be sent back to us, by pages of ours, and shown to no script."""
        response.set_cookie(
            self.cookie,
            secret,
            max_age=int(self._core.settings.server.login_longest),
            path="/",
            httponly=True,
            samesite="strict",
            secure=self._options.secure,
        )

    def take_back(self, response: Response) -> None:
        response.delete_cookie(self.cookie, path="/", httponly=True, samesite="strict", secure=self._options.secure)

    def _refuse_foreign(self, request: Request) -> None:
        """Browsers say where a page comes from that sends something; programs say nothing."""
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise _forged("Another site made the browser send it")
        origin = request.headers.get("origin")
        if origin is not None and not self._is_ours(origin, request.headers.get("host", "")):
            raise _forged(f"It comes from a page of {origin}")

    def _is_ours(self, origin: str, host: str) -> bool:
        try:
            place = urlsplit(origin)
            return place.netloc == host or place.hostname in self._options.hosts
        except ValueError:
            return False

    def _by_token(self, secret: str) -> Caller | None:
        token = self._core.catalog.find_token(digest_of(secret))
        account = None if token is None else self._alive(token.account, token.expires)
        if token is None or account is None:
            return None
        now = self._core.clock.now()
        if token.used is None or token.used < now - _EVERY:
            self._core.catalog.use_token(token.digest, now)
        return Caller(account, _least(account.role, token), expires=token.expires)

    def _by_cookie(self, secret: str) -> Caller | None:
        login = self._core.catalog.find_login(digest_of(secret))
        account = None if login is None else self._alive(login.account, login.expires)
        if login is None or account is None:
            return None
        now = self._core.clock.now()
        if login.seen < now - _EVERY:
            self._core.catalog.use_login(login.digest, now, self._accounts.expiry(login.created, now))
        return Caller(account, account.role, csrf_of(secret), login, login.expires)

    def _alive(self, account: AccountId, expires: float | None) -> Account | None:
        if expires is not None and expires <= self._core.clock.now():
            return None
        found = self._core.catalog.get_account(account)
        return found if found is not None and found.disabled is None else None


def _least(role: Role, token: Token) -> Role:
    asked = max(token.scopes, key=lambda scope: scope.rank, default=Role.VIEWER)
    return min(role, asked, key=lambda one: one.rank)


def _forged(why: str) -> Problem:
    return Problem(403, "forged request", f"{why}. Nothing was done. Reload the page.")
