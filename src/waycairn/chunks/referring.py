"""What a stored state leans on: the chunks that its manifest names, and the packs that were just written for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from waycairn.chunks.manifest import WHOLE_HEADER, Run, decode
from waycairn.chunks.pack_keys import PackKeys
from waycairn.model.ids import PackId
from waycairn.model.records import NewData
from waycairn.model.spans import Spans
from waycairn.model.sweeping import names_of
from waycairn.ports import Blobs, Catalog

__all__ = ["REFERS_TO_NOTHING", "epoch_to_commit_under", "runs_in"]

REFERS_TO_NOTHING = WHOLE_HEADER
"""How manifests begin that name no chunk."""


def runs_in(manifest: bytes) -> list[tuple[int, int]]:
    """The chunks that a manifest names: (first number, how many). Raises Damaged."""
    found = decode(manifest)
    document = (segment for segment in found.segments if isinstance(segment, Run))
    return [(run.first, run.count) for run in (*document, *found.buffer_runs)]


def epoch_to_commit_under(
    catalog: Catalog, blobs: Blobs, manifests: Iterable[bytes], data: Sequence[NewData]
) -> int | None:
    """For a commit that was refused because a sweep came between: the sweep epoch under which all that it leans on is
    still there; None if some of it is gone. Good for as long as the epoch is that one, which the commit itself looks at."""
    # The epoch first: what is there after it was read is there while it lasts.
    epoch = catalog.sweep_epoch()
    fresh = {chunk.number for one in data for chunk in one.chunks}
    named = Spans(run for manifest in manifests for run in runs_in(manifest))
    # A block that is the difference to a chunk needs that one, too, and no manifest names it.
    bases = {block.base for one in data for block in one.blocks if block.base is not None}
    older = Spans((number, 1) for number in {*named.numbers(), *bases} if number not in fresh)
    packs = names_of(data)
    return epoch if catalog.has_chunks(older) and _are_ours(catalog, blobs, packs) else None


def _are_ours(catalog: Catalog, blobs: Blobs, packs: Sequence[PackId]) -> bool:
    """No commit names them yet; so if the catalog knows one, a sweep condemned it; and if it did and is done, there is no
    file any more. In this order. One that is encrypted with an older key than that in use is written anew: the old key may
    be gone by now."""
    is_there = not catalog.known_packs(packs) and all(blobs.head(pack) is not None for pack in packs)
    vault = catalog.info.vault
    if not is_there or vault is None:
        return is_there
    keys = PackKeys(blobs, catalog.info.id, vault)
    return all(keys.of(pack).generation == vault.generation for pack in packs)
