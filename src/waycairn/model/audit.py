"""Who did what: entries of the audit log, and how each is chained to the one before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from blake3 import blake3

BEGINNING = bytes(32)
"""Stands for the hash of the row before the first one."""
CUT = "audit.cut"
"""The act of removing the oldest rows. Its facts say which was the last that went, and its hash: the chain goes on there."""
_CONTEXT = "waycairn 2026-11 audit chain"


class Outcome(StrEnum):
    """How an act ended."""

    BEGUN = "begun"
    """It takes longer than one transaction; a later row says how it ended. None does if its process died."""
    DONE = "done"
    REFUSED = "refused"
    """Nothing was changed, and the error says why."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What is said about one act."""

    at: float
    """Seconds since 1970, by the clock of the host where it was done."""
    actor: str
    act: str
    object: str | None = None
    """What it was done to: a run, a checkpoint, a file; None for the store itself."""
    outcome: Outcome = Outcome.DONE
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Texts, whole numbers, booleans, None, and lists and mappings of these: what comes back exactly from any database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An entry in its place."""

    number: int
    """1, 2, 3, …: without gaps."""
    entry: AuditEntry
    hash: bytes
    """32 bytes, see `chain_hash`."""
    damage: str | None = None
    """Why it cannot be read; then there is nothing in the entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows; what is None does not narrow. A row that cannot be read says nothing that it could be found by."""

    since: float | None = None
    """From this moment on, seconds since 1970."""
    until: float | None = None
    """Before this moment."""
    actor: str | None = None
    """One of the names of who did it, see `names_of`."""
    act: str | None = None
    """This act, as run.remove, or this family, as run."""
    object: str | None = None
    outcome: Outcome | None = None

    def admits(self, row: AuditRow) -> bool:
        entry = row.entry
        return (
            (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
            and (self.actor is None or self.actor in names_of(entry.actor))
            and (self.act is None or entry.act == self.act or entry.act.startswith(f"{self.act}."))
            and (self.object is None or entry.object == self.object)
            and (self.outcome is None or entry.outcome == self.outcome)
        )


def names_of(actor: str) -> set[str]:
    """`ada (root@host)` is ada, root, root@host and all of it."""
    name, _, system = actor.partition(" (")
    system = system.removesuffix(")") or name
    return {actor, name, system, system.partition("@")[0]}


def chain_hash(secret: bytes, previous: bytes, number: int, entry: AuditEntry) -> bytes:
    """What stands beside a row: BLAKE3 over the hash of the row before and this one, keyed by the secret of the store.

    Keyed, so that who can write to the database and has not the secret (which an encrypted store seals) can forge no row.
    """
    return blake3(previous + canonical(number, entry), key=_key(secret)).digest()


def canonical(number: int, entry: AuditEntry) -> bytes:
    """A row as bytes: compact JSON in UTF-8 with sorted keys, the time as Python writes a float."""
    row = [number, float(entry.at), entry.actor, entry.act, entry.object, entry.outcome.value, dict(entry.facts)]
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "surrogatepass")


@cache
def _key(secret: bytes) -> bytes:
    return blake3(secret, derive_key_context=_CONTEXT).digest()


def plain_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they can be kept: numbers with a fraction, paths and whatever else become texts."""
    return {str(name): _plain(value) for name, value in facts.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return plain_facts(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return str(value)
