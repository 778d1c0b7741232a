"""The catalogue of backups by the page, with what no row says: whether who makes one, or deletes with it, still lives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from waycairn.backups.catalogue import is_interrupted
from waycairn.model.backups import BackupFilter, BackupRecord, BackupState
from waycairn.store import StoreCore

INTERRUPTED = "interrupted"
WORDS = (*(state.value for state in BackupState), INTERRUPTED)
"""What a backup can be, for people: the states, and the one of the dead."""
_CAN_BE_INTERRUPTED = (BackupState.EXPORTING, BackupState.DELETING)
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Listed:
    """One backup, as it stands now."""

    record: BackupRecord
    is_interrupted: bool

    @property
    def word(self) -> str:
        return INTERRUPTED if self.is_interrupted else self.record.state.value

    @property
    def position(self) -> tuple[float, str]:
        """What the next page begins behind."""
        return self.record.created, self.record.id


def listed(core: StoreCore, record: BackupRecord) -> Listed:
    return Listed(record, is_interrupted(core, record))


def list_backups(
    core: StoreCore, which: BackupFilter, words: Sequence[str] | None = None, text: str | None = None
) -> Iterator[Listed]:
    """Newest first, `which.limit` at most, read by the page as they are asked for. `text`: part of the id or of the label, in
    letters of any case; here and not in the catalog, which of an encrypted store knows no label."""
    wanted = None if text is None else text.casefold()
    left = which.limit
    for record in _rows(core, replace(which, states=_states(words) if words else which.states)):
        if left == 0:
            return
        if wanted is not None and wanted not in record.label.casefold() and wanted not in record.id:
            continue
        found = listed(core, record)
        if not words or found.word in words:
            left = None if left is None else left - 1
            yield found


def _states(words: Sequence[str]) -> list[BackupState]:
    """In which rows can be that are called so."""
    meant = {BackupState(word) for word in words if word != INTERRUPTED}
    return sorted(meant.union(_CAN_BE_INTERRUPTED if INTERRUPTED in words else ()))


def _rows(core: StoreCore, which: BackupFilter) -> Iterator[BackupRecord]:
    size = _PAGE if which.limit is None else min(_PAGE, which.limit)
    before = which.before
    while True:
        page = core.catalog.list_backups(replace(which, before=before, limit=size))
        yield from page
        if len(page) < size:
            return
        before = page[-1].created, page[-1].id
