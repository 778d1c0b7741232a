"""The streams that are registered in configuration: in the nearest pyproject.toml upwards from the working directory."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waycairn.model.stream_settings import TABLE, StreamSettings, no_table, stream_settings


def registered_streams(start: Path | None = None) -> Mapping[str, StreamSettings]:
    """All of them, by name; none where there is no such file. ValueError for what is wrong in it."""
    file = settings_file(start)
    if file is None:
        return {}
    return {name: stream_settings(file, name, table) for name, table in _tables(file).items()}


def registered_stream(name: str, start: Path | None = None) -> StreamSettings:
    """One of them; the others are not looked at. ValueError where there is none of that name, or it is wrong."""
    file = settings_file(start)
    if file is None:
        raise ValueError(
            f"there is no pyproject.toml in {start or Path.cwd()} or above, and so no stream {name!r}. Go to the directory "
            f"of the project, and register it there: [{TABLE}.{name}]."
        )
    tables = _tables(file)
    if name not in tables:
        near = difflib.get_close_matches(name, tables, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else f" Register it: [{TABLE}.{name}]."
        listed = ", ".join(map(repr, tables)) or "none"
        raise ValueError(f"{file}: there is no stream {name!r}; these are registered: {listed}.{meant}")
    return stream_settings(file, name, tables[name])


def settings_file(start: Path | None = None) -> Path | None:
    """The nearest pyproject.toml."""
    here = (start or Path.cwd()).absolute()
    return next(
        (place / "pyproject.toml" for place in (here, *here.parents) if (place / "pyproject.toml").is_file()), None
    )


def _tables(file: Path) -> Mapping[str, Any]:
    found: Any = _parsed(file)
    for name in TABLE.split("."):
        found = found.get(name, {})
        if not isinstance(found, Mapping):
            raise no_table(file, f"is a table of streams; {name} is {found!r}")
    streams: Mapping[str, Any] = found
    return streams


def _parsed(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: it is no TOML: {error}. Correct it; nothing was started.") from None
