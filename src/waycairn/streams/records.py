"""What a stream remembers, as plain records: the vocabulary between the reader of files and the ledger.

Times are seconds since 1970 (UTC), those of files nanoseconds. Offsets and lengths are bytes, of the decompressed
content where a file is compressed. Paths are bytes, as the file system has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

import msgspec

DeadKind = Literal["malformed", "not_object", "schema", "too_long", "truncated", "damaged", "transform", "refused"]
"""Why a line is a dead letter.

malformed    not what the parser reads, as JSON
not_object   JSON, but no object
schema       an object that does not fit the schema
too_long     longer than the limit; only its beginning was kept
truncated    the last line of a file that will not grow, without its end
damaged      a compressed file that ends or breaks in the middle
transform    the function that makes an event into a row raised
refused      the database of the sink takes no such value, as PostgreSQL takes no NUL in a text
"""


class FileState(StrEnum):
    ACTIVE = "active"
    """It may grow."""
    ROTATED = "rotated"
    """It has another name now, or none: it is read to its end and then done."""
    DONE = "done"
    """All of it was consumed and it will not grow."""
    MISSING = "missing"
    """It is not at its path any more; it is known again if it comes back."""
    REPLACED = "replaced"
    """Its bytes are gone: truncated, or overwritten."""


class Identity(msgspec.Struct, frozen=True, order=True):
    """Which file it is, as the kernel says. None of the three alone is enough: inodes are used again at once."""

    device: int
    inode: int
    born: int
    """Time of birth, nanoseconds; 0 where the file system does not tell."""


class Mark(msgspec.Struct, frozen=True):
    """The hash of `length` bytes; where they lie says who holds the mark."""

    length: int = 0
    digest: bytes = b""
    """BLAKE3, 16 bytes; empty for no bytes."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One life of one file. Changed with `msgspec.structs.replace`."""

    id: int
    """Within its stream, from 1, never used again."""
    path: bytes
    """Where it was seen last, as it was asked for."""
    identity: Identity
    offset: int = 0
    lines: int = 0
    """Lines up to there, with blank and dead ones."""
    head: Mark = Mark()
    """Of the first bytes, at most 1,024; grows with the file until then."""
    tail: Mark = Mark()
    """Of the last bytes before the offset, at most 1,024."""
    posts: bytes = b""
    """Marks on the way, to tell a moved or restored file from one that only begins and stands alike: for each whole
    64 MiB that was consumed 16 bytes, the hash of the last 1,024 bytes before that place."""
    size: int = 0
    """Of the file when it was looked at last; compressed as it is there."""
    modified: int = 0
    """Nanoseconds."""
    compression: Literal["", "gzip"] = ""
    state: FileState = FileState.ACTIVE
    is_open_ended: bool = False
    """The last line was taken without a newline: one that is appended later is no event of its own."""
    copy_of: int | None = None
    """The generation of which this is a copy: only what lies after the common beginning is read."""
    unread: int = 0
    """Bytes that were there and went away before they were read, as far as is known."""
    first_seen: float = 0.0
    updated: float = 0.0


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A line that could not be used."""

    generation: int
    path: bytes
    offset: int
    """Of its first byte."""
    length: int
    """Without its newline."""
    line: int
    """From 1."""
    kind: DeadKind
    error: str
    head: bytes
    """Its first 4,096 bytes at most."""
    digest: bytes
    """SHA-256 of the whole line."""
    at: float
    """When it was met."""


class Counts(msgspec.Struct, frozen=True):
    """What was met in some lines; they add up."""

    events: int = 0
    dead: int = 0
    skipped: int = 0
    """Lines that were not usable and, as was asked for, not kept."""
    blank: int = 0
    nuls: int = 0
    """NUL bytes that stood before lines: the hole that a truncated file has where its writer goes on."""
    bytes: int = 0
    """Consumed."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.events + other.events,
            self.dead + other.dead,
            self.skipped + other.skipped,
            self.blank + other.blank,
            self.nuls + other.nuls,
            self.bytes + other.bytes,
        )


class Portion(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive lines of one generation. `before` and `after` are the same generation."""

    before: Generation
    after: Generation
    events: Sequence[Any]
    places: Sequence[int]
    """Where the line of each event begins."""
    dead: Sequence[DeadLetter] = ()
    counts: Counts = Counts()


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a file that a person may want to know; logged, and counted by kind."""

    kind: Literal[
        "new",
        "moved",
        "copied",
        "rotated",
        "truncated",
        "replaced",
        "missing",
        "returned",
        "lost",
        "unreadable",
        "done",
    ]
    path: bytes
    message: str
    generation: int | None = None
    unread: int = 0


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What was read in one turn and is to be committed as a whole, or read again."""

    portions: Sequence[Portion] = ()
    changed: Sequence[Generation] = ()
    """Generations as they are then: those of the portions, and new, moved, missing ones. Each once."""
    noticed: Sequence[Noticed] = ()


class Holder(msgspec.Struct, frozen=True):
    """Who may move the offsets of a stream: one epoch of one run."""

    run: str
    epoch: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as its ledger has it."""

    name: str
    holder: Holder
    generations: Sequence[Generation] = ()
    counts: Counts = Counts()
    commits: int = 0
    operation: str = ""
    """The client-made id of the newest commit, by which a lost reply to COMMIT is cleared up."""
    state: bytes | None = None
    """The state beside the stream, encoded."""
    sink_length: int | None = None
    """Of a sink that is a file."""
    sink_tail: Mark = Mark()
    """Of the last bytes of that."""
    parser: str = ""
    """What turns lines into events, in words: another one is a change that is told."""
    facts: Mapping[str, Any] = {}
    """For people: paths as they were asked for, and the like."""
    created: float = 0.0
    updated: float = 0.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one commit moves on."""

    operation: str
    changed: Sequence[Generation] = ()
    moved: Mapping[int, int] = {}
    """Generation to the offset that the ledger must have until now; those that are new are not in it."""
    dead: Sequence[DeadLetter] = ()
    counts: Counts = Counts()
    state: bytes | None = None
    """None: as it was."""
    sink_length: int | None = None
    sink_tail: Mark = Mark()
    at: float = 0.0
