"""The end of packs that nothing refers to: the file, then the row."""

from __future__ import annotations

from collections.abc import Iterable

from waycairn.errors import Damaged, StoreUnreachable
from waycairn.model.ids import PackId
from waycairn.store import StoreCore
from waycairn.world.crashpoints import crashpoint


def delete_condemned(core: StoreCore, names: Iterable[PackId]) -> list[PackId]:
    """Those of these packs that are gone now. One in an archive that is away stays condemned until it is back. Raises Damaged,
    and removes none, if the index has lost blocks: then a pack may only look as if nothing lay in it."""
    names = list(names)
    if names and (homeless := core.catalog.count_homeless()):
        raise Damaged(
            f"the chunk index has lost rows: {homeless} chunks or blocks lead nowhere, so nobody can tell which packs hold them. "
            "No pack was removed. `waycairn repair` puts them back from the packs. Where that says that chunks are lost, delete "
            "the checkpoints that `waycairn verify` names, then sweep again."
        )
    deleted: list[PackId] = []
    for name in names:
        crashpoint("sweep.file")
        try:
            core.blobs.delete(name)
        except StoreUnreachable as error:
            if getattr(error, "place", None) is None:
                raise
            continue
        crashpoint("sweep.file.deleted")
        deleted.append(name)
    core.catalog.forget_packs(deleted)
    crashpoint("sweep.forgotten")
    return deleted
