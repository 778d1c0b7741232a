"""Writes `waycairn/catalog/known.json`: what SQLAlchemy makes of the catalog's statements on SQLite. By hand, after one was changed:

PYTHONPATH=src:tests python tests/known_texts.py
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from typing import Any

from sqlalchemy.sql.elements import ClauseElement

import waycairn.catalog
from waycairn.catalog import audit, backups, checkpoints, chunk_index, runs
from waycairn.catalog.known import FILE, key_of
from waycairn.catalog.sealed_plan import plan_of
from waycairn.catalog.statement import Statement, Texts, sqlite_texts
from waycairn.catalog.tables import metadata, versions


def statements() -> list[Statement]:
    """All that stand in the catalog's modules by name."""
    found: dict[int, Statement] = {}
    for module in pkgutil.iter_modules(waycairn.catalog.__path__, "waycairn.catalog."):
        if not module.ispkg:
            for value in vars(import_module(module.name)).values():
                many = value if isinstance(value, tuple) else (value,)
                found |= {id(one): one for one in many if isinstance(one, Statement)}
    return list(found.values())


def compiled() -> dict[str, dict[str, Any]]:
    """By what they say."""
    texts = Texts(sqlite_texts().address, sqlite_texts().dialect)
    both = (texts, texts.sealed())
    phrases = [one for one in statements() if not isinstance(one.build, ClauseElement)]  # those are of `postgres`
    known = dict(entry for one in [*phrases, *_made()] for texts in both for entry in _entry(one, texts))
    collections = (metadata, versions.metadata)
    made = texts.definitions(*collections)
    indexes = {text for text in made if " INDEX " in text}  # which SQLAlchemy gives in any order
    definitions = {key_of(collections): [*(text for text in made if text not in indexes), *sorted(indexes)]}
    return {"definitions": definitions, "statements": dict(sorted(known.items()))}


def _entry(statement: Statement, texts: Texts) -> Iterator[tuple[str, Any]]:
    said = texts.said(statement)
    found, plan = texts[statement], plan_of(statement.name, said)
    values = {name: [field.column.table.name, field.column.name, field.row] for name, field in plan.values.items()}
    results = [[at, field.column.table.name, field.column.name, field.row] for at, field in plan.results.items()]
    if not any(isinstance(value, bytes) for value in found.fixed.values()):  # a file of text holds none
        yield key_of(said), [found.text, found.order, found.fixed, values, results]


def _made() -> Iterator[Statement]:
    """Those made for the occasion that short processes run."""
    for count in (1, 16, 256):
        yield chunk_index._find_chunks(count)
    for asked in product((False, True), (False, True), (False, True)):
        columns = tuple(name for name, is_asked in zip(("kind", "role", "status"), asked, strict=True) if is_asked)
        for limited in (False, True):
            yield checkpoints._list_checkpoints(columns, of_run=True, tagged=False, before=False, limited=limited)
    for kind, role in product((False, True), (False, True)):  # the newest one
        columns = ("status", *(("kind",) if kind else ()), *(("role",) if role else ()))
        yield checkpoints._list_checkpoints(columns, of_run=True, tagged=False, before=False, limited=True)
    for columns, roots_only, limited in product(((), ("name",), ("root",), ("task",)), (False, True), (False, True)):
        yield runs._list_runs(columns, 0, tagged=False, roots_only=roots_only, limited=limited)
    for columns, states in product(((), ("kind",), ("owner",), ("owner", "kind")), range(4)):
        for limited in (False, True):
            yield backups._list(columns, states, limited=limited)
        yield backups._list(columns, states, paged=True, limited=True)
    for columns, states in (
        (("digest", "expires", "records", "size", "state", "stored", "verified"), 1),
        (("error", "state"), 1),
        (("error", "state"), 2),
        (("deleted", "error", "state"), 1),
        (("deleted", "error", "state"), 2),
        (("state",), 1),
        (("verified",), 1),
        (("error",), 2),
    ):
        yield backups._change(columns, states)
    yield runs._change_run(("status",))
    for name in audit._WANTED:
        yield audit._audit_before((name,))


def main() -> None:
    entries = compiled()
    lines = (f"{json.dumps(kind)}: {{\n{_lines(entries[kind])}\n}}" for kind in sorted(entries))
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _lines(entries: dict[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in entries.items())


if __name__ == "__main__":
    main()
