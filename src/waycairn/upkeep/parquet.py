"""A table as a Parquet file, by pyarrow: the one module that imports it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waycairn.upkeep.exporting import CannotExport
from waycairn.upkeep.tables import Kind, Source, changed, check_columns, find_columns, json_text

_MOST_CELLS, _MOST_TEXT = 500_000, 8 << 20
"""Cells and characters of a row group: what is in memory at a time."""


def write_parquet(draft: Path, source: Source) -> int:
    """Columns of int64, double, bool and string, found from the values; returns the number of rows. A column with
    values of several kinds or nested ones has each as JSON text, which its field says: `format` is `json`.

    Raises CannotExport.
    """
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise CannotExport(
            "writing Parquet needs the library pypa. Nothing was written. "
            "Install it: pip install 'waycairn[parquet]', or use --format csv."
        ) from None
    columns = find_columns(source)
    schema = pa.schema([_field(pa, name, kind) for name, kind in columns.items()])
    count = 0
    with ParquetWriter(str(draft), schema) as writer:
        group = _Group(columns)
        for row in source.rows():
            check_columns(row, columns)
            group.add(row)
            count += 1
            if group.is_full:
                writer.write_batch(group.batch(pa, schema))
                group = _Group(columns)
        if group.rows:
            writer.write_batch(group.batch(pa, schema))
    return count


def _field(pa: Any, name: str, kind: Kind) -> Any:
    types = {Kind.BOOL: pa.bool_(), Kind.INT: pa.int64(), Kind.FLOAT: pa.float64()}
    about = {"format": "json"} if kind is Kind.JSON else None
    return pa.field(_encodable(name), types.get(kind, pa.string()), metadata=about)


class _Group:
    """Rows that are written together, by column."""

    def __init__(self, columns: Mapping[str, Kind]) -> None:
        self._columns = columns
        self._values: dict[str, list[Any]] = {name: [] for name in columns}
        self._text = 0
        self.rows = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self.rows += 1
        for name, kind in self._columns.items():
            value = row.get(name)
            if value is not None and kind in {Kind.TEXT, Kind.JSON}:
                value = _encodable(json_text(value) if kind is Kind.JSON else value)
                self._text += len(value)
            self._values[name].append(value)

    @property
    def is_full(self) -> bool:
        return self._text >= _MOST_TEXT or self.rows * len(self._columns) >= _MOST_CELLS

    def batch(self, pa: Any, schema: Any) -> Any:
        try:
            arrays = [pa.array(values, field.type) for values, field in zip(self._values.values(), schema, strict=True)]
        except (ValueError, TypeError, OverflowError):
            # The first pass saw that every value fits.
            raise changed() from None
        return pa.record_batch(arrays, schema=schema)


def _encodable(text: str) -> str:
    """Lone surrogates, which UTF-8 does not have, are escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
