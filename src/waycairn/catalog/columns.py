"""Values <-> columns: JSON and text that both databases can hold, whatever a user puts into them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_WRAP = "$text"
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_EMPTY: dict[type, str] = {list: "[]", tuple: "[]", dict: "{}"}
ESCAPE = "\x1b"
LONGEST_PLACE = 2500
"""Characters. PostgreSQL cannot index an entry of more than 2,704 bytes."""


def encode_json(value: Any) -> str | None:
    """JSON text for a JSONB or TEXT column; None stays NULL.

    What PostgreSQL's JSONB cannot hold (NaN and the infinities, NUL, lone surrogates) is wrapped: the document
    becomes {"$text": "..."} with Python's own JSON text inside, and comes back as it was.
    """
    if value is None:
        return None
    if not value and type(value) in _EMPTY:
        # Most tags and metadata are.
        return _EMPTY[type(value)]
    try:
        text = _encode(value)
    except ValueError:
        return as_text(value)
    if "\\u0000" in text or "\\ud" in text or text.startswith('{"$text"'):
        return json.dumps({_WRAP: text})
    return text


def as_text(value: Any) -> str:
    """The wrapped form, for what JSONB would not give back as it was."""
    return json.dumps({_WRAP: json.dumps(value)})


def decode_json(text: str | None) -> Any:
    if text is None:
        return None
    if len(text) == 2:
        return [] if text == "[]" else {} if text == "{}" else json.loads(text)
    value = json.loads(text)
    if isinstance(value, dict) and value.keys() == {_WRAP}:
        return json.loads(value[_WRAP])
    return value


def encode_text(text: str) -> str:
    """Text for a TEXT column: NUL and lone surrogates (file names that are not UTF-8 have them) are escaped."""
    storable = text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
    if storable and "\0" not in text and not text.startswith(ESCAPE):
        return text
    return ESCAPE + text.encode("unicode_escape").decode("ascii")


def decode_text(text: str) -> str:
    """AttributeError for what is no text."""
    if not text.startswith(ESCAPE):
        return text
    return text[1:].encode("ascii").decode("unicode_escape")


def encode_maybe(text: str | None) -> str | None:
    return None if text is None else encode_text(text)


def decode_maybe(text: str | None) -> str | None:
    return None if text is None else decode_text(text)


def encode_place(*parts: str) -> str:
    """Several names as one unambiguous, sortable text that can be part of a primary key."""
    text = _encode(parts)
    if len(text) > LONGEST_PLACE:
        raise ValueError(
            f"the name {text[:60]}... has {len(text)} characters and a name may have {LONGEST_PLACE}. "
            "Nothing was committed. Use a shorter name or a hash of it."
        )
    return text


def decode_place(text: str) -> list[str]:
    parts: list[str] = json.loads(text)
    return parts


def identity(parent: str | None, name: str, key: str | None) -> str:
    """What is unique about a run, as text; long ones are hashed ("#" begins no JSON list)."""
    text = _encode([parent, name, key])
    return text if len(text) <= 200 else "#" + hashlib.sha256(text.encode("ascii")).hexdigest()
