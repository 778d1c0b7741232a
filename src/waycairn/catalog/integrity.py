"""Examining the file of an SQLite catalog, also one that is too damaged to be opened as a store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from waycairn.catalog.frozen import frozen_uri, has_no_room, is_frozen

_MOST = 20
"""Problems that are listed; a file that is badly damaged has thousands."""


def problems_of(path: Path, *, quick: bool = False) -> list[str]:
    """What SQLite's own check finds wrong in the file, nothing if it is sound. Reads the whole file, changes nothing.

    `quick` leaves out comparing indexes with their tables, which takes most of the time.
    """
    usual = f"{path.absolute().as_uri()}?mode=ro"
    try:
        if is_frozen(path):
            return _problems(frozen_uri(path), quick=quick)
        try:
            return _problems(usual, quick=quick)
        except sqlite3.OperationalError as error:
            if not has_no_room(error):
                raise
            return _problems(frozen_uri(path), quick=quick)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return [str(error)]


def _problems(uri: str, *, quick: bool) -> list[str]:
    check = f"PRAGMA {'quick_check' if quick else 'integrity_check'}({_MOST})"
    with closing(sqlite3.connect(uri, uri=True, timeout=10.0)) as connection:
        found = [str(row[0]) for row in connection.execute(check)]
        if found == ["ok"]:
            found = []
        found += [f"a row of {row[0]} has no {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")]
    return found[:_MOST]
