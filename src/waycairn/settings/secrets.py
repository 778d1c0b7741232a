"""What is never shown."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_NAMED = re.compile(r"passw|passphrase|secret|token|credential|api_?key", re.IGNORECASE)
_ADDRESS = re.compile(r"(://[^:/@\s]*):[^@\s]*@")
"""With a password in it."""


def masked(value: Any, *, is_secret: bool = False) -> Any:
    """As it may be shown: without what is marked as a secret, what is named like one, and passwords in addresses."""
    if is_secret and value is not None:
        return MASK
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, list | tuple):
        return [masked(below) for below in value]
    if isinstance(value, Mapping):
        return {name: masked(below, is_secret=bool(_NAMED.search(str(name)))) for name, below in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            one.name: masked(getattr(value, one.name), is_secret=_is_secret(one)) for one in dataclasses.fields(value)
        }
    return value


def without_passwords(words: str) -> str:
    """Addresses in it lose theirs."""
    return _ADDRESS.sub(rf"\1:{MASK}@", words)


def _is_secret(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("secret")) or bool(_NAMED.search(field.name))
