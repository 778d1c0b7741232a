"""Rows as lines of JSON, or as a table whose columns are found in a first pass over them; in bounded memory."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Protocol, TextIO

from waycairn.upkeep.exporting import CannotExport
from waycairn.upkeep.paths import is_numpy_scalar
from waycairn.upkeep.readable import readable

Row = Mapping[str, Any]
"""Column to cell, see `cell`; columns without anything in this row may be missing."""

_MOST_COLUMNS = 10_000
_EXACT = 1 << 53
"""Whole numbers up to this one are exact as floats."""


class Kind(StrEnum):
    """What a column holds."""

    BOOL = "bool"
    INT = "int"
    """Of 64 bits."""
    FLOAT = "float"
    TEXT = "text"
    JSON = "json"
    """Every value as the text of its JSON: they are of several kinds, or nested."""


class Source(Protocol):
    """What is exported. Each call begins at the first item again and gives the same."""

    @property
    def always(self) -> Mapping[str, Kind]:
        """Columns that are there even if nothing is in them, first in the table, and of which kind they are then."""
        ...

    def documents(self) -> Iterator[dict[str, Any]]:
        """Each item as JSON values."""
        ...

    def rows(self) -> Iterator[Row]:
        """Each item as a row of a table."""
        ...


def cell(value: Any) -> Any:
    """None, bool, int, float (NaN too), str, or for what is nested the list or dict of its readable form."""
    if isinstance(value, float) or (is_numpy_scalar(value) and value.dtype.kind == "f"):
        return float(value)
    return readable(value)


def write_jsonl(out: TextIO, source: Source, *, is_unicode: bool) -> int:
    """One object a line; returns their number. Without `is_unicode` all in ASCII."""
    encode = json.JSONEncoder(ensure_ascii=not is_unicode, allow_nan=False).encode
    return sum(1 for _ in map(out.write, (encode(document) + "\n" for document in source.documents())))


def write_csv(out: TextIO, source: Source) -> int:
    """A header, and a line for each row; returns their number. What is nested is the text of its JSON."""
    columns = find_columns(source)
    # Lines end as RFC 4180 has it: both characters are then quoted where they stand in a cell.
    writer = csv.writer(out)
    writer.writerow(columns)
    return sum(1 for _ in map(writer.writerow, _csv_lines(source, columns)))


def find_columns(source: Source) -> dict[str, Kind]:
    """One pass over all rows. Raises CannotExport where they are no table."""
    seen: dict[str, set[str]] = {name: set() for name in source.always}
    for row in source.rows():
        for name, value in row.items():
            if name not in seen:
                _add_column(seen, name)
            if value is not None:
                seen[name].add(_look(value))
    return {name: _kind(looks) or source.always.get(name, Kind.TEXT) for name, looks in seen.items()}


def check_columns(row: Row, columns: Mapping[str, Kind]) -> None:
    """Raises CannotExport for what the first pass did not see."""
    if not row.keys() <= columns.keys():
        raise changed()


def changed() -> CannotExport:
    return CannotExport(
        "the run was set back, or began anew, while it was exported. No file was written. Export it again."
    )


def json_text(value: Any) -> str:
    """Of a cell."""
    return json.dumps(readable(value), ensure_ascii=False, allow_nan=False)


def _add_column(seen: dict[str, set[str]], name: str) -> None:
    if len(seen) >= _MOST_COLUMNS:
        raise CannotExport(
            f"the results have more than {_MOST_COLUMNS:,} different fields: they are no table. No file was written. "
            "Use --format jsonl."
        )
    seen[name] = set()


def _look(value: Any) -> str:
    """What one cell needs its column to be."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) <= _EXACT else "long" if -(1 << 63) <= value < 1 << 63 else "huge"
    return "float" if isinstance(value, float) else "text" if isinstance(value, str) else "nested"


def _kind(looks: set[str]) -> Kind | None:
    """None if all cells are empty."""
    if not looks:
        return None
    for kind, accepted in _ACCEPTED.items():
        if looks <= accepted:
            return kind
    return Kind.JSON


_ACCEPTED = {
    Kind.BOOL: {"bool"},
    Kind.INT: {"int", "long"},
    Kind.FLOAT: {"int", "float"},
    Kind.TEXT: {"text"},
}
"""The first that fits."""


def _csv_lines(source: Source, columns: Mapping[str, Kind]) -> Iterator[list[Any]]:
    for row in source.rows():
        check_columns(row, columns)
        yield [_csv_text(row.get(name)) for name in columns]


def _csv_text(value: Any) -> Any:
    if isinstance(value, bool | list | dict):
        return json_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
