"""What a registered stream has consumed up to now: looked at before and after, it says what was done in between."""

from __future__ import annotations

from typing import Self

import msgspec

from waycairn.errors import StoreError, StoreNotFound
from waycairn.model.stream_settings import StreamSettings
from waycairn.streams.records import Standing
from waycairn.upkeep.sink_database import shown
from waycairn.upkeep.streams import KnownStream, find_standing


class Consumed(msgspec.Struct, frozen=True):
    events: int = 0
    dead: int = 0
    skipped: int = 0
    bytes: int = 0
    commits: int = 0

    def since(self, before: Self) -> Consumed:
        """The difference."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(before), strict=True)
        return Consumed(*(now - then for now, then in pairs))


def consumed(settings: StreamSettings, ledgers: str) -> Consumed | None:
    """By its ledger, which is the one at `ledgers` if the sink is a file. None while its database is away."""
    address = settings.sink if settings.has_database else ledgers
    try:
        standing = find_standing(KnownStream(name=settings.name, sink=shown(settings.sink), address=address))
    except StoreNotFound:
        return Consumed()
    except StoreError:
        return None
    return Consumed() if standing is None else _of(standing)


def _of(standing: Standing) -> Consumed:
    counts = standing.counts
    return Consumed(counts.events, counts.dead, counts.skipped, counts.bytes, standing.commits)
