"""The streams that are registered in configuration: in the nearest settings file upwards from the working directory."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waycairn.model.stream_settings import StreamSettings, no_table, stream_settings, table_name
from waycairn.settings.finding import SettingsFile, find, read


def registered_streams(start: Path | None = None) -> Mapping[str, StreamSettings]:
    """All of them, by name; none where there is no such file. ValueError for what is wrong in it."""
    file = _settings_file(start)
    return {} if file is None else {name: _checked(file, name, table) for name, table in _tables(file).items()}


def registered_stream(name: str, start: Path | None = None) -> StreamSettings:
    """One of them; the others are not looked at. ValueError where there is none of that name, or it is wrong."""
    file = _settings_file(start)
    if file is None:
        raise ValueError(
            f"there is no waycairn.yaml, and no pyproject.toml with a [tool.waycairn], in {start or Path.cwd()} or above, and "
            f"so no stream {name!r}. Go to the directory of the project, and register it there: streams: {name}: …"
        )
    tables = _tables(file)
    if name not in tables:
        near = difflib.get_close_matches(name, tables, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else f" Register it: {table_name(Path(file.name), name)}."
        listed = ", ".join(map(repr, tables)) or "none"
        raise ValueError(f"{file.name}: there is no stream {name!r}; these are registered: {listed}.{meant}")
    return _checked(file, name, tables[name])


def check_streams(path: Path) -> int:
    """How many a file registers. ValueError for what is wrong in it."""
    file = read(str(path))
    return len([_checked(file, name, table) for name, table in _tables(file).items()])


def _checked(file: SettingsFile, name: str, table: Any) -> StreamSettings:
    return stream_settings(
        Path(file.name), name, table, lambda _file, stream, key: str(file.place(("streams", stream, key)))
    )


def _settings_file(start: Path | None) -> SettingsFile | None:
    path = find(None if start is None else str(start))
    return None if path is None else read(path)


def _tables(file: SettingsFile) -> Mapping[str, Any]:
    """As registered, not looked at yet."""
    found = file.values.get("streams") if isinstance(file.values, Mapping) else file.values
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise no_table(Path(file.name), f"is a table of streams; streams is {found!r}")
    return {str(name): table for name, table in found.items()}
