"""The functions at the root: the same words as the store's, on the store in use here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waycairn.model.batch_settings import Mode
from waycairn.model.ids import CheckpointId
from waycairn.model.policy import Pace
from waycairn.work.entry import Entry
from waycairn.work.store import Store, default_store


def run(
    name: str,
    *,
    key: str | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    fresh: bool = False,
    total: int | None = None,
    task: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    pace: Pace | float | str | None = None,
    progress: Mode | None = None,
    part: tuple[int, int] | None = None,
    store: Store | None = None,
) -> Entry:
    """A run of a named job: `with wc.run("nightly", key="2026-11-21") as run:` (or `async with`).

    It is identified by (name, key). A new one begins; an unfinished one whose owner is dead goes on from its last
    cut; a completed one runs again and does what is new. `fingerprint` is what the results depend on: entering with
    another one is refused. `fresh=True` replaces a completed run. `total` is the number of items, if known before.
    `task`, `tags` and `metadata` are for listings. `pace` says how often cuts are taken: None (1 % of the run time),
    0 (only forced ones), seconds, "5%", "100 items", "every item", or a Pace. `progress` says how it is shown while it
    runs: "bar", "log" (a line every half minute), "off", or "auto": a bar where stderr is a terminal. `part=(0, 4)` makes this process do the first of
    four shares of the items, by a hash of their keys; each part has a ledger, state and outputs of its own.

    Entering raises RunIsHeld if its owner lives, FingerprintMismatch, RunNotCompleted, StoreError.
    """
    return (store or default_store()).run(
        name,
        key=key,
        fingerprint=fingerprint,
        fresh=fresh,
        total=total,
        task=task,
        tags=tags,
        metadata=metadata,
        pace=pace,
        progress=progress,
        part=part,
    )


def save(
    name: str, value: Any, *, keep: int | None = None, tags: Sequence[str] = (), description: str | None = None
) -> CheckpointId:
    """Save a value under a name in the store in use here, last commit wins. Durable when this returns. With `keep` only the
    newest so many values of that name stay."""
    return default_store().save(name, value, keep=keep, tags=tags, description=description)


def latest(name: str, default: Any = None, *, returns: Any = None) -> Any:
    """The newest intact value saved under this name in the store in use here, else `default`."""
    return default_store().latest(name, default, returns=returns)
