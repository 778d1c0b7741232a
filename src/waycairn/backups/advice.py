"""What can be done with a backup as it stands, for the command line and the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from waycairn.model.backups import BackupRecord, BackupState


@dataclass(frozen=True, slots=True)
class NextStep:
    what: str
    command: str


_STANDING = {
    BackupState.EXPORTING: "it is being made; nothing was deleted yet",
    BackupState.VERIFIED: "durable, read back and intact; its source was not deleted with it",
    BackupState.DELETING: "it is whole, and its source is being deleted at this moment",
    BackupState.DELETED: "its source was deleted: this is what is left of it",
    BackupState.FAILED: "it could not be made, or is damaged: it guards nothing, and its source was not deleted with it",
    BackupState.EXPIRED: "its time is over, or it was given up: what it held is gone",
}
_INTERRUPTED = {
    BackupState.EXPORTING: "its process died while it was made: it guards nothing, and nothing was deleted",
    BackupState.DELETING: "it is whole, and the process died that deleted its source: some of it may be gone, and all of it is in "
    "here",
}


def standing_in_words(record: BackupRecord, *, is_interrupted: bool) -> str:
    """What holds for the data."""
    return (_INTERRUPTED if is_interrupted else _STANDING)[record.state]


def next_steps(record: BackupRecord, *, is_interrupted: bool) -> Iterator[NextStep]:
    """The most useful one first."""
    command = "waycairn backup {} " + record.id
    if record.state is BackupState.DELETING:
        if is_interrupted:
            yield NextStep("finish the delete that was cut off", command.format("delete-source"))
        yield NextStep("bring all of it back", command.format("restore"))
    elif record.state is BackupState.DELETED:
        yield NextStep("bring it back", command.format("restore"))
    elif record.state is BackupState.VERIFIED:
        yield NextStep("delete exactly what it holds", command.format("delete-source"))
        yield NextStep("bring back what is missing", command.format("restore"))
    if record.state.is_whole:
        yield NextStep("keep it longer, for example", command.format("extend") + " --keep 30d")
        yield NextStep("take it along as a folder", command.format("extract") + " FOLDER")
    elif is_interrupted or record.state is BackupState.FAILED:
        yield NextStep("put away what is left of it, and make a new one", command.format("delete"))
