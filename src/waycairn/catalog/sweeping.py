"""What a sweep asks of the catalog: which chunks nothing refers to, and their removal.

Safe beside commits of any number of processes, without stopping them while it looks:

1. `mark` reads what there is: first the newest commit of each run, then the chunks, then the manifests. A chunk and the
   manifest that brought it are committed together, so whoever sees the chunk sees the manifest, too.
2. `condemn` locks the sweep epoch. From here on no commit that found chunks again can end: those before are seen, those
   after find another epoch and are refused (see `chunk_index.add_data`). Then it looks at what was committed since the
   mark, takes off what that refers to, removes the rest, and moves the epoch.

A mark is good for one epoch: if another sweep came between, it is made again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import islice
from operator import le
from typing import Any

from waycairn.catalog.chunk_index import COUNTER, IS_ARCHIVED, LOCK_EPOCH, is_sound
from waycairn.catalog.database import Row, Session, in_batches
from waycairn.catalog.dropping import drop_chunks
from waycairn.catalog.filters import any_values, one_of
from waycairn.catalog.parts import Part
from waycairn.catalog.plan import names_of_row
from waycairn.catalog.shapes import nonsense_of
from waycairn.catalog.sql import ClauseElement, Integer, LargeBinary, Table, bindparam, delete, func, select
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import blocks, checkpoints, chunks, counters, metadata, runs
from waycairn.errors import Damaged, SweptMeanwhile
from waycairn.model.ids import RunId
from waycairn.model.spans import Spans
from waycairn.model.sweeping import Condemned, DeadBlock, DeadBlocks, Mark, Runs

Refers = Callable[[bytes], Runs]
"""From a manifest to the chunks that it refers to. Raises Damaged."""

Without = Mapping[int, Collection[int]]
"""Checkpoints, by the number of their run, that are taken to be gone: what a sweep would do."""
NOBODY: Without = {}

REFERRING = tuple(table for table in metadata.sorted_tables if "manifest" in table.c)
"""Every table with manifests in it, so that none is ever forgotten here. All have `run` and `sequence`."""
_PAGE = 4096
_RUNS_AT_ONCE = 64
_MANY = 65536
"""Ranges that are gathered before they are joined."""
_SIZES = (1, 16, 256)

SEQUENCES = Statement("sequences", "The newest commit of each run.", select(runs.c.num, runs.c.id, runs.c.sequence))
NUMS = Statement("nums", "All runs.", select(runs.c.num).order_by(runs.c.num))
CHUNKS_AFTER = Statement(
    "chunks_after",
    "A bounded number of chunks, and the block of each.",
    select(chunks.c.number, chunks.c.block)
    .where(chunks.c.number > bindparam("after"))
    .order_by(chunks.c.number)
    .limit(bindparam("limit", type_=Integer)),
)
COUNT_BETWEEN = Statement(
    "count_between",
    "How many chunks have one of these numbers.",
    select(func.count()).select_from(chunks).where(chunks.c.number.between(bindparam("first"), bindparam("last"))),
)


@cache
def manifests(table: Table, *, since: bool) -> Statement:
    """`skipped` is how manifests begin that refer to no chunk: most of them, and each as long as its state."""
    which = (
        [table.c.run == bindparam("num"), table.c.sequence > bindparam("since")]
        if since
        else [table.c.run.between(bindparam("first"), bindparam("last"))]
    )
    refers = func.substr(table.c.manifest, 1, bindparam("length", type_=Integer)) != bindparam(
        "skipped", type_=LargeBinary
    )
    which += [table.c.manifest.is_not(None), refers]

    def build(build: Build) -> ClauseElement:
        found: Any = select(table.c.run, table.c.sequence, table.c.manifest).where(*which)
        # To open a manifest it must be known of which row it is.
        named = [table.c[name] for name in names_of_row(table) if name not in {"run", "sequence"}]
        chosen: ClauseElement = found
        if build.is_sealed:
            chosen = found.add_columns(runs.c.id, *named).join(runs, runs.c.num == table.c.run)
        return chosen

    return Statement(f"manifests_of_{table.name}", "The manifests of these rows.", build)


@cache
def drop_blocks(count: int) -> Statement:
    return Statement("drop_blocks", "Remove blocks.", delete(blocks).where(one_of(blocks.c.number, count)))


@cache
def _inline_bytes(count: int) -> Statement:
    return Statement(
        "inline_bytes",
        "Bytes of those of these blocks that lie in the catalog.",
        select(func.sum(blocks.c.stored_length)).where(one_of(blocks.c.number, count), blocks.c.pack.is_(None)),
    )


@cache
def _which_chunks(count: int) -> Statement:
    return Statement(
        "which_chunks",
        "Which of these chunks have a row, are not marked damaged and lie in no archive.",
        select(chunks.c.number).where(one_of(chunks.c.number, count), is_sound(chunks.c.number), ~IS_ARCHIVED),
    )


# -- what chunks are built on ------------------------------------------------------------------------------------------


def _joined() -> Any:
    """Chunks that are stored as the difference to another one."""
    return (
        select(chunks.c.number, blocks.c.base)
        .join_from(chunks, blocks, chunks.c.block == blocks.c.number)
        .where(blocks.c.base.is_not(None))
    )


@cache
def all_bases() -> Statement:
    return Statement("all_bases", "Every chunk that is a difference, and what it is the difference to.", _joined())


@cache
def _bases(count: int) -> Statement:
    return Statement("bases", "The same of these chunks.", _joined().where(one_of(chunks.c.number, count)))


class SweepPart(Part):
    """Implements `ports.SweepRows`."""

    def mark(self, refers: Refers, skipped: bytes, without: Without = NOBODY) -> Mark:
        epoch = self._database.read(_epoch)
        # The order of these three is what makes it safe, see above.
        sequences = self._database.read(newest_commits)
        numbers, places = self._chunks()
        live = self._live(refers, skipped, without)
        self._check_that_all_are_there(lacking(numbers, live), epoch)
        return Mark(epoch=epoch, sequences=sequences, dead=_dead(numbers, places, live))

    def _check_that_all_are_there(self, missing: Sequence[tuple[int, int]], epoch: int) -> None:
        """What was committed since the chunks were read is there by now; else the index has lost rows."""
        lost = [run for run in missing if self._database.read(partial(_count_between, run=run)) < run[1]]
        # Of a manifest that was deleted meanwhile another sweep may have taken the chunks: then this mark is void.
        if lost and self._database.read(_epoch) == epoch:
            raise Damaged(
                f"the chunk index has lost rows that manifests need (chunk {lost[0][0]} first), so nobody can tell which packs "
                "hold them and nothing may be swept. Nothing of chunks and packs was removed. `waycairn repair` puts them back "
                "from the packs. Where that says that chunks are lost, delete the checkpoints that `waycairn verify` names, "
                "then sweep again.",
                table=chunks.name,
                chunk=lost[0][0],
            )

    def _chunks(self) -> tuple[array[int], array[int]]:
        """All numbers, in order, and the block of each: 16 bytes a chunk."""
        numbers, places = array("q"), array("q")
        while page := self._database.read(partial(chunks_after, after=numbers[-1] if numbers else -1)):
            with nonsense_of(chunks.name):
                numbers.extend(number for number, _ in page)
                places.extend(block for _, block in page)
        return numbers, places

    def _live(self, refers: Refers, skipped: bytes, without: Without) -> Spans:
        nums = [num for (num,) in self._database.read(lambda session: session.all(NUMS))]
        found: set[tuple[int, int]] = set()
        for at in range(0, len(nums), _RUNS_AT_ONCE):
            few = nums[at : at + _RUNS_AT_ONCE]
            values = {"first": few[0], "last": few[-1], "skipped": skipped, "length": len(skipped)}
            for table in REFERRING:
                gone = without if table is checkpoints else NOBODY
                read = partial(_referred, table=table, values=values, refers=refers, without=gone)
                found |= self._database.read(read)
            if len(found) > _MANY:
                found = set(Spans(found))
        return with_bases(Spans(found), dict(self._database.read(lambda session: session.all(all_bases()))))

    def condemn(
        self, mark: Mark, part: Iterable[DeadBlock], refers: Refers, skipped: bytes, *, yields: bool = False
    ) -> Condemned:
        is_awaited = self._database.is_awaited if yields else _never
        return self._database.write(lambda session: _condemn(session, mark, part, refers, skipped, is_awaited))

    def has_chunks(self, numbers: Spans) -> bool:
        return self._database.read(lambda session: _has_chunks(session, numbers))


# -- marking -------------------------------------------------------------------------------------------------------


def _epoch(session: Session) -> int:
    row = session.one(COUNTER, {"counter": "sweep"})
    with nonsense_of(counters.name):
        if row is None:
            raise ValueError("a number is missing")
        return int(row[0])


def newest_commits(session: Session) -> dict[int, tuple[RunId, int]]:
    with nonsense_of(runs.name):
        return {int(num): (RunId(id_), int(sequence)) for num, id_, sequence in session.all(SEQUENCES)}


def chunks_after(session: Session, after: int) -> list[Row]:
    return session.all(CHUNKS_AFTER, {"after": after, "limit": _PAGE})


def _referred(
    session: Session,
    table: Table,
    values: Mapping[str, object],
    refers: Refers,
    *,
    since: bool = False,
    without: Without = NOBODY,
) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for num, sequence, manifest, *_ in session.each(manifests(table, since=since), values):
        if num in without and sequence in without[num]:
            continue
        try:
            found.update(refers(bytes(manifest)))
        except Damaged as error:
            raise Damaged(
                f"the manifest of a row of {table.name} (run number {num}, commit {sequence}) cannot be read, so what it "
                f"needs is not known and nothing may be swept: {error} Nothing was removed. `waycairn verify` names what "
                "is damaged; delete that, then sweep again.",
                table=table.name,
            ) from error
    return found


def with_bases(live: Spans, bases: Mapping[int, int]) -> Spans:
    """What lives, and what that is the difference to, and so on. The one place where bases make chunks live in a mark;
    `rescued` does the same for what was committed since."""
    more: set[int] = set()
    for number in bases:
        at = number
        while at in bases and (at in live or at in more) and bases[at] not in more:
            at = bases[at]
            more.add(at)
    return live | Spans((number, 1) for number in more) if more else live


def lacking(numbers: array[int], live: Spans) -> list[tuple[int, int]]:
    """Ranges of what is needed that are not all among these numbers (in order). By halving: it costs nothing for each chunk."""
    missing: list[tuple[int, int]] = []
    at = 0
    for first, count in live:
        begin = bisect_left(numbers, first, at)
        at = bisect_left(numbers, first + count, begin)
        if at - begin < count:
            missing.append((first, count))
    return missing


def _count_between(session: Session, run: tuple[int, int]) -> int:
    first, count = run
    row = session.one(COUNT_BETWEEN, {"first": first, "last": first + count - 1})
    return 0 if row is None else int(row[0])


def _dead(numbers: array[int], places: array[int], live: Spans) -> DeadBlocks:
    """By halving: what lives is few ranges of very many chunks."""
    dead, of = array("q"), array("q")
    kept: list[tuple[int, int]] = []
    at = 0
    for first, count in live:
        begin = bisect_left(numbers, first, at)
        dead.extend(numbers[at:begin])
        of.extend(places[at:begin])
        at = bisect_left(numbers, first + count, begin)
        if begin < at:
            kept.append((begin, at))
    dead.extend(numbers[at:])
    of.extend(places[at:])
    if _is_in_order(places):
        # Chunks of a block lie side by side: only the first and last block of a range can have dead ones, too.
        used = {place for begin, end in kept for place in (places[begin], places[end - 1])}
    else:
        used = set(of)
        used.intersection_update(place for begin, end in kept for place in places[begin:end])
        order = sorted(range(len(of)), key=of.__getitem__)
        dead, of = array("q", [dead[at] for at in order]), array("q", [of[at] for at in order])
    return DeadBlocks(dead, of, used)


def _is_in_order(places: array[int]) -> bool:
    return all(map(le, places, islice(places, 1, None)))


# -- condemning ----------------------------------------------------------------------------------------------------


def _never() -> bool:
    return False


def _condemn(  # noqa: PLR0917 - one private call
    session: Session,
    mark: Mark,
    part: Iterable[DeadBlock],
    refers: Refers,
    skipped: bytes,
    is_awaited: Callable[[], bool],
) -> Condemned:
    # 1. The lock. Nobody who found chunks again commits from here on, and the mark must be of this very epoch.
    row = session.one(LOCK_EPOCH)
    if row is None or row[0] != mark.epoch + 1:
        raise SweptMeanwhile("another sweep was faster. Nothing was removed by this one. Mark again.")
    # 2. What was committed since the mark keeps what it refers to.
    newest = newest_commits(session)
    kept = rescued(session, mark.sequences, newest, refers, skipped)
    dead = [left for block in part if (left := _spare(block, kept)).chunks]
    # 3. The rest goes: chunks, and blocks of which no chunk is left. A pack without blocks is condemned by that.
    numbers = sorted(number for block in dead for number in block.chunks)
    drop_chunks(session, numbers, is_awaited)
    whole = [block.number for block in dead if block.is_whole]
    inline_bytes = _drop_whole(session, whole)
    return Condemned(row[0], len(numbers), len(whole), inline_bytes, newest)


def _drop_whole(session: Session, numbers: Sequence[int]) -> int:
    """Remove these blocks; the bytes of those that lay in the catalog."""
    inline_bytes = 0
    for batch in in_batches(numbers, _SIZES):
        values = any_values(batch)
        row = session.one(_inline_bytes(len(batch)), values)
        inline_bytes += int(row[0] or 0) if row else 0
        session.change(drop_blocks(len(batch)), values)
    return inline_bytes


def rescued(
    session: Session,
    sequences: Mapping[int, tuple[RunId, int]],
    newest: Mapping[int, tuple[RunId, int]],
    refers: Refers,
    skipped: bytes,
) -> Spans:
    """What commits since `sequences` refer to; `newest` is how far each run has come now."""
    found: set[tuple[int, int]] = set()
    for num, (id_, sequence) in newest.items():
        before = sequences.get(num)
        # The number of a removed run may be given out again: another id is another run.
        since = before[1] if before is not None and before[0] == id_ else -1
        if since != sequence:
            values = {"num": num, "since": since, "skipped": skipped, "length": len(skipped)}
            for table in REFERRING:
                found |= _referred(session, table, values, refers, since=True)
    live = Spans(found)
    return live | Spans((number, 1) for number in _bases_of(session, live))


def _bases_of(session: Session, live: Spans) -> set[int]:
    """What these chunks are the difference to, and so on."""
    more: set[int] = set()
    ask = live.numbers()
    while ask:
        rows = [row for batch in in_batches(ask, _SIZES) for row in session.all(_bases(len(batch)), any_values(batch))]
        ask = [int(base) for _, base in rows if base not in more]
        more.update(ask)
    return more


def _spare(block: DeadBlock, kept: Spans) -> DeadBlock:
    if not kept:
        return block
    left = [number for number in block.chunks if number not in kept]
    return block if len(left) == len(block.chunks) else DeadBlock(block.number, left, is_whole=False)


def _has_chunks(session: Session, numbers: Spans) -> bool:
    return all(
        len(session.all(_which_chunks(len(batch)), any_values(batch))) == len(set(batch))
        for batch in in_batches(numbers.numbers(), _SIZES)
    )
