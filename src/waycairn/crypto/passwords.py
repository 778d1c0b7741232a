"""What people and programs sign in with, and what is kept of it: of a password what Argon2id makes of it, of a secret of ours
its hash. Neither leads back."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading

__all__ = ["TOKEN_PREFIX", "TooManyGuesses", "digest_of", "matches", "new_secret", "stored_form"]

TOKEN_PREFIX = "wct_"  # noqa: S105 - how tokens begin, so that leaked ones can be searched for
_MEMORY, _TIMES, _LANES = 64 * 1024, 2, 1
"""Argon2id: 64 MiB and an eighth of a second a guess. OWASP asks for 46 MiB once, or 19 MiB twice."""
_NOBODY = f"$argon2id$v=19$m={_MEMORY},t={_TIMES},p={_LANES}$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43
"""No password is known that has this form: checked where there is no account, so that the time tells nothing."""
_AT_ONCE, _WAITING = 2, 8
_hashing = threading.BoundedSemaphore(_AT_ONCE)
_admitted = threading.BoundedSemaphore(_AT_ONCE + _WAITING)


class TooManyGuesses(Exception):
    """So many passwords are being checked that this one would wait for long. Nothing was checked."""


def stored_form(password: str) -> str:
    """In PHC form, with a fresh salt. Takes a while, on purpose: never in an event loop."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    with _hashing:
        derive = Argon2id(salt=os.urandom(16), length=32, iterations=_TIMES, lanes=_LANES, memory_cost=_MEMORY)
        return derive.derive_phc_encoded(_bytes(password))


def matches(password: str, stored: str | None) -> bool:
    """Whether it is that password; False, after the same time, where none is stored. At most two are checked at once, as each
    takes 64 MiB. Raises TooManyGuesses."""
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    if not _admitted.acquire(blocking=False):
        raise TooManyGuesses
    try:
        with _hashing:
            Argon2id.verify_phc_encoded(_bytes(password), stored or _NOBODY)
    except InvalidKey:
        return False
    finally:
        _admitted.release()
    return stored is not None


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """What is stored. The secret is random and long: no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
