"""Examining the mirror: are the readable copies of sessions whole, and as far as the catalog is?"""

from __future__ import annotations

from pathlib import Path

from waycairn.model.ids import RunId
from waycairn.store import StoreCore
from waycairn.upkeep.finding import Finding
from waycairn.upkeep.mirror import FORMER
from waycairn.upkeep.mirror_folder import folders_in, mirror_root, read_file, read_log, sequences_in


def mirror(core: StoreCore) -> Finding | None:
    """Of all sessions whose owner is not at work; None if there are no copies."""
    root = mirror_root(core)
    if root is None or not root.is_dir():
        return None
    lost: list[str] = []
    behind: dict[str, int] = {}
    damaged: dict[str, int] = {}
    count = 0
    for folder, run in folders_in(root):
        if folder.name.endswith(FORMER):
            continue
        count += 1
        record = core.catalog.get_run(RunId(run["id"]))
        if record is None:
            lost.append(folder.name)
        elif core.ownership.holder(record) is None and (left := _left(core, folder, record.id)):
            behind[folder.name] = left
        if broken := _broken(folder):
            damaged[folder.name] = broken
    return _told(count, lost, behind, damaged)


def _left(core: StoreCore, folder: Path, run: RunId) -> int:
    """Iterations that are in the catalog only."""
    begun = read_log(folder)
    newest = max(begun.cuts, default=0) if begun is not None else 0
    return len(core.catalog.iterations(run, newest))


def _broken(folder: Path) -> int:
    """Lines, and the newest file: what a recovery would begin with."""
    begun = read_log(folder)
    newest = sequences_in(folder)[-1:]
    return (1 if begun is None else begun.skipped) + sum(read_file(folder, sequence) is None for sequence in newest)


def _told(count: int, lost: list[str], behind: dict[str, int], damaged: dict[str, int]) -> Finding:
    facts = {"sessions": count, "lost": lost, "behind": behind, "damaged": damaged}
    if damaged or behind:
        words = [f"{name}: {number} damaged" for name, number in damaged.items()]
        words += [f"{name}: {number} iterations behind" for name, number in behind.items()]
        return Finding(
            "mirror",
            "warning",
            "; ".join(words),
            "the catalog is not touched by this; were it lost, these sessions would come back without what is missing here",
            "the job copies what is missing when its session is used again; check the space and the permissions of the folder",
            facts,
        )
    if lost:
        return Finding(
            "mirror",
            "note",
            f"copies of {len(lost)} sessions that are not in the catalog: {', '.join(lost)}",
            "they were deleted, or the catalog that had them was lost",
            "waycairn session recover RUN brings one back; else remove its folder",
            facts,
        )
    return Finding("mirror", "ok", f"copies of {count} sessions, up to date", facts=facts)
