"""What the items of a run gave, or how they failed, one after the other: the sources of an export."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from waycairn.codec.keys import Key, plain, single_key
from waycairn.model.ids import RunId
from waycairn.store import StoreCore
from waycairn.upkeep.batch import done_items
from waycairn.upkeep.paths import fields_of
from waycairn.upkeep.readable import readable
from waycairn.upkeep.sizes import iso
from waycairn.upkeep.tables import Kind, Row, cell, changed

_RESERVED = re.compile(r"(result\.)*(key|loop|result)")
"""Fields of these names get one more `result.` in front, so that no two fields share a column."""


@dataclass(frozen=True)
class DoneResults:
    """Every item that was done when this was made, with what it gave. Implements `tables.Source`; what one cut gave is
    in memory at a time."""

    core: StoreCore
    run: RunId
    counts: Mapping[str, int]
    """Loop to the number of its items: those that are done later come behind these, and are left out."""

    @classmethod
    def of(cls, core: StoreCore, run: RunId) -> DoneResults:
        return cls(core, run, dict(sorted(core.catalog.loops(run).items())))

    def only(self, loop: str) -> DoneResults:
        """Of one loop; KeyError if there is none of that name."""
        return DoneResults(self.core, self.run, {loop: self.counts[loop]})

    @property
    def always(self) -> Mapping[str, Kind]:
        return {"key": Kind.TEXT, "loop": Kind.TEXT}

    def documents(self) -> Iterator[dict[str, Any]]:
        for loop, key, result in self._items():
            yield {"key": plain(key), "loop": loop, "result": readable(result)}

    def rows(self) -> Iterator[Row]:
        """Fields of records in columns of their own, anything else in the column `result`."""
        for loop, key, result in self._items():
            row = {"key": plain(key), "loop": loop}
            if result is not None:
                row.update(_cells(result))
            yield row

    def _items(self) -> Iterator[tuple[str, Key, Any]]:
        for loop, count in self.counts.items():
            found = 0
            for item in islice(done_items(self.core, self.run, loop), count):
                found += 1
                yield item
            if found < count:
                raise changed()


def _cells(result: Any) -> dict[str, Any]:
    fields = _fields(result)
    if fields is None:
        return {"result": cell(result)}
    return {_column(name): cell(content) for name, content in fields.items()}


def _fields(result: Any) -> Mapping[str, Any] | None:
    if isinstance(result, Mapping):
        return result if all(type(name) is str for name in result) else None
    return fields_of(result)


def _column(field: str) -> str:
    return f"result.{field}" if _RESERVED.fullmatch(field) else field


@dataclass(frozen=True)
class FailedItems:
    """Every item that failed and is not done. Implements `tables.Source`."""

    core: StoreCore
    run: RunId
    loop: str | None
    """None: of all loops."""

    @property
    def always(self) -> Mapping[str, Kind]:
        texts = dict.fromkeys(("key", "loop", "type", "message", "where"), Kind.TEXT)
        return {**texts, "attempts": Kind.INT, "first": Kind.TEXT, "last": Kind.TEXT}

    def documents(self) -> Iterator[dict[str, Any]]:
        for failed in self.core.catalog.failures(self.run):
            if self.loop is None or failed.loop == self.loop:
                yield {
                    "key": plain(single_key(failed.key, failed.digest)),
                    "loop": failed.loop,
                    **{name: failed.error.get(name) for name in ("type", "message", "where")},
                    "attempts": failed.attempts,
                    "first": iso(failed.first),
                    "last": iso(failed.last),
                }

    def rows(self) -> Iterator[Row]:
        return self.documents()
