"""What exists and who holds it, in groups of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from waycairn.model.ids import CheckpointId, ChunkId, OperationId, PackId, RunId
from waycairn.model.journal import Iteration, JournalRows, LoggedCut, Pattern, PromotedRule, RuleOptimization
from waycairn.model.records import (
    CheckpointFilter,
    CheckpointRecord,
    ChunkPlace,
    Commit,
    ComputedItem,
    DoneItems,
    FailedItem,
    NewRun,
    OutputLength,
    Owner,
    RunFilter,
    RunRecord,
    Stored,
    StoredStep,
    StoreInfo,
)
from waycairn.model.spans import Spans
from waycairn.model.states import CheckpointStatus
from waycairn.model.sweeping import Condemned, DeadBlock, Mark, PackFill, Runs
from waycairn.ports.catalog_accounts import AccountRows, LoginRows, TokenRows
from waycairn.ports.catalog_audit import AuditRows
from waycairn.ports.catalog_backups import BackupRows
from waycairn.ports.catalog_branches import BranchRows
from waycairn.ports.catalog_copying import CopyRows
from waycairn.ports.catalog_damage import DamageRows
from waycairn.ports.catalog_entries import EntryRows
from waycairn.ports.catalog_keys import KeyRows
from waycairn.ports.catalog_moving import MovingRows
from waycairn.ports.catalog_repacking import RepackRows
from waycairn.ports.catalog_retention import RetentionRows, RoomRows
from waycairn.ports.catalog_run_pages import RunPages
from waycairn.ports.catalog_sizes import SizeRows
from waycairn.ports.catalog_upkeep import UpkeepRows
from waycairn.ports.measuring import MeasureRows


class RunRows(Protocol):
    """Runs: entering, taking over, reading. All writes are durable when they return."""

    def add_run(self, run: NewRun, now: float) -> bool:
        """Insert with sequence 0, status running. False, and nothing changed, if (parent, name, key) exists.

        A run below another (root is not its id) is fenced: OwnershipLost if its root has another epoch than it."""
        ...

    def take_over(self, run: RunId, epoch: int, owner: Owner | None, now: float) -> bool:
        """Compare and swap: if the root run `run` still has this epoch, give it epoch + 1, the owner, status running
        and entered + 1, and every run below it the new epoch (their status stays). False, and nothing changed, if it
        has another epoch. Without an owner nobody enters: whoever holds it is fenced out, and it waits to be entered."""
        ...

    def get_run(self, run: RunId) -> RunRecord | None: ...

    def find_run(self, parent: RunId | None, name: str, key: str | None) -> RunRecord | None:
        """The current (not replaced) run of that identity."""
        ...

    def list_runs(self, which: RunFilter) -> Sequence[RunRecord]: ...

    def replace_run(self, old: RunId, epoch: int, new: NewRun, now: float) -> bool:
        """In one transaction: the old run gives up its identity (it stays listed, as history) and the new one takes
        it. False, and nothing changed, if the old run has another epoch or was replaced already."""
        ...

    def change_run(self, run: RunId, epoch: int, now: float, **columns: Any) -> None:
        """Set fingerprint, total, tags, metadata, launch, task, status or owner. Raises OwnershipLost if the epoch is
        another one."""
        ...

    def delete_run(self, run: RunId) -> None:
        """Remove the run, the runs below it and everything committed by them, in one transaction."""
        ...


class CommitRows(Protocol):
    """The one transaction of a cut, and what it left behind."""

    def commit(self, commit: Commit) -> None:
        """Apply all of it or nothing, durably (by the durability the catalog was opened with).

        Raises OwnershipLost if the run has another epoch, StoreError if it could not be done. A lost reply is
        settled by the operation id before this returns: either the commit is there (returns), or it is not
        (raises), or that could not be learned (CommitUnknown). Thread-safe; commits of several threads of one
        process may share one transaction, each of them fails or succeeds on its own.
        """
        ...

    def save_value(self, commit: Commit, name: NewRun, keep: int | None = None) -> CheckpointId:
        """Plain `wc.save`: no owner, no epoch, last commit wins. Creates the run if it is missing and gives the commit
        the next sequence. The commit's run, epoch and sequence are ignored. With `keep` values beyond the newest so many
        that can be read (this one is the first of them) are removed in the same transaction, but pinned ones stay."""
        ...

    def newest_operation(self, run: RunId) -> OperationId | None: ...

    def rewind(self, run: RunId, epoch: int, sequence: int, now: float) -> None:
        """Cut the run back to what it was at `sequence`: items and steps of later commits go, later state and result
        checkpoints are set aside if they are not damaged, outputs get the lengths of that checkpoint, or the one they began with. One
        transaction, fenced like a commit; the run's own sequence goes on growing."""
        ...

    def get_step(self, run: RunId, scope: str, name: str) -> StoredStep | None: ...

    def list_steps(self, run: RunId) -> Sequence[StoredStep]: ...

    def outputs(self, run: RunId) -> Mapping[str, OutputLength]:
        """Path to committed length, as of the newest commit."""
        ...


class ItemRows(Protocol):
    """Items, read; they are written by commits."""

    def done_items(self, run: RunId, loop: str) -> Iterator[DoneItems]:
        """In the order of the commits, read lazily, a bounded number at a time."""
        ...

    def done_after(self, run: RunId, loop: str, sequence: int) -> Iterator[tuple[int, DoneItems]]:
        """The same behind a commit, each with the number of its own."""
        ...

    def loops(self, run: RunId) -> Mapping[str, int]:
        """Name of each loop to its number of done items."""
        ...

    def failures(self, run: RunId, after: tuple[str, bytes] | None = None) -> Iterator[FailedItem]:
        """Of all loops, those of a loop together, read lazily, a bounded number at a time; behind the one of a loop and
        digest."""
        ...

    def newest_failures(self, run: RunId, limit: int) -> Sequence[FailedItem]:
        """At most so many, of all loops, the newest first."""
        ...

    def failed_digests(self, run: RunId, loop: str) -> Mapping[bytes, bool]:
        """Digests of the items of a loop that failed and are not done, and whether they are poison."""
        ...


class WaitingRows(Protocol):
    """What waits, read; it is written by commits."""

    def waiting(self, run: RunId) -> Sequence[str]:
        """The loops and queues of a run that have something below, by name."""
        ...

    def computed(self, run: RunId, loop: str) -> Sequence[ComputedItem]:
        """Items of a loop whose results are there and wait for their fold, in the order of the commits. Few."""
        ...

    def queued(self, run: RunId, queue: str) -> Iterator[Stored]:
        """What was added to a queue, a bundle a commit, in order, read lazily."""
        ...


class SessionRows(Protocol):
    """What sessions wrote down, read; it is written by commits. `after` is a sequence: only what later commits hold."""

    def metrics(self, run: RunId, after: int = -1) -> Iterator[LoggedCut]:
        """Logged points by the cuts that hold them, in order, read lazily, a bounded number at a time."""
        ...

    def newest_step(self, run: RunId) -> int | None:
        """The highest step that something was logged for."""
        ...

    def iterations(self, run: RunId, after: int = -1) -> Sequence[Iteration]:
        """By number."""
        ...

    def next_iterations(self, run: RunId, number: int, limit: int) -> Sequence[Iteration]:
        """Those with higher numbers, in order, at most so many."""
        ...

    def former_iterations(self, run: RunId, number: int | None, limit: int) -> Sequence[Iteration]:
        """Those with lower numbers, or all, the highest first, at most so many."""
        ...

    def find_iteration(self, run: RunId, number: int | None = None) -> Iteration | None:
        """That of a number, or of the highest one."""
        ...

    def rules(self, run: RunId, after: int = -1) -> Sequence[RuleOptimization]:
        """Trials of rules, in the order of their commits."""
        ...

    def rule_metadata(self) -> Sequence[PromotedRule]:
        """The best of each rule in the whole store, by rule. A commit promotes a candidate that scores better than what
        stands there, and says so in its trial; of two commits at once the better one stands. Deleting the run leaves
        it; cutting the run back behind it leaves the best candidate of those trials that are still there."""
        ...

    def patterns(self, run: RunId | None = None, after: int = -1) -> Sequence[Pattern]:
        """What a run found, in the order of its commits; or what any run found, by time."""
        ...

    def journal(self, run: RunId, after: int) -> Mapping[int, JournalRows]:
        """By commit, its iterations, rules and patterns (not its points), read at one moment: of a commit all of it or
        nothing, though the run goes on meanwhile."""
        ...


class CheckpointRows(Protocol):
    """Checkpoints, read and managed."""

    def get_checkpoint(self, run: RunId, sequence: int) -> CheckpointRecord | None: ...

    def latest_checkpoint(
        self, run: RunId, kind: str | None = None, role: str | None = None
    ) -> CheckpointRecord | None:
        """The newest valid one (of that kind and role)."""
        ...

    def list_checkpoints(self, which: CheckpointFilter) -> Sequence[CheckpointRecord]: ...

    def mark_checkpoint(self, run: RunId, sequence: int, status: CheckpointStatus, damage: str | None) -> None: ...

    def pin_checkpoint(self, run: RunId, sequence: int, pinned: bool) -> bool:
        """False if there is no such checkpoint."""
        ...

    def delete_checkpoints(self, run: RunId, sequences: Sequence[int]) -> int:
        """Rows removed, in one transaction; pinned ones are left. Their chunks stay for a sweep."""
        ...


class ChunkRows(Protocol):
    """The chunk index. Numbers are small integers given out in ranges; a chunk's number never changes."""

    def reserve_numbers(self, count: int) -> int:
        """First of `count` numbers that nobody else gets. Numbers of a range that is not used up are lost."""
        ...

    def find_chunks(self, ids: Sequence[ChunkId]) -> Mapping[ChunkId, int]:
        """Those of the ids that the store has, and their numbers (the lowest, should there be two). Not those
        that are marked damaged or lie in an archive: what is saved must not lean on them."""
        ...

    def locate_chunks(self, numbers: Sequence[int]) -> Mapping[int, ChunkPlace]:
        """Where to read them. A number that is missing from the answer does not exist."""
        ...

    def sweep_epoch(self) -> int:
        """Grows with each sweep that removed chunks; see NewData.sweep_epoch."""
        ...

    def packs(self) -> Mapping[PackId, int]:
        """All packs the catalog knows, and their sizes."""
        ...

    def pack_ends(self) -> Mapping[PackId, int]:
        """For each pack that a block says it lies in, the end of the last such block: what the pack must reach to."""
        ...

    def count_homeless(self) -> int:
        """Chunks whose block does not exist, blocks that lie neither in a pack nor inline, and blocks whose base does not
        exist: 0 in a sound index."""
        ...


class SweepRows(Protocol):
    """What a sweep reads and removes. `refers` tells the chunks of a manifest (it raises Damaged), `skipped` is how
    manifests begin that refer to none. Safe beside commits, and beside other sweeps."""

    def mark(
        self, refers: Callable[[bytes], Runs], skipped: bytes, without: Mapping[int, Collection[int]] = ...
    ) -> Mark:
        """Find the chunks that nothing refers to. Takes no lock. `without` are checkpoints, by the number of their run, that
        are taken to be gone. Raises Damaged if a manifest cannot be read, as what it needs is not known then; and if the chunk
        index has lost rows that one needs."""
        ...

    def condemn(
        self,
        mark: Mark,
        part: Iterable[DeadBlock],
        refers: Callable[[bytes], Runs],
        skipped: bytes,
        *,
        yields: bool = False,
    ) -> Condemned:
        """Remove the rows of a part of what was marked, in one transaction, but for what was committed since then or found
        again by that; and move the sweep epoch. A pack of which no block is left is condemned by that.

        Raises SweptMeanwhile, and nothing was changed, if the epoch is not that of the mark any more. With `yields` raises
        Awaited, and nothing was changed, if it is many and others wait to write meanwhile."""
        ...

    def condemn_unknown(self, found: Mapping[PackId, int]) -> Sequence[PackId]:
        """Of these packs on disk (and their sizes) those that no commit named; none can name them any more, and they are
        condemned. Moves the sweep epoch."""
        ...

    def pack_fill(self) -> Mapping[PackId, PackFill]:
        """What is used of each pack. One without blocks is condemned: its file is to go, then its row."""
        ...

    def packs_of(self, part: Iterable[DeadBlock]) -> Mapping[PackId, PackFill]:
        """In which packs these blocks lie, and how much of each they are (its size is not told)."""
        ...

    def known_packs(self, names: Sequence[PackId]) -> Collection[PackId]:
        """Those of these packs that have a row, condemned ones too."""
        ...

    def forget_packs(self, names: Sequence[PackId]) -> None:
        """Remove the rows of condemned packs whose files are gone."""
        ...

    def has_chunks(self, numbers: Spans) -> bool:
        """Whether all of these chunks are there, none of them marked damaged or in an archive."""
        ...


class Catalog(
    RunRows,
    RunPages,
    CommitRows,
    ItemRows,
    WaitingRows,
    SessionRows,
    CheckpointRows,
    ChunkRows,
    SweepRows,
    RepackRows,
    KeyRows,
    CopyRows,
    MovingRows,
    SizeRows,
    UpkeepRows,
    DamageRows,
    AuditRows,
    BackupRows,
    BranchRows,
    MeasureRows,
    RetentionRows,
    RoomRows,
    AccountRows,
    LoginRows,
    TokenRows,
    EntryRows,
    Protocol,
):
    """What exists and who holds it. One implementation for SQLite and PostgreSQL; thread-safe; never used across
    a fork (UsedAfterFork for objects of the parent, fresh connections for new ones)."""

    @property
    def info(self) -> StoreInfo: ...

    def clock_offset(self) -> float:
        """Seconds to add to this host's clock to get the database's; 0 for SQLite."""
        ...

    def renew_lease(self, run: RunId, epoch: int, seconds: float) -> bool:
        """Set lease_until to the database's now + seconds. False if the epoch is another one."""
        ...

    def stats(self) -> Mapping[str, Any]:
        """Counts and sizes, computed from the rows: runs and, of those, phases by status, checkpoints by status and
        kind, step, chunk, block and pack counts and bytes, newest and oldest checkpoint time."""
        ...

    def close(self) -> None: ...
