"""Where the bytes of a store are, and what would make them fewer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from waycairn.model.ids import PackId
from waycairn.model.optimizing import Fragmentation, fragmentation
from waycairn.model.repacking import PackFacts
from waycairn.ports.catalog_sizes import SavedBytes
from waycairn.store import StoreCore
from waycairn.upkeep.optimize import optimize
from waycairn.upkeep.sizes import duration_text, size_text

_MANY_INLINE = 64 * 1000 * 1000
"""Bytes of blocks in the catalog from which moving them out is worth a word."""
_LOUD = 0.5
"""A run that added more than this share of all bytes is named."""
_FEW = 20
"""Checkpoints of a run up to which nobody thinks of keeping fewer."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What could be done, and by how much it helps."""

    do: str
    """A command, or what to write in the job."""
    why: str
    bytes: int | None
    """That it frees, as far as that can be told by looking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """In bytes."""

    raw_bytes: int
    """Of all checkpoints and step results, one by one."""
    unique_bytes: int
    """Of the chunks that they are made of, each once."""
    stored_bytes: int
    """Of these compressed."""
    packs: Fragmentation
    archived: Mapping[str, int]
    """Archive to bytes of packs."""
    inline_blocks: int
    inline_bytes: int
    by_run: Sequence[SavedBytes]
    """By the name of the run; the kind says `*`."""
    by_kind: Sequence[SavedBytes]
    recommendations: Sequence[Recommendation]

    @property
    def deduplication(self) -> float | None:
        """How many times each stored byte is used; None for an empty store."""
        return self.raw_bytes / self.unique_bytes if self.unique_bytes else None


def analyze(core: StoreCore) -> Analysis:
    """Reads rows, and samples of cold packs; changes nothing."""
    totals = core.catalog.stats()
    facts = core.catalog.pack_facts()
    saved = core.catalog.saved_bytes()
    inline_blocks, inline_bytes = core.catalog.inline_bytes()
    return Analysis(
        raw_bytes=totals["checkpoint_bytes"] + totals["step_bytes"],
        unique_bytes=totals["chunk_bytes"],
        stored_bytes=totals["block_bytes"],
        packs=fragmentation(facts),
        archived=_archived(facts),
        inline_blocks=inline_blocks,
        inline_bytes=inline_bytes,
        by_run=_summed(saved, lambda one: (one.name, "*")),
        by_kind=_summed(saved, lambda one: ("*", one.kind)),
        recommendations=list(_recommend(core, saved, inline_blocks, inline_bytes)),
    )


def _archived(facts: Mapping[PackId, PackFacts]) -> dict[str, int]:
    sizes: defaultdict[str, int] = defaultdict(int)
    for one in facts.values():
        if one.place is not None:
            sizes[one.place] += one.size
    return dict(sizes)


def _summed(saved: Sequence[SavedBytes], key: Callable[[SavedBytes], tuple[str, str]]) -> list[SavedBytes]:
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in saved:
        for at, value in enumerate((one.checkpoints, one.raw_bytes, one.new_bytes)):
            sums[key(one)][at] += value
    return sorted((SavedBytes(*names, *values) for names, values in sums.items()), key=lambda one: -one.new_bytes)


# -- what would help -----------------------------------------------------------------------------------------------


def _recommend(
    core: StoreCore, saved: Sequence[SavedBytes], inline_blocks: int, inline_bytes: int
) -> Iterator[Recommendation]:
    planned = optimize(core, dry_run=True)
    settings = core.settings.optimize
    dead = sum(action.freed_bytes for action in planned.actions if action.kind == "compact")
    packs = sum(action.packs for action in planned.actions if action.kind == "compact")
    if dead:
        yield Recommendation("waycairn optimize", f"{packs:,} packs hold {size_text(dead)} that nothing needs", dead)
    cold = [action for action in planned.actions if action.kind == "recompress"]
    if cold:
        saves = sum(action.freed_bytes for action in cold)
        why = f"cold packs get about {size_text(saves)} smaller at level {settings.level}"
        yield Recommendation("waycairn optimize", why, saves)
    joined = sum(action.packs for action in planned.actions if action.kind == "join")
    if joined:
        yield Recommendation("waycairn optimize", f"{joined:,} small packs become few", None)
    if inline_bytes > _MANY_INLINE:
        why = f"{inline_blocks:,} small blocks in the catalog take {size_text(inline_bytes)}: together in packs they take less"
        yield Recommendation("waycairn optimize --recompress", why, None)
    old, old_bytes = core.catalog.count_older(core.clock.now() - settings.archive_after)
    if old:
        age = duration_text(settings.archive_after)
        why = f"{old:,} checkpoints of finished runs are older than {age}; they added {size_text(old_bytes)}"
        yield Recommendation("waycairn archive RUN --to DIRECTORY", why, old_bytes)
    yield from _loud(saved)


def _loud(saved: Sequence[SavedBytes]) -> Iterator[Recommendation]:
    """A run that makes the store what it is, and keeps much."""
    total = sum(one.new_bytes for one in saved)
    for one in _summed(saved, lambda one: (one.name, "*"))[:1]:
        if one.checkpoints > _FEW and one.new_bytes > _LOUD * total:
            why = f"its {one.checkpoints:,} checkpoints added {size_text(one.new_bytes)} of {size_text(total)}"
            yield Recommendation(f"keep fewer checkpoints of {one.name!r}", why, None)
