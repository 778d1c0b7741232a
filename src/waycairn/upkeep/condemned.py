"""The end of packs that nothing refers to: the file, then the row."""

from __future__ import annotations

from collections.abc import Iterable

from waycairn.errors import StoreUnreachable
from waycairn.model.ids import PackId
from waycairn.store import StoreCore
from waycairn.world.crashpoints import crashpoint


def delete_condemned(core: StoreCore, names: Iterable[PackId]) -> list[PackId]:
    """Those of these packs that are gone now. One in an archive that is away stays condemned until it is back."""
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
