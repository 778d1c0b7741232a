"""A stream that is registered in configuration, `streams:` of a waycairn.yaml or `[tool.waycairn.streams.NAME]` of a
pyproject.toml, checked.

Everything in the table is relative to the directory of that file, so that it does not matter where a service starts.
"""

from __future__ import annotations

import difflib
import glob
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from waycairn.model.units import seconds

TABLE = "tool.waycairn.streams"
_DATABASES = ("sqlite", "postgresql")
_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""`package.module:name`, or `module:Class.name`."""

Place = Callable[[Path, str, str], str]
"""Of the file, the stream and the key: where that stands, with its line."""


def _of_file(file: Path, _name: str, _key: str) -> str:
    return str(file)


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one table says. Paths and the sink are absolute here."""

    name: str
    file: Path
    """The waycairn.yaml or pyproject.toml."""
    paths: Sequence[str]
    sink: str
    """The URL of a database, or the path of a file."""
    schema: str | None = None
    rows: str | None = None
    table: str | None = None
    write: str | None = None
    options: Mapping[str, Any] = {}
    """What `run.follow` is given beside that."""
    place: Place = _of_file

    @property
    def directory(self) -> Path:
        return self.file.parent

    @property
    def has_database(self) -> bool:
        """The sink is one; else it is a file."""
        return "://" in self.sink

    def refuse(self, key: str, what: str) -> NoReturn:
        """Raise ValueError that says where the setting stands."""
        raise ValueError(_said(self.file, self.name, key, self.place) + what)


def stream_settings(file: Path, name: str, table: Any, place: Place = _of_file) -> StreamSettings:
    """Check a table. ValueError says which file, which table, which key, and what is allowed."""
    if not isinstance(table, Mapping):
        raise no_table(file, f"{name} is a table of settings, not {table!r}")
    for key in table:
        if key not in _CHECKS:
            raise ValueError(_said(file, name, key, place) + _unknown(key, _CHECKS))
    given: dict[str, Any] = {}
    for key, value in table.items():
        try:
            given[key] = _CHECKS[key](value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{_said(file, name, key, place)}{error}.") from None
    for key in ("paths", "sink"):
        if key not in given:
            raise ValueError(_said(file, name, key, place) + "it is missing, and a stream needs it.")
    options = {key: given.pop(key) for key in _OPTIONS if key in given}
    given["paths"] = [_absolute_pattern(file.parent, path) for path in given["paths"]]
    given["sink"] = _absolute_sink(file.parent, given["sink"])
    settings = StreamSettings(name=name, file=file, options=options, place=place, **given)
    _check_together(settings)
    return settings


def no_table(file: Path, what: str) -> ValueError:
    """Something else stands where a table has to be."""
    return ValueError(f"{file}: {table_name(file)} {what}.")


def table_name(file: Path, name: str = "") -> str:
    """As it stands in that file."""
    if file.suffix != ".toml":
        return f"streams.{name}" if name else "streams"
    return f"[{TABLE}.{name}]" if name else f"[{TABLE}]"


def _check_together(settings: StreamSettings) -> None:
    """What only makes sense beside something else."""
    if settings.rows and settings.write:
        settings.refuse("write", 'there is rows too. Give one of both: rows makes rows of events, write has the "tx".')
    if not (settings.rows or settings.write):
        settings.refuse("rows", 'it is missing: rows = "module:function", or write = "module:function".')
    if settings.table and not settings.rows:
        settings.refuse("table", "it goes with rows; write says itself where its rows go.")
    if settings.has_database and settings.rows and not settings.table:
        settings.refuse("table", "it is missing: the name of the table that the rows go into.")
    if settings.table and not settings.has_database:
        settings.refuse("table", "the sink is a file, which has none. Each of the rows is a line of JSON there.")


def _said(file: Path, name: str, key: str, place: Place) -> str:
    return f"{place(file, name, key)}: {table_name(file, name)} {key}: "


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"there is no such setting; {meant}These are: {', '.join(known)}."


# -- one setting --------------------------------------------------------------------------------------------------


def _paths(value: Any) -> Sequence[str]:
    listed = [value] if isinstance(value, str) else value
    if not (isinstance(listed, list) and listed and all(isinstance(one, str) and one for one in listed)):
        raise ValueError(f'it is a list of paths or patterns such as ["logs/*.jsonl"], not {value!r}')
    return listed


def _text(value: Any) -> str:
    if not (isinstance(value, str) and value):
        raise ValueError(f"it is a text, not {value!r}")
    return value


def _sink(value: Any) -> str:
    sink = _text(value)
    scheme, separator, rest = sink.partition("://")
    if not separator:
        return sink
    if scheme.partition("+")[0] not in _DATABASES:
        raise ValueError(f"{scheme}:// is no sink; sqlite:///FILE, postgresql://… and the path of a file are")
    if scheme.startswith("sqlite") and rest.partition("?")[0] in {"", "/", "/:memory:"}:
        raise ValueError("a database in memory remembers nothing; name a file: sqlite:///FILE")
    return sink


def _reference(value: Any) -> str:
    if not (isinstance(value, str) and _REFERENCE.fullmatch(value)):
        raise ValueError(f'it is "module:name", not {value!r}')
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"it is a number from 1, not {value!r}")
    return value


def _duration(value: Any) -> float | str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f'it is a length of time such as "200ms", not {value!r}')
    seconds("it", value)
    return value


def _ratio(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"it is a share of lines, from 0 to below 1, not {value!r}")
    return float(value)


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"it is one of {', '.join(allowed)}, not {value!r}")
        return str(value)

    return check


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "batch": _count,
    "every": _duration,
    "on_error": _one_of("dead_letter", "stop", "skip"),
    "max_dead_ratio": _ratio,
    "final_line": _one_of("wait", "take"),
    "on_copy": _one_of("adopt", "reread"),
    "line_limit": _count,
}
_CHECKS: dict[str, Callable[[Any], Any]] = {
    "paths": _paths,
    "sink": _sink,
    "schema": _reference,
    "rows": _reference,
    "table": _text,
    "write": _reference,
    **_OPTIONS,
}


# -- relative to the file -----------------------------------------------------------------------------------------


def _absolute_pattern(directory: Path, path: str) -> str:
    """The directory is no pattern, whatever characters its name has."""
    expanded = Path(path).expanduser()
    return str(expanded if expanded.is_absolute() else Path(glob.escape(str(directory))) / expanded)


def _absolute_sink(directory: Path, sink: str) -> str:
    if "://" not in sink:
        return str(directory / Path(sink).expanduser())
    from sqlalchemy import make_url  # how it writes a path into an address depends on its version

    url = make_url(sink)
    if url.get_backend_name() != "sqlite":
        return sink
    return url.set(database=str(directory / (url.database or ""))).render_as_string(hide_password=False)
