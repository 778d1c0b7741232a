"""Does the audit log fit together? Each row is checked against the one before, the newest against what was noted of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from waycairn.model.audit import BEGINNING, CUT, AuditRow, chain_hash
from waycairn.store import StoreCore

_MOST = 20
"""Misfits that are told one by one."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What a row was known to be: kept elsewhere, it shows what was changed by those who can rewrite a whole log."""

    number: int
    hash: bytes

    @classmethod
    def of(cls, text: str) -> Anchor:
        """From `NUMBER:HASH`, as `waycairn audit verify` prints it. ValueError for anything else."""
        number, colon, digest = text.strip().partition(":")
        try:
            found = cls(int(number), bytes.fromhex(digest))
        except ValueError:
            colon = ""
        if not colon or found.number < 1 or len(found.hash) != len(BEGINNING):
            raise ValueError(f"{text!r} is no anchor; they look like 1234:9f3c… with 64 hexadecimal digits")
        return found

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row that is not what it was, or not where it was."""

    number: int
    what: str


@dataclass(slots=True)
class Checked:
    """What came of looking at all rows."""

    rows: int = 0
    first: int | None = None
    newest: Anchor | None = None
    misfits: list[Misfit] = field(default_factory=list)
    """By number, the first so many."""
    more: int = 0

    def add(self, misfit: Misfit) -> None:
        if len(self.misfits) < _MOST:
            self.misfits.append(misfit)
        else:
            self.more += 1


def check(core: StoreCore, anchor: Anchor | None = None) -> Checked:
    """All rows once, in bounded memory; acts may go on meanwhile."""
    checked = Checked()
    noted = core.catalog.newest_audit()  # first: rows may be appended while we read
    link = _Link(core, anchor)
    at_noted: bytes | None = None
    for row in core.catalog.audit_after(0):
        for misfit in link.follow(row):
            checked.add(misfit)
        checked.first = row.number if checked.first is None else checked.first
        checked.rows += 1
        checked.newest = Anchor(row.number, row.hash)
        if noted is not None and row.number == noted[0] and row.damage is None:
            at_noted = row.hash
    for misfit in [*_end(checked, noted, at_noted), *link.left()]:
        checked.add(misfit)
    return checked


class _Link:
    """Follows the chain."""

    def __init__(self, core: StoreCore, anchor: Anchor | None) -> None:
        self._core = core
        self._anchor = anchor
        self._expected = 1
        self._previous: bytes | None = BEGINNING
        """Hash of the row before; None where that is not known."""

    def follow(self, row: AuditRow) -> Iterator[Misfit]:
        if row.number != self._expected:
            yield from self._gap(row.number)
        anchor = self._anchor
        if anchor is not None and row.number == anchor.number:
            self._anchor = None
        if row.damage is not None:
            yield Misfit(row.number, f"it cannot be read: {row.damage}")
        elif self._previous is not None and row.hash != self._hash_of(row, self._previous):
            yield Misfit(row.number, _changed(row.number))
        elif anchor is not None and row.number == anchor.number and row.hash != anchor.hash:
            yield Misfit(row.number, "it is not the row of the anchor: this log, or its beginning, was written anew")
        self._expected, self._previous = row.number + 1, row.hash if row.damage is None else None

    def left(self) -> Iterator[Misfit]:
        if self._anchor is not None:
            yield Misfit(self._anchor.number, "the row of the anchor is not there")

    def _hash_of(self, row: AuditRow, previous: bytes) -> bytes:
        return chain_hash(self._core.catalog.info.secret, previous, row.number, row.entry)

    def _gap(self, number: int) -> Iterator[Misfit]:
        """Rows are missing; at the beginning they may have been cut off, which a later row says."""
        cut = _cut_before(self._core, number) if self._expected == 1 else None
        self._previous = cut
        if cut is None:
            last = number - 1
            rows = f"row {last} is" if last == self._expected else f"rows {self._expected} to {last} are"
            yield Misfit(self._expected, f"{rows} missing")
            return
        anchor = self._anchor
        if anchor is not None and anchor.number < number:
            self._anchor = None
            if anchor.number < number - 1:
                yield Misfit(
                    anchor.number, f"the row of the anchor was cut off, with all up to {number - 1}: take a newer one"
                )
            elif anchor.hash != cut:
                yield Misfit(anchor.number, "the row of the anchor, since cut off, was another one")


def _changed(number: int) -> str:
    if number == 1:
        return "it, or its hash, was changed"
    return f"it, its hash or the hash of row {number - 1} was changed, or it does not belong here"


def _cut_before(core: StoreCore, number: int) -> bytes | None:
    """The hash of the last row that was cut off, if rows up to this one were."""
    for row in core.catalog.audit_after(0):
        facts = row.entry.facts
        if row.damage is None and row.entry.act == CUT and facts.get("through") == number - 1:
            try:
                return bytes.fromhex(facts["hash"])
            except (KeyError, TypeError, ValueError):
                return None
    return None


def _end(checked: Checked, noted: tuple[int, bytes] | None, at_noted: bytes | None) -> Iterator[Misfit]:
    newest = checked.newest
    if newest is None:
        last = 1 if noted is None else noted[0]
        yield Misfit(1, f"all rows are missing, {last:,} at least")
    elif noted is None:
        yield Misfit(
            newest.number, "what was noted of the newest row is missing, so that nobody can say how many followed"
        )
    elif noted[0] > newest.number:
        missing = (
            f"row {noted[0]} is" if noted[0] == newest.number + 1 else f"rows {newest.number + 1} to {noted[0]} are"
        )
        yield Misfit(newest.number + 1, f"{missing} missing at the end")
    elif at_noted is not None and at_noted != noted[1]:
        yield Misfit(noted[0], "it is not the row that was noted as the newest one")
