"""Mistakes in how things are read, planted into a test process to prove that a harness finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from waycairn.errors import Damaged

__all__ = ["BUGS", "GIVEN"]


def no_hash_on_read() -> None:
    """The bytes of a chunk are taken for what they should be."""
    from waycairn.chunks.source import ChunkSource

    ChunkSource._verify = lambda self, place, data: None


def no_root_on_read() -> None:
    """A manifest is taken for the one that was committed."""
    from waycairn.chunks import reader

    class Any_:
        __hash__ = None

        def __ne__(self, other: object) -> bool:
            return False

    reader.root_of = lambda manifest, ids, lengths, key: Any_()


def no_checksum_of_keys() -> None:
    """A block of keys is taken as it comes."""
    from waycairn.codec import keys

    keys._unpack_v2 = lambda block: keys._keys_in(block[6:], is_compressed=block[1:2] == b"\1")


def no_bounds_of_keys() -> None:
    """A block of keys is taken to have a head."""
    from waycairn.codec import keys

    unpack = keys._unpack_v2
    keys._unpack_v2 = lambda block: unpack(block) if block[5] >= 0 else []


def deleted_come_back() -> None:
    """A delete is acknowledged and forgotten."""
    from waycairn.catalog.whole import SqlCatalog

    SqlCatalog.delete_checkpoints = lambda self, run, sequences: len(sequences)


def oldest_for_newest() -> None:
    """The order of checkpoints the wrong way round."""
    from waycairn.catalog.whole import SqlCatalog
    from waycairn.model.records import CheckpointFilter
    from waycairn.model.states import CheckpointStatus

    def latest(self: SqlCatalog, run: Any, kind: str | None = None, role: str | None = None) -> Any:
        found = self.list_checkpoints(CheckpointFilter(run=run, kind=kind, role=role, status=CheckpointStatus.VALID))
        return found[-1] if found else None

    SqlCatalog.latest_checkpoint = latest


def anew_for_older() -> None:
    """A damaged checkpoint is taken for none at all."""
    from waycairn.work import restoring

    newest = restoring._newest_intact

    def newest_or_none(cutter: Any, slot: Any) -> Any:
        record = cutter.store.catalog.latest_checkpoint(cutter.run, role="state")
        try:
            if record is not None:
                cutter.store.verify(record.checkpoint.stored)
        except Damaged:
            return None, None, False
        return newest(cutter, slot)

    restoring._newest_intact = newest_or_none


def state_goes_back_alone() -> None:
    """An older state is restored, and the items done since then stay done."""
    from waycairn.work import restoring

    restoring._go_back = lambda cutter, record, has_begun: None


BUGS: dict[str, tuple[str, Callable[[], None]]] = {
    "no-hash-on-read": ("rot", no_hash_on_read),
    "no-root-on-read": ("rot", no_root_on_read),
    "no-checksum-of-keys": ("rot", no_checksum_of_keys),
    "no-bounds-of-keys": ("decoders", no_bounds_of_keys),
    "deleted-come-back": ("model", deleted_come_back),
    "oldest-for-newest": ("model", oldest_for_newest),
    "anew-for-older": ("rot", anew_for_older),
    "state-goes-back-alone": ("rot", state_goes_back_alone),
}
"""By name: which harness must find it, and how it is planted."""
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "no-hash-on-read": {"structures": ["raw pack blocks"]},
    "no-root-on-read": {"structures": ["checkpoints.manifest"]},
    "no-checksum-of-keys": {"structures": ["items.keys"]},
    "anew-for-older": {"structures": ["newest checkpoints"]},
    "state-goes-back-alone": {"structures": ["newest checkpoints"]},
}
"""By name: the structures of `rot` that come to it."""
