"""Which file holds: the nearest one upwards from the working directory that says anything."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from waycairn.settings import origin
from waycairn.settings.problem import Problem, invalid
from waycairn.settings.variables import FILE

YAML, TOML = "waycairn.yaml", "pyproject.toml"


class SettingsFile(Protocol):
    """A file that was read."""

    name: str
    values: Any

    def place(self, path: origin.Path) -> origin.Origin: ...


def find(start: str | None = None, environment: Mapping[str, str] | None = None) -> str | None:
    """The path that WAYCAIRN_SETTINGS says, else of the nearest waycairn.yaml, or pyproject.toml with a [tool.waycairn].
    SettingsInvalid where one directory has both (which of them was meant cannot be told), or what was said is not there."""
    said = (os.environ if environment is None else environment).get(FILE)
    if said:
        if not os.path.isfile(said):  # noqa: PTH113
            raise invalid([Problem(f"there is no file {said!r}", (), origin.Origin("environment", FILE))])
        return os.path.abspath(said)  # noqa: PTH100
    here = os.path.abspath(start or os.getcwd())  # noqa: PTH100, PTH109 - asked for at each open: microseconds
    while True:
        found = find_in(here)
        above = os.path.dirname(here)  # noqa: PTH120
        if found is not None or above == here:
            return found
        here = above


def find_in(here: str) -> str | None:
    """Only in that directory."""
    yaml, toml = os.path.join(here, YAML), os.path.join(here, TOML)  # noqa: PTH118
    has_yaml, has_toml = os.path.isfile(yaml), _says_something(toml)  # noqa: PTH113
    if has_yaml and has_toml:
        what = f"there are both {YAML} and [tool.waycairn] in {TOML}, and which of them holds cannot be told. Keep one of them"
        raise invalid([Problem(what, (), origin.Origin("file", here))])
    return yaml if has_yaml else toml if has_toml else None


def read(path: str) -> SettingsFile:
    """By its name. Raises SettingsInvalid for what is in it, OSError where it cannot be read."""
    return _read(path, *_signature(path))


def _says_something(toml: str) -> bool:
    try:
        signature = _signature(toml)
    except OSError:
        return False
    return _has_table(toml, *signature)


def _signature(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=64)
def _has_table(path: str, _changed: int, _size: int) -> bool:
    """A pyproject.toml that is broken belongs to others, unless it may be about us."""
    text = Path(path).read_bytes()
    if b"waycairn" not in text:
        return False
    import tomllib  # 25 ms, for a file that names us

    try:
        tool = tomllib.loads(text.decode("utf-8-sig")).get("tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return b"tool.waycairn" in text
    return isinstance(tool, dict) and "waycairn" in tool


@functools.lru_cache(maxsize=16)
def _read(path: str, _changed: int, _size: int) -> SettingsFile:
    try:
        text = Path(path).read_text("utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        what = f"it is no UTF-8: {error}" if isinstance(error, ValueError) else f"it cannot be read ({error.strerror})"
        raise invalid([Problem(what, (), origin.Origin("file", path, 1, 1))]) from None
    if path.endswith(".toml"):
        from waycairn.settings.toml_file import TomlFile

        return TomlFile(path, text)
    from waycairn.settings.yaml_file import YamlFile

    return YamlFile(path, text)
