"""Examining what lies in the store: packs, leftovers, owner files, the queue."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from waycairn.catalog.holders import describe_holder
from waycairn.errors import StoreUnreachable
from waycairn.model.ids import PackId
from waycairn.ports import Clock
from waycairn.store import StoreCore
from waycairn.upkeep.finding import Finding
from waycairn.upkeep.places import places
from waycairn.upkeep.sizes import size_text

_NAMED = 5
"""How many packs are named in a message."""
_PATIENCE = 1.0
"""Seconds after which a held queue is worth telling: a commit takes milliseconds."""


def pack_sizes(core: StoreCore) -> tuple[dict[PackId, int], dict[PackId, int]]:
    """Name to bytes of each pack that the catalog knows, and of each that is on disk."""
    # The catalog first: a pack is durable before its row, so one that is in the row is on disk.
    known = dict(core.catalog.packs())
    there = {info.name: info.size for info in core.blobs.list()}
    for name in known.keys() - there.keys():
        try:
            head = core.blobs.head(name)  # a listing may be incomplete
        except StoreUnreachable as error:
            if getattr(error, "place", None) is None:
                raise
            there[name] = known[name]  # in an archive that is away: told by itself, and nothing is known against it
        else:
            if head is not None:
                there[name] = head.size
    return known, there


def archives(core: StoreCore) -> list[Finding]:
    """Archives that packs lie in, and are not there."""
    away = [place for place in core.catalog.places() if not places(core).is_reachable(place)]
    return [
        Finding(
            "archive",
            "warning",
            f"{place} is not there",
            "checkpoints that were archived there cannot be loaded until it is; everything else can",
            "bring it back (mount it); or, if it is lost, delete those checkpoints",
            {"place": place},
        )
        for place in away
    ]


def packs(core: StoreCore) -> list[Finding]:
    """Packs that the catalog knows against those on disk."""
    known, there = pack_sizes(core)
    condemned = known.keys() - core.catalog.pack_ends().keys()
    missing = sorted(known.keys() - there.keys() - condemned)
    short = sorted(name for name, size in known.items() if there.get(name, size) < size)
    unknown = {name: size for name, size in there.items() if name not in known or name in condemned}
    found = [_damage("missing", missing)] if missing else []
    found += [_damage("shorter than they were written", short)] if short else []
    if not found:
        found.append(
            Finding(
                "packs", "ok", f"{len(known)} packs, all there, {size_text(sum(known.values()))}", facts=_count(known)
            )
        )
    if unknown:
        found.append(
            Finding(
                "leftovers",
                "note",
                f"{len(unknown)} packs on disk belong to no commit ({size_text(sum(unknown.values()))})",
                "a save or a sweep that died left them, or a save is under way just now; nothing needs them",
                "waycairn sweep removes those that are old enough",
                {"packs": len(unknown), "bytes": sum(unknown.values())},
            )
        )
    return found


def _count(known: object) -> dict[str, int]:
    return {"packs": len(known)} if isinstance(known, dict) else {}


def _damage(how: str, names: Sequence[str]) -> Finding:
    named = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    return Finding(
        "packs",
        "bad",
        f"{len(names)} packs are {how}: {named}",
        "checkpoints that need them cannot be read; the newest intact older ones are used instead",
        "put the files back if they were moved; then `waycairn verify` says which checkpoints are damaged",
        {"packs": list(names)},
    )


def unfinished_packs(directory: Path) -> list[Path]:
    """Pack files that never got their name."""
    return sorted(path for path in directory.glob("*/*.unfinished") if path.is_file())


def unfinished(directory: Path) -> Finding | None:
    """The same, told."""
    left = [path.stat().st_size for path in unfinished_packs(directory)]
    if not left:
        return None
    return Finding(
        "unfinished packs",
        "note",
        f"{len(left)} ({size_text(sum(left))})",
        "a save that died in between left them, or one is under way just now; nothing needs them",
        "waycairn sweep removes those that are old enough",
        {"packs": len(left), "bytes": sum(left)},
    )


def owner_files(abandoned: list[Path]) -> Finding:
    """Owner files that no living process holds."""
    if not abandoned:
        return Finding("owner files", "ok", "none of a dead process")
    return Finding(
        "owner files",
        "note",
        f"{len(abandoned)} of dead processes",
        "their locks ended with them, so they hold nothing",
        "nothing: each goes when its run is entered again, or with `waycairn sweep`; `waycairn orphans` lists the runs",
        {"files": sorted(path.name for path in abandoned)},
    )


def queue(locks: Sequence[Path], clock: Clock) -> Finding:
    """Whether somebody stands in the queue of writers and does not move. `locks` are the files of the queue."""
    for lock in locks:
        deadline = clock.monotonic() + _PATIENCE
        while not _is_free(lock):
            if clock.monotonic() > deadline:
                return _held(describe_holder(lock))
            clock.sleep(0.02)
    return Finding("queue", "ok", "writers do not wait")


def _is_free(path: Path) -> bool:
    """Shared, so that two doctors do not wait for each other; a writer waits for us some microseconds."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _held(holder: str) -> Finding:
    stopped = "stopped" in holder
    return Finding(
        "queue",
        "bad" if stopped else "warning",
        f"the catalog is held for more than {_PATIENCE:.0f} s: {holder}",
        "nobody can commit until it is free; nothing is lost",
        "continue that process (kill -CONT) or end it" if stopped else "look again; if it stays so, end that process",
    )
