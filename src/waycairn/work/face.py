"""The functions at the root: the same words as the store's, on the store in use here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from waycairn.model.batch_settings import Mode
from waycairn.model.ids import CheckpointId
from waycairn.model.policy import Pace
from waycairn.work.entry import Entry
from waycairn.work.store import Store, default_store

if TYPE_CHECKING:
    from waycairn.backups.making import Told
    from waycairn.backups.safeguard import Safeguard
    from waycairn.backups.source import Source
    from waycairn.model.backups import Restored


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


def safeguard(
    what: Source | str | os.PathLike[str],
    *,
    keep: float | str | None = None,
    decline: str | None = None,
    told: Told | None = None,
    store: Store | None = None,
) -> Safeguard:
    """A backup before a delete: `with wc.safeguard("old-exports/", keep="7d"):`, or `wc.safeguard(wc.rows(...))`; or `async with`.

    Entering exports all of it, makes it durable, reads it back and compares it; where that fails it raises, and the block
    with its delete is never begun. In the block `backup.delete()` deletes exactly what was exported; a path the block may
    delete by itself. Leaving by an exception puts back what was deleted in it, and the exception goes on. `keep`: how long it
    can be restored, "30d" or "forever"; by default the setting `backups.keep`, 7 days. `decline` says why there is to be no
    backup: that is written to the audit log, and `backup.delete()` deletes without one. `told` is called with a
    BackupProgress now and then.
    """
    return (store or default_store()).safeguard(what, keep=keep, decline=decline, told=told)


def restore(
    backup: str,
    *,
    to: Any = None,
    overwrite: bool = False,
    only: Sequence[str] | None = None,
    told: Told | None = None,
    store: Store | None = None,
) -> Restored:
    """Bring back what a backup holds: to where it came from, or `to` another directory, engine or store. What is there and
    differs stops it (WouldOverwrite) before anything was changed, unless `overwrite`. `only`: names of members, with `*` for
    any letters; of rows also `table:key`. Called again after a crash it goes on. Raises BackupNotFound, BackupExpired,
    SchemaChanged, Damaged."""
    return (store or default_store()).restore(backup, to=to, overwrite=overwrite, only=only, told=told)


def rows(engine: Any, table: Any, *, where: Any = None, children: Any = None) -> Source:
    """Rows of a database, to be backed up and deleted; see `waycairn.backups.rows`."""
    from waycairn.backups.rows import rows as found

    return found(engine, table, where=where, children=children)
