"""Statements on SQLite as SQLAlchemy compiles them, in a file: a short process needs no SQLAlchemy at all.

They are found by what they say, so that one which was changed is not found, and compiled. `tests/known_texts.py` writes the
file, and a test holds that compiling gives the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from waycairn.catalog.plan import Field, Plan
from waycairn.catalog.tables import metadata

FILE = Path(__file__).with_name("known.json")


class Known(NamedTuple):
    """One of them."""

    text: str
    order: Sequence[str]
    """Names of its values."""
    fixed: Mapping[str, Any]
    """Those that it brings itself."""
    values: Mapping[str, Any]
    """See `plan`: by name, the column and what names its row."""
    results: Sequence[Any]
    """The same, the place in the row first."""

    @property
    def plan(self) -> Plan:
        return Plan(
            {name: _field(*where) for name, where in self.values.items()},
            {at: _field(*where) for at, *where in self.results},
        )


def key_of(said: Any) -> str:
    """The same for the same phrase, in any process."""
    return blake2b(repr(said).encode(), digest_size=9).hexdigest()


def find(said: Any) -> Known | None:
    found = _all()["statements"].get(key_of(said))
    return None if found is None else Known(*found)


def find_definitions(said: Any) -> Sequence[str] | None:
    """What creates these tables."""
    found: Sequence[str] | None = _all()["definitions"].get(key_of(said))
    return found


@cache
def _all() -> Mapping[str, Mapping[str, Any]]:
    try:
        known: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_bytes())
    except FileNotFoundError:
        return {"statements": {}, "definitions": {}}
    return known


def _field(table: str, column: str, row: Sequence[str | int] | None) -> Field:
    return Field(metadata.tables[table].c[column], row)
