"""A whole store copied into a new one: from either database to either, plain or encrypted, verified before it may be used.

    1. the new store is created, marked as unfinished: nobody can open it
    2. every block is read, verified and written to a new pack, under the secret and the keys of the new store; blocks that
       a copy before this one brought over are left alone
    3. the rows of all tables, as they are at one moment of the source
    4. everything is read back: rows are compared with the source, states with their hashes
    5. the mark goes: from here on it is a store

Killed anywhere, the copy is unfinished, and the same call goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from waycairn.chunks.referring import runs_in
from waycairn.chunks.rekeying import Rekeying, Side, state_in
from waycairn.chunks.repacking import as_stored
from waycairn.errors import Damaged, RunIsHeld, StoreError
from waycairn.model.records import ChunkPlace, RunFilter
from waycairn.model.repacking import StoredBlock
from waycairn.ports import CopiedRow, TableReader
from waycairn.store import StoreCore
from waycairn.upkeep import verifying
from waycairn.upkeep.auditing import audited
from waycairn.upkeep.copying_ledgers import copy_ledgers
from waycairn.upkeep.rechaining import NOTED, Rechaining
from waycairn.upkeep.row_sums import RowSum
from waycairn.world.crashpoints import crashpoint

Tell = Callable[[str], None]
"""Called with a sentence now and then."""
_LOCATED = 2048
"""Chunks that are looked up at once."""


@dataclass(slots=True)
class CopyReport:
    """What was copied."""

    rows: dict[str, int] = field(default_factory=dict)
    """By table."""
    chunks: int = 0
    packs: int = 0
    pack_bytes: int = 0
    states: int = 0
    """That were read back."""
    streams: int = 0
    """Whose ledgers lie in the store."""


class CopyDiffers(StoreError):
    """The copy is not what the source is. It stays unfinished. Run the copy again; if it goes on, see `waycairn doctor`."""


def copy_store(source: StoreCore, target: StoreCore, *, live: bool = False, tell: Tell = lambda _: None) -> CopyReport:
    """Copy `source` into `target`, which was opened as unfinished. Raises RunIsHeld where somebody works in the source,
    unless `live`; Damaged if something in the source cannot be read; CopyDiffers. Until it returns the target cannot be
    used."""
    if not live:
        _refuse_living(source)
    _refuse_another(source, target)
    with audited(source, "store.copy", target.url, reads_only=True, encrypted=target.is_encrypted):
        return _copied(source, target, tell)


def _copied(source: StoreCore, target: StoreCore, tell: Tell) -> CopyReport:
    report = CopyReport()
    crashpoint("copy.begin")
    copying = _Copying(source, target, report, tell)
    source.catalog.at_one_moment(copying.run)
    crashpoint("copy.rows")
    report.streams = copy_ledgers(source, target)
    crashpoint("copy.ledgers")
    tell("reading everything back")
    _read_back(target, report)
    target.catalog.finish_copy()
    crashpoint("copy.finished")
    return report


def _refuse_living(source: StoreCore) -> None:
    for run in source.catalog.list_runs(RunFilter()):
        holder = source.ownership.holder(run)
        if holder is not None:
            raise RunIsHeld(
                f"run {run.name!r} is held by pid {holder.pid} on {holder.host}, which works in the store while it is to be "
                "copied. Nothing was copied. Wait for it; or copy what is committed at one moment, without what comes after: "
                "--live.",
                run=run.id,
                owner=holder,
            )


def _refuse_another(source: StoreCore, target: StoreCore) -> None:
    before = target.catalog.copy_of()
    if before not in (None, source.catalog.info.id):
        raise CopyDiffers(
            f"{target.url} is an unfinished copy of another store ({before}). Nothing was changed. Delete it, or name "
            "another destination."
        )
    if before is None:
        target.catalog.note_copy(source.catalog.info.id, target.clock.now())


def _side(core: StoreCore) -> Side:
    return Side(core.catalog, core.blobs, core.catalog.info)


class _Copying:
    """Steps 2 and 3."""

    def __init__(self, source: StoreCore, target: StoreCore, report: CopyReport, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._tell = tell
        self._rekeying = Rekeying(_side(source), _side(target))
        self._seen: set[int] = set()
        self._chain: Rechaining

    def run(self, moment: TableReader) -> None:
        self._copy_chunks(moment)
        self._chain = Rechaining(moment, self._source.catalog.info.secret, self._target.catalog.info.secret)
        self._target.catalog.clear_copied()
        self._target.catalog.note_copy(self._source.catalog.info.id, self._target.clock.now())
        crashpoint("copy.cleared")
        sums = {}
        for table in self._source.catalog.copied_tables():
            self._tell(f"copying {table}")
            sums[table] = self._copy_table(moment, table)
            self._report.rows[table] = sums[table].count
            crashpoint("copy.table")
        self._tell("comparing rows")
        self._target.catalog.at_one_moment(lambda theirs: _compare(theirs, sums))

    # -- chunks --------------------------------------------------------------------------------------------------------

    def _copy_chunks(self, moment: TableReader) -> None:
        for data in self._rekeying.copy(self._missing(self._needed(moment))):
            crashpoint("copy.pack")
            self._target.catalog.add_chunks(data, self._target.clock.now())
            crashpoint("copy.pack.named")
            self._report.packs += len(data.packs)
            self._report.pack_bytes += sum(pack.size for pack in data.packs)
            self._tell(f"copied {self._report.chunks:,} chunks, {self._report.pack_bytes:,} bytes")

    def _needed(self, moment: TableReader) -> list[int]:
        """The chunks that some state names; what they are the difference to follows when they are looked up."""
        found: set[int] = set()
        for table in self._source.catalog.copied_tables():
            for page in moment.rows(table):
                for stored in filter(None, map(state_in, page)):
                    for first, count in runs_in(stored.manifest):
                        found.update(range(first, first + count))
        return sorted(found)

    def _missing(self, numbers: Sequence[int]) -> Iterator[StoredBlock]:
        """The blocks that hold these chunks, but for those that are there."""
        for at in range(0, len(numbers), _LOCATED):
            part = numbers[at : at + _LOCATED]
            self._report.chunks += len(part)
            yield from self._blocks(part)

    def _blocks(self, numbers: Sequence[int]) -> Iterator[StoredBlock]:
        there = self._target.catalog.locate_chunks(numbers)
        wanted = [number for number in numbers if number not in there and number not in self._seen]
        places = self._source.catalog.locate_chunks(wanted)
        _refuse_lost(wanted, places)
        bases = {place.block.base for place in places.values()} - {None}
        if bases:  # what a difference is to goes before it
            yield from self._blocks(sorted(base for base in bases if base is not None))
        by_block: dict[int, list[ChunkPlace]] = {}
        for place in places.values():
            if place.number not in self._seen:
                self._seen.add(place.number)
                by_block.setdefault(place.block.number, []).append(place)
        yield from sorted(map(as_stored, by_block.values()), key=_position)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _copy_table(self, moment: TableReader, table: str) -> RowSum:
        total = RowSum()
        for page in moment.rows(table):
            rows = [self._rekeyed(table, row) for row in page if not _is_about_copy(table, row)]
            self._target.catalog.put_rows(table, rows)
            for row in rows:
                total.add(row)
        return total

    def _rekeyed(self, table: str, row: CopiedRow) -> CopiedRow:
        """What is keyed by the secret of the store is made anew."""
        if table == "audit":
            return self._chain.row(row)
        if table == "upkeep" and row["name"] == NOTED:
            return self._chain.noted(row)
        stored = state_in(row)
        return row if stored is None else {**row, "root": self._rekeying.root(stored)}


def _refuse_lost(wanted: Sequence[int], places: Mapping[int, ChunkPlace]) -> None:
    lost = [number for number in wanted if number not in places]
    if lost:
        raise Damaged(
            f"chunk {lost[0]} is not in the index of the source: the source is damaged, or a sweep came between. The copy "
            "stays unfinished. Run it again; if that does not help, `waycairn verify` names what needs the chunk.",
            chunk=lost[0],
        )


def _is_about_copy(table: str, row: CopiedRow) -> bool:
    return table == "upkeep" and row["name"] == "copy"


def _position(stored: StoredBlock) -> tuple[bool, str, int]:
    """Bases before what is built on them, then as they lie."""
    block = stored.block
    return block.base is not None, block.pack or "", block.offset


# -- rows --------------------------------------------------------------------------------------------------------------


def _compare(theirs: TableReader, sums: Mapping[str, RowSum]) -> None:
    for table, ours in sums.items():
        found = RowSum()
        for page in theirs.rows(table):
            for row in page:
                if not _is_about_copy(table, row):
                    found.add(row)
        if found != ours:
            raise CopyDiffers(
                f"the table {table} has {ours.count} rows in the source, and what was read back of the copy ({found.count}) "
                "is not the same. The copy stays unfinished. Run it again."
            )


# -- reading back ------------------------------------------------------------------------------------------------------


def _read_back(target: StoreCore, report: CopyReport) -> None:
    target.forget_chunks()
    verified = verifying.verify(target)
    report.states = verified.checkpoints + verified.steps + verified.results
    new = [one for one in verified.broken if not one.known]
    if new:
        raise CopyDiffers(
            f"{new[0].name} cannot be read back from the copy: {new[0].damage} The copy stays unfinished."
        )
