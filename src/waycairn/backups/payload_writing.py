"""A backup on its way into the store: what a source exports to.

The thread of the source fills a part while one thread behind it hashes and commits the one before. At most three parts are in
memory: the one that is filled, one that waits, one that is committed; and one more while runs are exported.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from waycairn.backups.payload import Index, Piece, Span, check_name, encode_part
from waycairn.backups.payload_reading import Payload
from waycairn.backups.source import MemberWriter
from waycairn.codec import encode
from waycairn.model.backups import INDEX, TASK, Member, part_name
from waycairn.model.drafts import Draft, StepDraft
from waycairn.model.encoded import Encoded
from waycairn.model.ids import RunId
from waycairn.model.records import Progress
from waycairn.model.states import RunStatus
from waycairn.store import StoreCore
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_operation_id

PART = 4 << 20
"""Bytes. Measured with 4, 8 and 16 MiB: no difference in speed beyond that of two runs of the same; memory is three of them."""
_SMALL = 128 << 10
"""Writes up to here are joined to pieces of this size: a row of a table is no piece of its own."""

Progressed = Callable[[int, int], None]


class _Hash(Protocol):
    def update(self, data: Piece, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Part:
    """Pieces. Filled by one thread, then committed by another."""

    def __init__(self, number: int, is_cut: bool) -> None:
        self.number = number
        self.is_cut = is_cut
        self.pieces: list[bytes] = []
        self.size = 0
        self.unhashed: list[tuple[_Hash, bytes]] = []
        """What was written up to its end and is not hashed yet, in the order in which it was written: also to the other part."""


class PayloadWriter:
    """Implements `source.Target` for one export. Used by one thread; that of the source."""

    def __init__(
        self,
        core: StoreCore,
        run: RunId,
        *,
        before: Payload | None = None,
        leans_on: float = 0.0,
        progress: Progressed | None = None,
    ) -> None:
        """`before`: a whole backup; parts of it that were written since `leans_on` may be carried over."""
        self._now = core.clock.now
        self._committer = _Committer(core, run)
        self._before = before
        self._leans_on = leans_on
        self._progress = progress
        self._lengths: list[list[int]] = []
        self._times: dict[int, float] = {}
        """Of parts that were carried over: when they were written."""
        self._open: dict[bool, _Part] = {}
        """The part that is filled: with chunks of a store, and with all else."""
        self._unhashed: list[tuple[_Hash, bytes]] = []
        self._taken: set[str] = set()
        self._written: list[_Member | Member] = []
        self._carried: dict[int, int] = {}
        """Parts of the backup before, and their numbers in this one."""
        self.carried_members: set[str] = set()

    # -- the contract of a target ------------------------------------------------------------------------------------

    @contextmanager
    def member(self, name: str, **facts: Any) -> Iterator[MemberWriter]:
        self._take(name)
        member = _Member(self, name, facts)
        self._written.append(member)
        try:
            yield member
            member.end()
        except BaseException:
            self._written.remove(member)
            self._taken.discard(name)
            raise

    def carry(self, member: Member) -> bool:
        before = self._before
        if before is None or before.members.get(member.name) != member:
            return False
        self._take(member.name)
        if not self._carry_parts(before, [part for part, _, _ in member.spans]):
            self._taken.discard(member.name)
            return False
        spans = [(self._carried[part], first, count) for part, first, count in member.spans]
        self._written.append(msgspec.structs.replace(member, spans=spans))
        self.carried_members.add(member.name)
        return True

    def progress(self, records: int, size: int) -> None:
        self._committer.check()
        if self._progress is not None:
            self._progress(records, size)

    # -- the end -----------------------------------------------------------------------------------------------------

    def finish(self) -> Index:
        """Commit what is left and the index. Durable when it returns; nothing of it was read back yet."""
        for part in self._open.values():
            self._hand_over(part)
        self._open.clear()  # its bytes are not needed while they are read back
        self._committer.end()
        members = [one if isinstance(one, Member) else one.made() for one in self._written]
        now = self._now()
        written = [self._times.get(part, now) for part in range(len(self._lengths))]
        index = Index({member.name: member for member in members}, self._lengths, written)
        crashpoint("backup.index")
        self._committer.commit(INDEX, encode(index.plain()))
        crashpoint("backup.indexed")
        return index

    def complete(self) -> None:
        """The run is done: it was read back."""
        self._committer.complete()

    def abandon(self) -> None:
        """End the thread, whatever became of what it was given. Idempotent."""
        self._committer.abandon()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _take(self, name: str) -> None:
        check_name(name)
        if name in self._taken:
            raise ValueError(f"there are two members {name!r} in one backup. Nothing was deleted.")
        self._taken.add(name)

    def append(self, piece: bytes, hash_: _Hash, is_chunk: bool) -> tuple[int, int]:
        """For the members: where the piece lies."""
        part = self._open.get(is_chunk)
        if part is not None and part.size + len(piece) > PART:
            self._hand_over(part)
            part = None
        if part is None:
            part = self._open[is_chunk] = _Part(len(self._lengths), is_chunk)
            self._lengths.append([])
        part.pieces.append(piece)
        self._unhashed.append((hash_, piece))
        part.size += len(piece)
        self._lengths[part.number].append(len(piece))
        return part.number, len(part.pieces) - 1

    def _hand_over(self, part: _Part) -> None:
        part.unhashed, self._unhashed = self._unhashed, []
        self._committer.put(part)

    def _carry_parts(self, before: Payload, parts: Sequence[int]) -> bool:
        wanted = [part for part in dict.fromkeys(parts) if part not in self._carried]
        if not wanted:
            return True
        numbers = range(len(self._lengths), len(self._lengths) + len(wanted))
        if any(before.index.written[part] < self._leans_on for part in wanted):
            return False
        if not self._committer.carry(before, dict(zip(wanted, numbers, strict=True))):
            self._before = None  # it goes, or has gone: the rest is written
            return False
        self._carried.update(zip(wanted, numbers, strict=True))
        self._times.update(zip(numbers, (before.index.written[part] for part in wanted), strict=True))
        self._lengths += (list(before.index.lengths[part]) for part in wanted)
        return True


class _Member:
    """Implements `source.MemberWriter`."""

    def __init__(self, writer: PayloadWriter, name: str, facts: dict[str, Any]) -> None:
        self._writer = writer
        self._name = name
        self._facts = facts
        self._hash: _Hash = hashlib.sha256()
        self._spans: list[Span] = []
        self._size = 0
        self._records = 0
        self._small: list[Piece] = []
        self._small_size = 0

    def write(self, data: Piece, records: int = 0, *, is_chunk: bool = False) -> None:
        self._records += records
        length = memoryview(data).nbytes
        self._size += length
        if is_chunk and length:
            self._flush()
            self._append(bytes(data), is_chunk=True)
            return
        if length + self._small_size <= _SMALL:
            self._small.append(data)
            self._small_size += length
            return
        self._flush()
        if length <= PART:
            self._append(bytes(data))
            return
        view = memoryview(data).cast("B")
        for start in range(0, length, PART):
            self._append(bytes(view[start : start + PART]))

    def note(self, **facts: Any) -> None:
        self._facts.update(facts)

    def end(self) -> None:
        self._flush()

    def made(self) -> Member:
        """Once all of its pieces are committed, and with that hashed."""
        return Member(
            name=self._name,
            size=self._size,
            sha256=self._hash.hexdigest(),
            records=self._records,
            facts=self._facts,
            spans=self._spans,
        )

    def _flush(self) -> None:
        if self._small_size:
            self._append(b"".join(self._small))
        self._small, self._small_size = [], 0

    def _append(self, piece: bytes, *, is_chunk: bool = False) -> None:
        part, at = self._writer.append(piece, self._hash, is_chunk)
        if self._spans and self._spans[-1][0] == part and sum(self._spans[-1][1:]) == at:
            self._spans[-1] = (part, self._spans[-1][1], self._spans[-1][2] + 1)
        else:
            self._spans.append((part, at, 1))


class _Committer:
    """The thread behind: parts are hashed and committed in the order in which they come."""

    def __init__(self, core: StoreCore, run: RunId) -> None:
        self._core = core
        self._run = run
        self._sequence = 0
        self._turn = threading.Lock()
        """Commits of a run follow one another."""
        self._waiting: queue.Queue[_Part | None] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._gives_up = False
        self._thread = threading.Thread(target=self._work, name=f"waycairn-backup-{run}", daemon=True)
        self._thread.start()

    def put(self, part: _Part) -> None:
        """Waits while another part waits. Raises what went wrong with those before."""
        self.check()
        self._waiting.put(part)

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """All is committed. Raises what went wrong."""
        self._stop()
        self.check()

    def abandon(self) -> None:
        self._gives_up = True
        self._stop()

    def commit(self, name: str, encoded: Encoded) -> None:
        step = StepDraft(scope=TASK, name=name, arguments=None, encoded=encoded, took=0.0)
        with self._turn:
            self._core.commit(self._draft(steps=[step]))
            self._sequence += 1

    def complete(self) -> None:
        with self._turn:
            self._core.commit(self._draft(status=RunStatus.COMPLETED))
            self._sequence += 1

    def carry(self, before: Payload, numbers: dict[int, int]) -> bool:
        """Parts of another backup become these of this one; false if that cannot be."""
        self.check()
        names = {part_name(old): part_name(new) for old, new in numbers.items()}
        crashpoint("backup.carry")
        with self._turn:
            is_done = self._core.carry_steps(self._draft(), before.run, before.steps_named(names))
            self._sequence += is_done
        crashpoint("backup.carried")
        return is_done

    def _draft(self, **what: Any) -> Draft:
        return Draft(
            run=self._run,
            epoch=1,
            sequence=self._sequence + 1,
            operation=new_operation_id(),
            progress=Progress(),
            **what,
        )

    def _stop(self) -> None:
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (part := self._waiting.get()) is not None:
            if self._error is None and not self._gives_up:
                try:
                    self._take(part)
                except BaseException as error:  # noqa: BLE001 - raised where the source writes on
                    self._error = error

    def _take(self, part: _Part) -> None:
        for hash_, piece in part.unhashed:
            hash_.update(piece)
        crashpoint("backup.part")
        self.commit(part_name(part.number), encode_part(part.pieces, is_cut=part.is_cut))
        crashpoint("backup.part.committed")
