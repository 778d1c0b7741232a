"""The items of a run as an outsider sees them: what failed, grouped, and what the done ones gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from waycairn.codec.keys import Key, keys_of, shown, single_key
from waycairn.model.ids import RunId
from waycairn.model.records import DoneItems, FailedItem
from waycairn.store import StoreCore

_MOST_GROUPS = 1000
"""More different errors than that are counted together: every message may hold its item's number."""


@dataclass(slots=True)
class Group:
    """Failures with the same type and message."""

    type: str
    message: str
    count: int
    example: str
    """The key of one of them."""


def key_of(failed: FailedItem) -> str:
    return shown(single_key(failed.key, failed.digest))


def grouped(failures: Iterable[FailedItem]) -> list[Group]:
    """The most frequent first."""
    groups: dict[tuple[str, str], Group] = {}
    for failed in failures:
        kind, message = str(failed.error.get("type")), str(failed.error.get("message"))
        if (kind, message) not in groups and len(groups) >= _MOST_GROUPS:
            message = "..."
        group = groups.setdefault((kind, message), Group(kind, message, 0, key_of(failed)))
        group.count += 1
    return sorted(groups.values(), key=lambda group: -group.count)


def done_items(core: StoreCore, run: RunId, loop: str | None) -> Iterator[tuple[str, Key, Any]]:
    """Loop, key and result (None where there is none) of every done item, in the order of the commits; types that
    are not known here come as Records."""
    for name in core.catalog.loops(run):
        if loop is not None and name != loop:
            continue
        for block in core.catalog.done_items(run, name):
            # What one cut gave goes with its generator, before the next one is read.
            yield from ((name, key, result) for key, result in results_of(core, block))


def results_of(core: StoreCore, block: DoneItems) -> Iterator[tuple[Key, Any]]:
    """Key and result of each item of one cut; see `done_items`. Raises Damaged."""
    keys = keys_of(block)
    parts = core.load_results(block.results) if block.results else [None] * len(keys)
    for key, part in zip(keys, parts, strict=True):
        yield key, None if part is None else part.load(strict=False)
