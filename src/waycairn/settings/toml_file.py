"""`[tool.waycairn]` of a pyproject.toml: its values, and the line and column of each."""

from __future__ import annotations

import bisect
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from waycairn.settings.origin import Origin, Path
from waycairn.settings.problem import Problem, invalid

_TABLE: Path = ("tool", "waycairn")


class TomlFile:
    """Read once. Python's parser tells no places: they are found by reading the beginning of the file, longer and longer,
    until the value is there. That holds for everything that TOML can write."""

    def __init__(self, name: str, text: str) -> None:
        """Raises SettingsInvalid with the place for what is no TOML, or where something else stands in place of the table."""
        self.name = name
        self._lines = text.split("\n")
        self._read: dict[int, Mapping[str, Any] | None] = {}
        try:
            found: Any = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            origin = Origin("file", name, *_place_of(error, len(self._lines)))
            raise invalid([Problem(f"it is no TOML: {str(error).partition(' (at ')[0]}", (), origin)]) from None
        for step in _TABLE:
            found = found.get(step, {}) if isinstance(found, Mapping) else found
        self.values: Any = found

    def place(self, path: Path) -> Origin:
        """Of the value, or of the nearest thing around it."""
        full = (*_TABLE, *path)
        while not _is_there(self._beginning(len(self._lines)), full):
            full = full[:-1]
        first = bisect.bisect_left(range(len(self._lines) + 1), True, key=lambda lines: self._has(lines, full))
        line, column = self._column(first, self._readable(first), full)
        return Origin("file", self.name, line, column)

    def _has(self, lines: int, full: Path) -> bool:
        return _is_there(self._beginning(self._readable(lines)), full)

    def _readable(self, lines: int) -> int:
        """At least so many lines, and not in the middle of a value."""
        while self._beginning(lines) is None:
            lines += 1
        return lines

    def _beginning(self, lines: int) -> Mapping[str, Any] | None:
        if lines not in self._read:
            try:
                self._read[lines] = tomllib.loads("\n".join(self._lines[:lines]))
            except tomllib.TOMLDecodeError:
                self._read[lines] = None
        return self._read[lines]

    def _column(self, first: int, last: int, full: Path) -> tuple[int, int]:
        names = [step for step in full if isinstance(step, str)]
        pattern = re.compile(rf"""(?<![\w-])["']?{re.escape(names[-1])}["']?\s*=\s*""")
        for number in range(first, last + 1):
            found = pattern.search(self._lines[number - 1])
            if found is not None:
                return number, found.end() + 1
        return first, 1


def _is_there(found: Any, path: Path) -> bool:
    for step in path:
        try:
            found = found[step]
        except (LookupError, TypeError):
            return False
    return True


def _place_of(error: tomllib.TOMLDecodeError, lines: int) -> tuple[int, int]:
    found = re.search(r"at line (\d+), column (\d+)", str(error))
    return (int(found[1]), int(found[2])) if found else (lines, 1)
