"""What a follower knows about the database of its sink while that is away, for other processes: its circuit breaker is in its
memory, so it notes the state in the catalog, one note a stream."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from waycairn.errors import WaycairnError
from waycairn.model.records import RunRecord
from waycairn.settings.secrets import without_passwords
from waycairn.store import StoreCore
from waycairn.streams.outage import Outage

log = logging.getLogger("waycairn")

_EVERY = 30.0
"""Seconds between two notes of one outage: the longest pause between two tries."""


class OutageNotes:
    """Of one stream that one entry of a run follows."""

    def __init__(self, core: StoreCore, stream: str, run: str, epoch: int) -> None:
        self._core, self._name = core, _note_of(stream)
        self._who = {"run": run, "epoch": epoch}
        self._due = 0.0
        self._is_open = False

    def tell(self, outage: Outage | None) -> None:
        """As it is now; None: the database answers again. Raises nothing: the catalog may be away as well."""
        now = self._core.clock.monotonic()
        if outage is None and not self._is_open:
            return
        if outage is not None and self._is_open and now < self._due:
            return
        self._is_open, self._due = outage is not None, now + _EVERY
        said = {} if outage is None else msgspec.structs.asdict(outage)
        try:
            self._core.catalog.note_upkeep(self._name, self._core.clock.now(), {**self._who, **_plain(said)})
        except (WaycairnError, OSError) as error:
            log.debug("the outage of a sink could not be noted: %s", error)


def noted_outage(core: StoreCore, stream: str, run: RunRecord) -> Outage | None:
    """What the present follower noted last; None: its database answers, as far as it knows. Only as long as it lives is that
    how things are. Raises errors of the store."""
    note = core.catalog.upkeep_note(_note_of(stream))
    if note is None or "since" not in note.facts:
        return None
    if (note.facts["run"], note.facts["epoch"]) != (run.id, run.epoch):
        return None
    return msgspec.convert({name: note.facts[name] for name in Outage.__struct_fields__}, Outage)


def _plain(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: without_passwords(value) if isinstance(value, str) else value for name, value in said.items()}


def _note_of(stream: str) -> str:
    return f"outage {stream}"
