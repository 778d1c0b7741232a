"""Files by what they mean: JSON, CSV, arrays, tensors and SQLite databases that say the same are the same."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from waycairn.crashtest.difference import Difference, Kind
from waycairn.crashtest.lines import compare_lines
from waycairn.upkeep.differences import Difference as Changed
from waycairn.upkeep.differences import differences

_MOST = 5
"""Differences told of one file."""
Fields = Sequence[str]
"""Patterns of what is ignored in it."""


def compare_json(where: str, old: str, new: str, ignored: Fields) -> list[Difference]:
    """Structure against structure; the order of keys and blanks mean nothing. ValueError if either is none."""
    return _values(where, json.loads(old), json.loads(new), ignored)


def compare_json_lines(where: str, old: str, new: str, ignored: Fields, *, unordered: bool) -> list[Difference]:
    """One document a line. ValueError if one is none."""
    before, after = ([_line(json.loads(line), ignored) for line in text.splitlines()] for text in (old, new))
    return compare_lines(where, before, after, unordered=unordered)


def _line(document: Any, ignored: Fields) -> str:
    return json.dumps(_without(document, "", ignored), sort_keys=True, ensure_ascii=False)


def _without(value: Any, path: str, ignored: Fields) -> Any:
    if isinstance(value, dict):
        return {
            name: _without(content, _join(path, name), ignored)
            for name, content in value.items()
            if not _is_ignored(_join(path, name), ignored)
        }
    if isinstance(value, list):
        return [_without(content, _join(path, place), ignored) for place, content in enumerate(value)]
    return value


def compare_csv(where: str, old: str, new: str, ignored: Fields, *, unordered: bool, tabs: bool) -> list[Difference]:
    """Row against row, however they are quoted; columns are ignored by the name in the first row."""
    rows = []
    for text in (old, new):
        found = list(csv.reader(io.StringIO(text), delimiter="\t" if tabs else ","))
        left_out = {place for place, name in enumerate(found[0] if found else ()) if _is_ignored(name, ignored)}
        rows.append([",".join(cell for place, cell in enumerate(row) if place not in left_out) for row in found])
    return compare_lines(where, *rows, unordered=unordered)


def compare_arrays(where: str, old: Path, new: Path, ignored: Fields) -> list[Difference]:
    """npy, npz and safetensors: names, shapes, dtypes and every element. ValueError if one is none."""
    load = _LOADERS[old.suffix]
    return _values(where, load(old), load(new), ignored)


def _load_numpy(path: Path) -> Any:
    import numpy as np

    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        return {name: loaded[name] for name in loaded.files}


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise ValueError(str(error)) from error


_LOADERS: dict[str, Callable[[Path], Any]] = {
    ".npy": _load_numpy,
    ".npz": _load_numpy,
    ".safetensors": _load_safetensors,
}


def _values(where: str, old: Any, new: Any, ignored: Fields) -> list[Difference]:
    found = []
    for one in differences(old, new):
        path = one.path.replace("[", ".").replace("]", "").replace("'", "").replace('"', "").lstrip(".")
        if _is_ignored(path, ignored):
            continue
        found.append(Difference(where, f"{path or 'the whole'} {_words(one)}", _kind(path, one)))
        if len(found) == _MOST:
            break
    return found


def _words(one: Changed) -> str:
    if one.act == "added":
        return f"is too much: {one.new_text()}"
    if one.act == "removed":
        return f"is missing: {one.old_text()}"
    detail = f" ({one.array.elements:,} of {one.array.of:,} elements differ)" if one.array else ""
    return f"is {one.new_text()}, not {one.old_text()}{detail}"


def _kind(path: str, one: Changed) -> Kind:
    """A longer list looks like an append that was repeated, a shorter one like work that was lost."""
    if not path.rpartition(".")[2].isdigit() or one.act == "changed":
        return "changed"
    return "repeated" if one.act == "added" else "lost"


def compare_databases(where: str, old: Path, new: Path, ignored: Fields) -> list[Difference]:
    """SQLite: the rows of each table, in any order. sqlite3.DatabaseError if one is none."""
    before, after = dict(_tables(old, ignored)), dict(_tables(new, ignored))
    found = [
        Difference(where, f"table {name} is {'missing' if name in before else 'too much'}", "changed")
        for name in before.keys() ^ after.keys()
    ]
    for name in before.keys() & after.keys():
        found += compare_lines(f"{where}, table {name}", before[name], after[name], unordered=True)
    return found[:_MOST]


def _tables(path: Path, ignored: Fields) -> Iterator[tuple[str, list[str]]]:
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if _is_ignored(name, ignored) or name.startswith("sqlite_"):
                continue
            quoted = name.replace('"', '""')
            cursor = database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - a name of that database itself
            kept = [
                place
                for place, column in enumerate(cursor.description)
                if not _is_ignored(f"{name}.{column[0]}", ignored)
            ]
            yield name, [repr(tuple(row[place] for place in kept)) for row in cursor]


def query(database: Path, statement: str) -> list[str]:
    """The rows of a query, as text. sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return sorted(repr(row) for row in connection.execute(statement))


def _is_ignored(path: str, ignored: Fields) -> bool:
    return any(fnmatch.fnmatch(path, one) or path.startswith(f"{one}.") for one in ignored)


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
