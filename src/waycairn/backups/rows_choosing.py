"""Some rows of a backup: whole tables by their names, or rows by table:key, with what hangs on these."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from waycairn.backups.rows_format import Row
from waycairn.backups.rows_shape import Shape, TableName


class Choice:
    """Asked for one table after the other, parents first. Raises ValueError for what is in no table of the backup."""

    def __init__(self, shapes: Sequence[Shape], only: Sequence[str] | None) -> None:
        self._whole = {shape.table for shape in shapes} if only is None else set()
        self._keys: dict[TableName, list[str]] = {}
        self._unfound: set[tuple[TableName, str]] = set()
        for words in only or ():
            self._add(shapes, words)
        self._shapes = {shape.table: shape for shape in shapes}
        self._chosen: dict[tuple[TableName, tuple[str, ...]], set[Row]] = {
            (key.parent, key.refers): set() for shape in shapes for key in shape.hangs_on
        }

    def _add(self, shapes: Sequence[Shape], words: str) -> None:
        pattern, separator, key = words.partition(":")
        names = [shape.table for shape in shapes if _names(pattern, shape.table)]
        if not names:
            there = ", ".join(str(shape.table) for shape in shapes)
            raise ValueError(f"only={words!r} names no table of this backup; it has {there}. Nothing was changed.")
        if not separator:
            self._whole.update(names)
            return
        for name in names:
            self._keys.setdefault(name, []).append(key)
            self._unfound.add((name, key))

    def touches(self, shape: Shape) -> bool:
        """Whether rows of this table may be wanted."""
        if shape.table in self._whole or shape.table in self._keys:
            return True
        return bool(self._keys) and any(self.touches(self._shapes[key.parent]) for key in shape.hangs_on)

    def taken(self, shape: Shape, rows: list[Row]) -> list[Row]:
        if not self._keys:
            return rows if shape.table in self._whole else []
        chosen = [row for row in rows if self._is_named(shape, row) or self._hangs(shape, row)]
        for (parent, refers), values in self._chosen.items():
            if parent == shape.table:
                values.update(_texts(shape, refers, row) for row in chosen)
        return rows if shape.table in self._whole else chosen

    def _is_named(self, shape: Shape, row: Row) -> bool:
        patterns = self._keys.get(shape.table)
        if not patterns:
            return False
        key = ",".join(_texts(shape, shape.key, row))
        found = [pattern for pattern in patterns if fnmatchcase(key, pattern)]
        self._unfound.difference_update((shape.table, pattern) for pattern in found)
        return bool(found)

    def _hangs(self, shape: Shape, row: Row) -> bool:
        return any(_texts(shape, key.columns, row) in self._chosen[key.parent, key.refers] for key in shape.hangs_on)

    def check_found(self) -> None:
        """After all tables were read."""
        if self._unfound:
            lost = ", ".join(sorted(f"{table}:{key}" for table, key in self._unfound))
            raise ValueError(
                f"there is no row {lost} in this backup. Nothing was changed. See `waycairn backup search`."
            )


def _names(pattern: str, table: TableName) -> bool:
    return any(fnmatchcase(name, pattern) for name in (str(table), table.name, table.member))


def _texts(shape: Shape, names: Sequence[str], row: Row) -> tuple[Any, ...]:
    """As text: the two ends of a foreign key may be of different types."""
    return tuple(str(row[place]) for place in shape.places(names))
