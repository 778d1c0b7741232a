"""A backup: its row in the catalogue, and the members that its payload consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from waycairn.model.ids import RunId

TASK = "backup"
"""Of the runs that hold what backups hold; also their name, and the scope of their steps. Their key is their id."""
INDEX = "index"
"""The last step of such a run. The others are its parts."""


def part_name(number: int) -> str:
    """Of a step."""
    return f"part-{number:06d}"


class BackupState(StrEnum):
    """As stored. Whether the process that exports or deletes still lives is a question to the owner of its run."""

    EXPORTING = "exporting"
    """It is being made, or was when its process died: it guards nothing yet, and nothing was deleted."""
    VERIFIED = "verified"
    """Durable, read back and compared. The source is as it was, as far as we are concerned."""
    DELETING = "deleting"
    """The source is being deleted, or was when the process died. The backup is whole."""
    DELETED = "deleted"
    """The source is gone: this is what is left of it."""
    FAILED = "failed"
    """It could not be made, or read back. Nothing was deleted."""
    EXPIRED = "expired"
    """Its time is over, or a person gave it up: the payload is gone or about to go."""

    @property
    def is_whole(self) -> bool:
        """It can be restored from."""
        return self in (BackupState.VERIFIED, BackupState.DELETING, BackupState.DELETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRecord:
    """A row of the catalogue of backups. It outlives its payload."""

    id: RunId
    """Also of the run that holds the payload."""
    kind: str
    """Of the source: `rows`, `paths`, `runs`, or one of your own."""
    label: str
    """The source in a few words, for lists: a path, `conversations (+ turns)`."""
    owner: str
    """Who made it: the account of a server, else the user of the host."""
    source: Mapping[str, Any]
    """What the source said of itself (`Source.describe`): JSON values, no secrets."""
    state: BackupState
    created: float
    """Seconds since 1970, as all times here."""
    updated: float
    verified: float | None = None
    """When all of it was read back last, and found intact."""
    deleted: float | None = None
    """When the source was deleted by us."""
    expires: float | None = None
    """When its payload may go; None: never."""
    pinned: bool = False
    """It stays, whatever `expires` says."""
    records: int = 0
    """Rows, files or runs."""
    size: int = 0
    """Bytes of all members."""
    stored: int = 0
    """Bytes that the store grew by."""
    digest: str | None = None
    """SHA-256, hexadecimal, of the text of its SHA256SUMS."""
    error: str | None = None
    """Why it failed; or what became of the delete."""


WHOLE = tuple(state for state in BackupState if state.is_whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFilter:
    """Which backups to list. None means any. Newest first."""

    owner: str | None = None
    kind: str | None = None
    states: Sequence[BackupState] | None = None
    before: tuple[float, str] | None = None
    """`created` and id of the last one of the page before: those that are listed behind it."""
    limit: int | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A named stream of bytes in a backup: a table, a file. Its name is a relative path with `/`, never with `..`."""

    name: str
    size: int
    sha256: str
    """Hexadecimal, over all its bytes."""
    records: int = 0
    """Rows in it; of a file 1."""
    facts: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """JSON values that its source wants to find again: columns, mode, times, where a link leads."""
    spans: Sequence[tuple[int, int, int]] = ()
    """Where its bytes lie: part, first piece, number of pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What there is to be backed up, for the question before."""

    records: int
    size: int | None = None
    """Bytes, where that is known without reading them."""
    details: Mapping[str, int] = field(default_factory=dict)
    """Records by table, kind of file, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    records: int
    skipped: int = 0
    """Were there already, the same: a restore that was killed goes on."""
    overwritten: int = 0
    to: str = ""
    """Where to, in words without secrets."""
    details: Mapping[str, int] = field(default_factory=dict)


class BackupStage(StrEnum):
    """What is being done."""

    EXPORT = "export"
    VERIFY = "verify"
    DELETE = "delete"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupProgress:
    """How far it is."""

    stage: BackupStage
    records: int = 0
    size: int = 0
    """Bytes."""
    total_records: int | None = None
    total_size: int | None = None
    """None where it is not known."""
