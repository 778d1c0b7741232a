"""What is remembered, as plain frozen records: the vocabulary between `store`, `catalog` and `chunks`.

Times are seconds since 1970 (UTC, float). Sizes are bytes. JSON-able mappings are plain dicts of JSON types.
Payloads (`bytes`) are opaque here: `codec` made them. Most are msgspec Structs: a frozen dataclass of fifteen
fields takes 4 µs each time, and 700 µs where it is defined, a Struct 13. What users are shown is a dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from waycairn.model.ids import CheckpointId, ChunkId, OperationId, PackId, RunId, checkpoint_id
from waycairn.model.journal import JournalRows
from waycairn.model.states import CheckpointStatus, RunStatus
from waycairn.model.vault import Vault

Json = Mapping[str, Any]

PARTS, WHOLE = "waycairn.parts", "waycairn.whole"
"""In the metadata of a batch: how many parts it has. In that of a part: the run of its batch."""
PHASES = "waycairn.phases"
"""In the metadata of a checkpoint: name of each phase to its newest commit at that cut, and the same of the phases below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a run. Pid and start time can both be used again; boot, namespace and nonce cannot."""

    host: str
    boot: str
    """Kernel boot id, so that a pid from before a reboot is never taken for a living one."""
    namespace: str
    """Pid namespace (inode), so that two containers do not compare pids."""
    pid: int
    started: float
    """Process start as the kernel counts it (Linux: seconds from boot, so that setting the clock does not move it)."""
    nonce: str
    since: float
    """When the run was entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a run was started, so that `waycairn resume` can start it again."""

    argv: Sequence[str]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    done: int = 0
    failed: int = 0
    total: int | None = None
    note: str | None = None

    @property
    def percent(self) -> float | None:
        return None if not self.total else min(100.0, 100.0 * (self.done + self.failed) / self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One row of `runs`. `(parent, name, key)` is unique among the runs that were not replaced."""

    id: RunId
    root: RunId
    """The run that owns this one: itself, or the outermost parent of a phase."""
    parent: RunId | None
    name: str
    key: str | None
    status: RunStatus
    epoch: int
    sequence: int
    """Number of the newest commit; 0 before the first."""
    owner: Owner | None
    """Who entered it last; None if it was left or never had an owner (plain `wc.save`)."""
    lease_until: float | None
    """PostgreSQL only: by the clock of the database."""
    fingerprint: Json | None
    task: str | None
    tags: Sequence[str]
    metadata: Json
    launch: Launch | None
    progress: Progress
    error: Json | None
    """type, message, where, traceback of the exception that left the run, if one did."""
    created: float
    updated: float
    entered: int
    """How many times it was entered."""
    origin: CheckpointId | None = None
    """The checkpoint that it was forked from."""
    account: str | None = None
    """Whose it is: the account of a server that created it, else the user of the host. None for runs before format 5."""


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a client decides about a run that does not exist yet."""

    id: RunId
    root: RunId
    parent: RunId | None
    name: str
    key: str | None
    owner: Owner | None
    epoch: int = 1
    """1 for a new root; a phase begins in the epoch of its root."""
    fingerprint: Json | None = None
    task: str | None = None
    tags: Sequence[str] = ()
    metadata: Json = msgspec.field(default_factory=dict)
    launch: Launch | None = None
    total: int | None = None
    account: str | None = None
    """Whose it is."""


class DoneItems(msgspec.Struct, frozen=True, kw_only=True):
    """The keys done in one cut of one loop, in the order they were done (`keys` is made by `codec.keys`)."""

    loop: str
    count: int
    keys: bytes
    results: Stored | None = None
    """What the items gave, in the order of the keys; None if none of them gave anything."""


class FailedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item that failed and is not done. `digest` names it within its loop (16 bytes over the key)."""

    loop: str
    digest: bytes
    key: bytes
    """A block of one key, made by `codec.keys`."""
    attempts: int
    """How often it was tried; in a commit: how often since the last one."""
    first: float
    last: float
    """When it failed first and last."""
    poison: bool = False
    """True if it killed the process that ran it; it is not tried again unless that is asked for."""
    error: Json
    """type, message, where, traceback."""


class ComputedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item whose result is there and waits for its fold. `digest` and `key` as in FailedItem."""

    loop: str
    digest: bytes
    key: bytes
    result: Stored


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered call. `scope` is "" for the run itself, else the item it belongs to."""

    scope: str
    name: str
    arguments: bytes | None
    """Hash of the encoded arguments; None where they cannot be encoded."""
    result: Stored
    took: float
    """Seconds the call took: what a resume saves."""


class StoredStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step as read back; `sequence` is the commit that holds it."""

    step: StepResult
    sequence: int


class OutputLength(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an output file is committed."""

    path: str
    length: int


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Where an encoded state lies: a manifest over chunks, rooted in a keyed hash."""

    manifest: bytes
    root: bytes
    """32 bytes: keyed BLAKE3 over everything the manifest resolves to. Integrity rests on it, not on numbers."""
    raw_bytes: int
    """Size of the encoded state."""
    new_bytes: int
    """Bytes this save added to the store (compressed payload)."""


class NewCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    stored: Stored
    role: str = "state"
    """What it is to its run: "state" (what `run.state` is restored from), "value" (a plain save), "result" (what
    the run or phase returned), "error" (where it failed; never restored from), "stream" (where a stream lies: its metadata says it)."""
    iteration: int | None = None
    tags: Sequence[str] = ()
    description: str | None = None
    metadata: Json = msgspec.field(default_factory=dict)
    expires: float | None = None
    reason: str | None = None
    """Why it was taken where the job did not ask: "pace", "end", "signal", "error"."""
    outputs: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Committed length of each output file at this cut, so that going back to it cuts the files back too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRecord:
    """One row of `checkpoints`."""

    run: RunId
    sequence: int
    epoch: int
    created: float
    pinned: bool
    status: CheckpointStatus
    damage: str | None
    checkpoint: NewCheckpoint

    @property
    def id(self) -> CheckpointId:
        return checkpoint_id(self.run, self.sequence)


class NewChunk(msgspec.Struct, frozen=True):
    """A chunk that the store did not have: its number, content id, and place in its block."""

    number: int
    id: ChunkId
    block: int
    """Number of the first chunk of its block."""
    start: int
    """Offset in the block before compression."""
    length: int


class NewBlock(msgspec.Struct, frozen=True):
    """Consecutive new chunks, compressed and sealed together: in a pack, or inline in the catalog."""

    number: int
    """Number of its first chunk."""
    codec: int
    raw_length: int
    stored_length: int
    pack: PackId | None
    offset: int
    """In the pack; 0 if inline."""
    inline: bytes | None
    base: int | None = None
    """Number of the chunk that this block is the difference to; None if it can be read alone."""


class NewPack(msgspec.Struct, frozen=True):
    id: PackId
    size: int
    digest: bytes
    """BLAKE3-256 of the footer, which holds the hash of everything before it."""


class ChunkPlace(msgspec.Struct, frozen=True, gc=False):
    """Where to read a chunk: its own row joined with the row of its block. There are as many as chunks are read: one of
    these takes a tenth of the time of a frozen dataclass, and nobody has to look through them for cycles."""

    number: int
    id: ChunkId
    start: int
    length: int
    block: NewBlock


class NewData(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit adds below its checkpoint and steps: rows for chunks that are already durable or ride inline."""

    packs: Sequence[NewPack] = ()
    blocks: Sequence[NewBlock] = ()
    chunks: Sequence[NewChunk] = ()
    sweep_epoch: int | None = None
    """The sweep epoch under which chunks were found again; the commit is refused if a sweep came between."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One cut, whole or not at all. Pure values: encoded before, applied in one transaction.

    `sequence` is the number this commit gets: the run's newest + 1. `operation` names the attempt, so that an
    unknown outcome can be settled by asking for the newest operation of the run.
    """

    run: RunId
    epoch: int
    sequence: int
    operation: OperationId
    now: float
    progress: Progress
    status: RunStatus | None = None
    """A new status (leaving), else None."""
    error: Json | None = None
    items: Sequence[DoneItems] = ()
    failures: Sequence[FailedItem] = ()
    """Items that failed; one that failed before is counted on."""
    settled: Sequence[tuple[str, bytes]] = ()
    """Loop and digest of items that failed before and are done now: no failures any more."""
    computed: Sequence[ComputedItem] = ()
    folded: Sequence[tuple[str, bytes]] = ()
    """Loop and digest of items that were computed in an earlier commit and are done now."""
    queued: Mapping[str, Stored] = msgspec.field(default_factory=dict)
    """Queue to what was added to it, a bundle."""
    steps: Sequence[StepResult] = ()
    outputs: Sequence[OutputLength] = ()
    checkpoint: NewCheckpoint | None = None
    drop: Sequence[int] = ()
    """Sequences of checkpoints of this run that this commit replaces; removed in the same transaction."""
    data: Sequence[NewData] = ()
    journal: JournalRows | None = None


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list. None means any. Newest first."""

    name: str | None = None
    key: str | None = None
    status: Sequence[RunStatus] | None = None
    task: str | None = None
    tag: str | None = None
    root: RunId | None = None
    roots_only: bool = True
    limit: int | None = None


class CheckpointFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which checkpoints to list. None means any. Newest first."""

    run: RunId | None = None
    kind: str | None = None
    role: str | None = None
    tag: str | None = None
    status: CheckpointStatus | None = None
    pinned: bool | None = None
    before: int | None = None
    """Sequences below this one (to fall back from a damaged checkpoint)."""
    since: float | None = None
    """Taken at this time or later, in seconds since 1970."""
    until: float | None = None
    """Taken before this time."""
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What `meta` holds: written once when the store is created."""

    id: str
    format: int
    secret: bytes = field(repr=False)
    """32 bytes: the key of every hash in this store, and the seed of content-defined cuts."""
    created: float
    vault: Vault | None = field(default=None, repr=False, compare=False)
    """The keys of an encrypted store; None: it is a plain one."""

    @property
    def is_encrypted(self) -> bool:
        return self.vault is not None
