"""The audit log on its way into a copy: its hashes are keyed by the secret of the store, which is another one there.

A row that does not fit in the source keeps the hash that it has: it fits as little in the copy. So a copy hides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waycairn.catalog.columns import decode_maybe, decode_text
from waycairn.model.audit import BEGINNING, CUT, AuditEntry, Outcome, chain_hash
from waycairn.ports import CopiedRow, TableReader

NOTED = "audit"
"""The row of `upkeep` that notes the newest one."""


class Rechaining:
    """Used for the rows in their order, once."""

    def __init__(self, moment: TableReader, old: bytes, new: bytes) -> None:
        """`old` and `new` are the secrets of source and copy."""
        self._old, self._new = old, new
        self._number = 0
        self._theirs: bytes | None = BEGINNING
        self._ours: bytes | None = BEGINNING
        self._made: dict[tuple[Any, Any], str] = {}
        """The newest, by number and hash in the source."""
        self._begin(moment)

    def _begin(self, moment: TableReader) -> None:
        """Where the oldest rows were cut off a later row says what the chain goes on from."""
        first = next((row["number"] for page in moment.rows("audit") for row in page), 1)
        for page in moment.rows("audit"):
            for row in page:
                facts = row["facts"]
                if row["act"] == CUT and isinstance(facts, Mapping) and facts.get("through") == first - 1:
                    self._number = first - 1
                    self._theirs = self._ours = bytes.fromhex(facts["hash"])

    def row(self, row: CopiedRow) -> CopiedRow:
        """One of `audit`."""
        number, hash_ = int(row["number"]), bytes(row["hash"])
        ours = self._hash(row, number, hash_)
        self._number, self._theirs, self._ours = number, hash_, ours
        self._made = {(number, hash_.hex()): ours.hex()}
        return {**row, "hash": ours}

    def _hash(self, row: CopiedRow, number: int, hash_: bytes) -> bytes:
        if number != self._number + 1 or self._theirs is None or self._ours is None:
            return hash_
        try:
            entry = _entry_of(row)
        except (TypeError, ValueError, AttributeError):
            return hash_  # no row that was ever written
        if chain_hash(self._old, self._theirs, number, entry) != hash_:
            return hash_
        return chain_hash(self._new, self._ours, number, entry)

    def noted(self, row: CopiedRow) -> CopiedRow:
        """The row of `upkeep` that notes which is the newest, and its hash."""
        facts = row["facts"]
        made = self._made.get((facts.get("number"), facts.get("hash"))) if isinstance(facts, Mapping) else None
        return row if made is None else {**row, "facts": {**facts, "hash": made}}


def _entry_of(row: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        at=float(row["at"]),
        actor=decode_text(row["actor"]),
        act=row["act"],
        object=decode_maybe(row["object"]),
        outcome=Outcome(row["outcome"]),
        facts=row["facts"],
    )
