"""What is never shown."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"
_NAMED = re.compile(r"(passw|passphrase|secret|token|credential|api_?key)(?!.*_(env|file)$)", re.IGNORECASE)
"""The name of the variable or file that holds a secret is none."""
_ADDRESS = re.compile(r"(://[^:/@\s]*):[^@\s]*@")
"""With a password in it."""


def masked(value: Any, *, is_secret: bool = False) -> Any:
    """As it may be shown: without what is marked as a secret, what is named like one, and passwords in addresses."""
    if is_secret and value is not None and value != "":
        return MASK
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, list | tuple):
        return [masked(below) for below in value]
    if isinstance(value, Mapping):
        return {name: masked(below, is_secret=bool(_NAMED.search(str(name)))) for name, below in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: masked(said, is_secret=_is_secret(one)) for one, said in _said(value)}
    return value


def _said(record: Any) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """What it says beside its defaults."""
    for one in dataclasses.fields(record):
        default = one.default if one.default_factory is dataclasses.MISSING else one.default_factory()
        if getattr(record, one.name) != default:
            yield one, getattr(record, one.name)


def without_passwords(words: str) -> str:
    """Addresses in it lose theirs."""
    return _ADDRESS.sub(rf"\1:{MASK}@", words)


def is_named_like_a_secret(name: str) -> bool:
    return bool(_NAMED.search(name))


def _is_secret(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("secret")) or bool(_NAMED.search(field.name))
