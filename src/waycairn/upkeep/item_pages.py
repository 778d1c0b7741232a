"""The items of a run from any place on: failed ones, then done ones with what they gave, read as far as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from waycairn.codec.keys import Key, keys_of
from waycairn.errors import WaycairnError
from waycairn.model.ids import RunId
from waycairn.model.records import DoneItems, FailedItem
from waycairn.store import StoreCore

ItemStatus = Literal["failed", "done"]


@dataclass(frozen=True, slots=True)
class FailedPlace:
    """Where a failed item stands in its list."""

    loop: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class DonePlace:
    """Where a done item stands: its cut, and its position in that."""

    loop: str
    sequence: int
    at: int


Place = FailedPlace | DonePlace


@dataclass(frozen=True, slots=True)
class DoneItem:
    loop: str
    key: Key
    result: Any
    """None where it gave nothing. Types that are not known here are Records."""
    damage: str | None = None
    """Why its result cannot be had."""


def items_behind(
    core: StoreCore, run: RunId, behind: Place | None, *, status: ItemStatus | None = None, loop: str | None = None
) -> Iterator[tuple[Place, FailedItem | DoneItem]]:
    """Each with its place, from which on somebody else can go on reading; `behind` None is the beginning. Items that are done
    meanwhile come at the end of their loop, or not at all."""
    if status != "done" and not isinstance(behind, DonePlace):
        yield from _failed(core, run, behind, loop)
    if status != "failed":
        yield from _done(core, run, behind if isinstance(behind, DonePlace) else None, loop)


def _failed(
    core: StoreCore, run: RunId, behind: FailedPlace | None, loop: str | None
) -> Iterator[tuple[Place, FailedItem]]:
    start = None if loop is None else (loop, b"")
    for failed in core.catalog.failures(run, start if behind is None else (behind.loop, behind.digest)):
        if loop is not None and failed.loop != loop:
            return
        yield FailedPlace(failed.loop, failed.digest), failed


def _done(core: StoreCore, run: RunId, behind: DonePlace | None, loop: str | None) -> Iterator[tuple[Place, DoneItem]]:
    for name in sorted(core.catalog.loops(run)):
        if loop not in {None, name} or (behind is not None and name < behind.loop):
            continue
        begin = behind if behind is not None and behind.loop == name else DonePlace(name, -1, -1)
        # The cut that was read in part comes again.
        for sequence, block in core.catalog.done_after(run, name, begin.sequence - 1):
            skipped = begin.at + 1 if sequence == begin.sequence else 0
            yield from _of_cut(core, sequence, block, skipped)


def _of_cut(core: StoreCore, sequence: int, block: DoneItems, skipped: int) -> Iterator[tuple[Place, DoneItem]]:
    keys = keys_of(block)
    parts: list[Any] = [None] * len(keys)
    damage = None
    try:
        parts = core.load_results(block.results) if block.results else parts
    except WaycairnError as error:
        damage = str(error)
    for at in range(skipped, len(keys)):
        yield DonePlace(block.loop, sequence, at), _item(block.loop, keys[at], parts[at], damage)


def _item(loop: str, key: Key, part: Any, damage: str | None) -> DoneItem:
    try:
        return DoneItem(loop, key, None if part is None else part.load(strict=False), damage)
    except ModuleNotFoundError as error:
        return DoneItem(loop, key, None, f"it holds values of {error.name}, which is not installed here")
    except WaycairnError as error:
        return DoneItem(loop, key, None, str(error))
