"""Putting rows back, in one transaction: all of them are there afterwards, or nothing was changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from waycairn.backups.rows_choosing import Choice
from waycairn.backups.rows_connecting import database, home
from waycairn.backups.rows_failures import committing, told
from waycairn.backups.rows_format import LineDecoder, LineEncoder, Row, blocks
from waycairn.backups.rows_session import Database, Session
from waycairn.backups.rows_shape import Shape, check_fits
from waycairn.backups.source import Contents, Wish
from waycairn.errors import CommitUnknown, SchemaChanged, WouldOverwrite
from waycairn.model.backups import Member, Restored
from waycairn.world.crashpoints import crashpoint

_TOLD = 5
_UNCHANGED = "Nothing was changed."


def restore(contents: Contents, wish: Wish, given: Database | None = None) -> Restored:
    """To `wish.to`, else to the given database, else to where the rows came from. Called again it finds what is there."""
    place = database(wish.to) if wish.to is not None else given or home(contents.record.source)
    try:
        return _restore(contents, wish, place)
    except CommitUnknown:
        return _restore(contents, wish, place)


def _restore(contents: Contents, wish: Wish, place: Database) -> Restored:
    _check_kind(contents, place)
    choice = Choice([Shape.from_facts(member.facts) for member in contents.members.values()], wish.only)
    with told(place, _UNCHANGED), place.changing() as session:
        parts = [_Part(contents, member, choice, session) for member in contents.members.values()]
        parts = [part for part in parts if choice.touches(part.shape)]
        # 1. The tables are there, and can take the rows.
        for part in parts:
            part.check()
        session.lock([part.shape.table for part in parts])
        dangling = {part.shape: session.dangling(part.shape) for part in parts}
        # 2. Parents come before those that hang on them.
        told_so_far = _Told(wish.progress)
        for part in parts:
            part.put(wish, told_so_far)
        choice.check_found()
        # 3. What is there now is what was exported, whatever triggers do, and refers to what is there.
        for part in parts:
            part.verify(wish)
            _check_dangling(session, part.shape, dangling[part.shape])
        crashpoint("backup.rows.restore")
        with committing(place):
            session.commit()
    crashpoint("backup.rows.restored")
    return Restored(
        records=sum(part.inserted + part.overwritten for part in parts),
        skipped=sum(part.skipped for part in parts),
        overwritten=sum(part.overwritten for part in parts),
        to=place.name,
        details={str(part.shape.table): part.inserted + part.overwritten for part in parts},
    )


@dataclass
class _Told:
    """Progress over all tables."""

    progress: Callable[[int, int], None] | None
    records: int = 0
    size: int = 0

    def add(self, records: int, size: int) -> None:
        self.records, self.size = self.records + records, self.size + size
        if self.progress is not None:
            self.progress(self.records, self.size)


class _Part:
    """One table."""

    def __init__(self, contents: Contents, member: Member, choice: Choice, session: Session) -> None:
        self.shape = Shape.from_facts(member.facts)
        self.inserted = self.skipped = self.overwritten = 0
        self._contents, self._member, self._choice, self._session = contents, member, choice, session
        self._encode, self._decode = LineEncoder(self.shape.columns), LineDecoder(self.shape.columns)
        self._parts = [itemgetter(place) for place in self.shape.places(self.shape.key)]

    def check(self) -> None:
        """Raises SchemaChanged."""
        table = self.shape.table
        if not self._session.has(table):
            raise SchemaChanged(
                f"there is no table {table} to restore to. Nothing was changed, and none was created: create it as it was "
                "(by the migrations of its application, say), then restore again.",
                table=str(table),
            )
        try:
            now = self._session.shape(table)
        except ValueError as error:
            raise SchemaChanged(f"{error} ({_UNCHANGED})", table=str(table)) from error
        check_fits(self.shape, now)

    def put(self, wish: Wish, told_so_far: _Told) -> None:
        """Insert what is missing. Raises WouldOverwrite for the first rows that differ, unless the wish says what then."""
        is_empty = self._session.is_empty(self.shape.table)
        for rows, lines in map(self._wanted, self._blocks()):
            missing, differing = (rows, []) if is_empty else self._lacking(rows, lines)
            if differing and not (wish.overwrite or wish.is_missing_only):
                raise self._would_overwrite(differing)
            if missing:
                self._session.insert(self.shape, missing)
            if differing and not wish.is_missing_only:
                self._session.update(self.shape, differing)
                self.overwritten += len(differing)
            self.inserted += len(missing)
            self.skipped += len(rows) - len(missing) - (0 if wish.is_missing_only else len(differing))
            told_so_far.add(len(rows), len(lines))
        self._session.settle(self.shape)

    def verify(self, wish: Wish) -> None:
        """Raises SchemaChanged where the database made something else of the rows."""
        for block in self._blocks():
            if wish.only is None and self._is_there(block):
                continue
            missing, differing = self._lacking(*self._wanted(block))
            bad = missing if wish.is_missing_only else missing + differing
            if bad:
                raise SchemaChanged(
                    f"rows of {self.shape.table} are not what was put there ({_words(self._keys(bad))}): a trigger, a rule "
                    "or a column that computes its value steps in. Nothing was changed.",
                    table=str(self.shape.table),
                )

    def _blocks(self) -> Iterator[bytes]:
        return blocks(self._contents.read(self._member.name))

    def _wanted(self, block: bytes) -> tuple[list[Row], bytes]:
        """The rows among them that are wanted, and their lines."""
        every = self._decode(block)
        rows = self._choice.taken(self.shape, every)
        return rows, block if len(rows) == len(every) else self._encode(rows)

    def _is_there(self, block: bytes) -> bool:
        """Whether the database has these rows and no others in between: much faster than a look for each."""
        number = block.count(b"\n")
        first_and_last = block[: block.index(b"\n") + 1] + block[block.rfind(b"\n", 0, -1) + 1 :]
        first, last = self._keys(self._decode(first_and_last))
        found = self._session.between(self.shape, first, last, number + 1)
        return len(found) == number and self._encode(found) == block

    def _lacking(self, rows: list[Row], lines: bytes) -> tuple[list[Row], list[Row]]:
        """Those that the database does not have, and those that it has otherwise."""
        keys = self._keys(rows)
        found = self._session.found(self.shape, keys) if keys else []
        if not found:
            return rows, []
        there = dict(zip(self._keys(found), found, strict=True))
        now = [there[key] for key in keys if key in there]
        if len(now) == len(rows) and self._encode(now) == lines:
            return [], []
        both = [row for key, row in zip(keys, rows, strict=True) if key in there]
        pairs = zip(both, self._encode(both).splitlines(), self._encode(now).splitlines(), strict=True)
        return [row for key, row in zip(keys, rows, strict=True) if key not in there], [
            row for row, old, new in pairs if old != new
        ]

    def _keys(self, rows: Sequence[Row]) -> list[Row]:
        return list(zip(*(map(part, rows) for part in self._parts), strict=True))

    def _would_overwrite(self, rows: list[Row]) -> WouldOverwrite:
        return WouldOverwrite(
            f"rows of {self.shape.table} are there and differ from the backup ({_words(self._keys(rows))}). "
            "Nothing was changed. Restore with overwrite=True to replace them, or to another place.",
            table=str(self.shape.table),
        )


def _check_kind(contents: Contents, place: Database) -> None:
    was, now = contents.record.source["dialect"], place.engine.dialect.name
    if was != now:
        raise SchemaChanged(
            f"these rows came from {was}, and {place.name} is {now}: what a type means differs. Nothing was changed. "
            f"Restore to {was}, or extract the backup and convert it."
        )


def _check_dangling(session: Session, shape: Shape, before: int) -> None:
    more = session.dangling(shape) - before
    if more > 0:
        raise SchemaChanged(
            f"{more:,} rows of {shape.table} would refer to rows that are not there. Nothing was changed. Restore those "
            "as well, or first.",
            table=str(shape.table),
        )


def _words(keys: list[Row]) -> str:
    told = ", ".join(",".join(map(str, key)) for key in keys[:_TOLD])
    return f"{told}, ..." if len(keys) > _TOLD else told
