"""What can be backed up before it is deleted: the contract of a source. Write your own with these six methods.

class Tickets:
    kind = "tickets"
    label = "closed tickets"

    def describe(self): return {"server": "tickets.example", "status": "closed"}
    def count(self): return Count(records=len(self.closed()))
    def export(self, target, before):
        with target.member("tickets.jsonl") as member:
            for ticket in self.closed():
                member.write(json.dumps(ticket).encode() + b"\\n", records=1)
    def delete(self, contents): ...
    def restore(self, contents, wish): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from waycairn.model.backups import BackupRecord, Count, Member, Restored


class MemberWriter(Protocol):
    """One stream of a backup, while it is exported."""

    def write(self, data: bytes | memoryview, records: int = 0, *, is_chunk: bool = False) -> None:
        """Append. Pieces of 64 KiB to 8 MiB are best; what was written may not be changed by the caller afterwards.
        `is_chunk`: it is a chunk of a store, and is found again where it is stored as it is, see `Encoded.is_cut`."""
        ...

    def note(self, **facts: Any) -> None:
        """Add to the facts of the member: JSON values."""
        ...


class Target(Protocol):
    """Where a source exports to. Nothing of it counts until `export` has returned and all was read back."""

    def member(self, name: str, **facts: Any) -> AbstractContextManager[MemberWriter]:
        """Begin a member; ends with its block. A block that raises leaves no member, and its name is free again (a file
        that changed while it was read). ValueError for a name that is taken, absolute, or has `..` in it."""
        ...

    def carry(self, member: Member) -> bool:
        """Take over a member of the backup before (`before.members`) as it is, without reading its bytes; false, and nothing
        done, if that one cannot be leaned on (its payload goes, or it was not read back lately): then write it."""
        ...

    def progress(self, records: int, size: int) -> None:
        """How far it is, by what `count` said; cheap, call it often. Raises Interrupted where it is to stop."""
        ...


class Contents(Protocol):
    """A backup that can be read. Every byte is compared with its hash as it is read."""

    @property
    def record(self) -> BackupRecord: ...

    @property
    def members(self) -> Mapping[str, Member]:
        """In the order in which they were exported."""
        ...

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a member from an offset on, in pieces. Raises Damaged."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be restored, and how."""

    to: Any = None
    """Where to: a directory, an engine, a store; None: where it came from."""
    overwrite: bool = False
    """Replace what is there and differs. Without it such a thing stops the restore before anything was changed."""
    only: Sequence[str] | None = None
    """Names of members, with `*` for any letters; of rows also `table:key`. None: all."""
    progress: Callable[[int, int], None] | None = None
    """Told (records, bytes) now and then."""
    is_missing_only: bool = False
    """Put back what is gone and leave alone what is there, whatever it looks like: after a delete that failed."""


@runtime_checkable
class Source(Protocol):
    """Something that can be exported, deleted and restored."""

    @property
    def kind(self) -> str: ...

    @property
    def label(self) -> str:
        """In a few words, for lists."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """JSON values from which `restore` knows where it came from. No passwords."""
        ...

    def count(self) -> Count: ...

    def export(self, target: Target, before: Contents | None) -> None:
        """Write all of it, as it is at one moment. `before`: the newest whole backup of the same description, if there is
        one, for those that can tell what has not changed since. Raises what keeps it from doing so; nothing was changed."""
        ...

    def delete(self, contents: Contents) -> None:
        """Delete exactly what was exported, or raise SourceChanged having changed nothing. Called again after a crash or a
        lost connection, it finishes, also where all is gone already."""
        ...

    def restore(self, contents: Contents, wish: Wish) -> Restored:
        """Bring it back. Called again after a crash, it goes on. Raises WouldOverwrite, and SchemaChanged where the
        place cannot take it; then nothing was changed."""
        ...


@runtime_checkable
class Unguarded(Protocol):
    """A source that can also be deleted where the backup was declined. Optional."""

    def delete_without_backup(self) -> None:
        """Delete what there is now, all of it or nothing."""
        ...


@runtime_checkable
class Somewhere(Protocol):
    """A source that lies where a store could lie, too. Optional."""

    def refuse_store(self, url: str) -> None:
        """Raises BackupRefused if the store at this address, or its packs in this folder, would be deleted with it."""
        ...
