"""What a killed and resumed job left, beside what an undisturbed one left."""

from __future__ import annotations

import csv
import fnmatch
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from waycairn.crashtest import forms
from waycairn.crashtest.difference import Difference, Kind
from waycairn.crashtest.lines import compare_lines
from waycairn.crashtest.place import Place
from waycairn.crashtest.settings import Settings, split_field, split_rule
from waycairn.errors import WaycairnError
from waycairn.upkeep.differences import differences
from waycairn.upkeep.outcome import outcome

_PASSING = ("*.pyc", "*.db-wal", "*.db-shm", "*.sqlite-wal", "*.sqlite-shm", "*.sqlite3-wal", "*.sqlite3-shm")
"""Files that come and go with what they belong to."""
_DATABASES = {".db", ".sqlite", ".sqlite3"}
_ARRAYS = {".npy", ".npz", ".safetensors"}
_HERE = "<directory>"
_MOST = 20
"""Differences told of one trial."""


class Comparison:
    """Places against the one of the undisturbed run, by the rules that were given."""

    def __init__(self, settings: Settings, golden: Place) -> None:
        self._golden = golden
        self._ignored = [split_field(one) for one in settings.ignore]
        self._rules = [split_rule(one) for one in settings.normalize]
        self._unordered = settings.unordered
        self._queries = [(name, query) for name, _, query in (one.partition(":") for one in settings.sql)]

    def compare(self, other: Place) -> list[Difference]:
        """Files, results of queries, and what the stores remember."""
        return [*self._files(other), *self._rows(other), *self._stores(other)][:_MOST]

    def written(self, source: Path) -> int:
        """How many files the undisturbed job made or changed, of those that are compared."""
        found = self._listed(self._golden)
        before = {name: source / name for name in found if (source / name).is_file()}
        return sum(name not in before or path.read_bytes() != before[name].read_bytes() for name, path in found.items())

    # -- files -------------------------------------------------------------------------------------------------------

    def _files(self, other: Place) -> Iterator[Difference]:
        before, after = self._listed(self._golden), self._listed(other)
        for name in sorted(before.keys() - after.keys()):
            yield Difference(name, "is missing", "missing")
        for name in sorted(after.keys() - before.keys()):
            yield Difference(name, "is left over: an undisturbed run leaves no such file", "extra")
        for name in sorted(before.keys() & after.keys()):
            yield from self._file(name, before[name], after[name], other)

    def _listed(self, place: Place) -> dict[str, Path]:
        stores = place.stores()
        found = {}
        for path in place.work.rglob("*"):
            name = path.relative_to(place.work).as_posix()
            passes = any(fnmatch.fnmatch(name, one) for one in _PASSING) or self._is_ignored(name)
            if path.is_file() and not passes and not any(path.is_relative_to(store) for store in stores):
                found[name] = path
        return found

    def _is_ignored(self, name: str) -> bool:
        return any(field is None and fnmatch.fnmatch(name, pattern) for pattern, field in self._ignored)

    def _fields(self, name: str) -> list[str]:
        return [field for pattern, field in self._ignored if field is not None and fnmatch.fnmatch(name, pattern)]

    def _file(self, name: str, old: Path, new: Path, other: Place) -> list[Difference]:
        was, became = old.read_bytes(), new.read_bytes()
        if was == became:
            return []
        try:
            if old.suffix in _DATABASES:
                return forms.compare_databases(name, old, new, self._fields(name))
            if old.suffix in _ARRAYS:
                return forms.compare_arrays(name, old, new, self._fields(name))
            return self._texts(name, self._text(name, was, self._golden), self._text(name, became, other))
        except (ValueError, sqlite3.DatabaseError, zipfile.BadZipFile, OSError, ImportError):
            cut_off = was.startswith(became)
            what = f"{len(became):,} bytes instead of {len(was):,}{', cut off' if cut_off else ', of other content'}"
            return [Difference(name, what, "damaged" if cut_off else "changed")]

    def _text(self, name: str, content: bytes, place: Place) -> str:
        """UnicodeDecodeError, a ValueError, if it is none."""
        text = content.decode("utf-8").replace(str(place.work), _HERE)
        for pattern, regex, by in self._rules:
            if fnmatch.fnmatch(name, pattern):
                text = regex.sub(by, text)
        return text

    def _texts(self, name: str, old: str, new: str) -> list[Difference]:
        if old == new:
            return []
        fields = self._fields(name)
        unordered = any(fnmatch.fnmatch(name, pattern) for pattern in self._unordered)
        try:
            match Path(name).suffix:
                case ".json":
                    return forms.compare_json(name, old, new, fields)
                case ".jsonl" | ".ndjson":
                    return forms.compare_json_lines(name, old, new, fields, unordered=unordered)
                case ".csv" | ".tsv" as suffix:
                    return forms.compare_csv(name, old, new, fields, unordered=unordered, tabs=suffix == ".tsv")
        except (json.JSONDecodeError, csv.Error):
            pass  # half a document: the lines say where it ends
        return compare_lines(name, old.splitlines(), new.splitlines(), unordered=unordered)

    # -- databases and stores ----------------------------------------------------------------------------------------

    def _rows(self, other: Place) -> Iterator[Difference]:
        for name, query in self._queries:
            where = f"{name}: {query}"
            try:
                old = forms.query(self._golden.work / name, query)
            except sqlite3.Error as error:
                raise ValueError(f"--sql {where}: {error} after an undisturbed run") from None
            try:
                yield from compare_lines(where, old, forms.query(other.work / name, query))
            except sqlite3.Error as error:
                yield Difference(where, str(error), "missing")

    def _stores(self, other: Place) -> Iterator[Difference]:
        fields = self._fields("store")
        before, after = self._undisturbed, _outcomes(other)
        for name in sorted(before.keys() ^ after.keys()):
            kind: Kind = "missing" if name in before else "extra"
            yield Difference(f"store {name}", "is missing" if name in before else "is left over", kind)
        for name in sorted(before.keys() & after.keys()):
            for one in differences(before[name], after[name]):
                if not any(fnmatch.fnmatch(one.path, field) for field in fields):
                    what = f"{one.path} is {one.new_text() or 'missing'}, not {one.old_text() or 'there'}"
                    yield Difference(f"store {name}", what, "ledger")

    @cached_property
    def _undisturbed(self) -> dict[str, Any]:
        return _outcomes(self._golden)


def _outcomes(place: Place) -> dict[str, Any]:
    """Of each store, by its path."""
    from waycairn.wiring import open_core

    found = {}
    for path in place.stores():
        name = path.relative_to(place.work).as_posix()
        try:
            with closing(open_core(path, create=False)) as core:
                found[name] = _without_place(outcome(core), place)
        except WaycairnError as error:
            found[name] = {"all runs": {"error": str(error)}}
    return found


def _without_place(runs: dict[str, dict[str, Any]], place: Place) -> dict[str, dict[str, Any]]:
    """Outputs are remembered by their absolute paths."""
    for facts in runs.values():
        facts["outputs"] = {
            name.replace(str(place.work), _HERE): length for name, length in facts.get("outputs", {}).items()
        }
    return runs
