"""The three steps of a delete as data, so that the command line and the dashboard show the same ones.

plan = plan_of(core, source, keep="7d")     # 1. what is to be deleted, and what will be kept of it
show(plan.question)
made = plan.make(told)                      # 2. the backup, with its progress
show(made.question)                         # 3. what will be deleted now, and how it comes back
made.delete(told)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from waycairn.backups.backup import Backup, Declined
from waycairn.backups.catalogue import newest_record
from waycairn.backups.making import Told, ignore, make, refuse_store
from waycairn.backups.safeguard import declined
from waycairn.backups.source import Source
from waycairn.model.backups import BackupRecord, Count
from waycairn.store import StoreCore
from waycairn.upkeep.sizes import moment_text, size_text


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of what is asked: `value` is a number, a text, a time, for programs; `text` is what people read."""

    name: str
    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before the next step."""

    title: str
    facts: Sequence[Fact]
    ask: str
    step: int
    """1 or 3: the second is no question."""

    def fact(self, name: str) -> Any:
        """KeyError for one that is not told."""
        return {fact.name: fact.value for fact in self.facts}[name]


@dataclass(frozen=True, slots=True)
class Plan:
    """Step 1: looked at, and nothing done."""

    core: StoreCore
    source: Source
    keep: float | str | None
    count: Count
    question: Question

    def make(self, told: Told = ignore) -> Made:
        """Step 2. When it returns the backup is durable, read back and verified; whatever it raises, nothing was deleted."""
        contents = make(self.core, self.source, keep=self.keep, told=told, count=self.count)
        backup = Backup(self.core, contents.record, self.source, contents)
        return Made(backup, _last_question(contents.record, len(contents.members)))

    def decline(self, reason: str) -> Declined:
        """In place of step 2: no backup, which the audit log says, with the reason. Its `delete` deletes for good."""
        return declined(self.core, self.source, reason)


@dataclass(frozen=True, slots=True)
class Made:
    """Step 3: the backup is verified, and the delete waits for the last yes."""

    backup: Backup
    question: Question

    def delete(self, told: Told = ignore) -> BackupRecord | None:
        """Raises SourceChanged if the source is not what was exported; then nothing was deleted."""
        return self.backup.delete(told=told)


def plan_of(core: StoreCore, source: Source, *, keep: float | str | None = None) -> Plan:
    """Count what there is. ValueError for a `keep` that is no length of time."""
    refuse_store(source, core)
    expires = core.settings.backups.expires(core.clock.now(), keep)
    count = source.count()
    before = newest_record(core, source.kind, dict(source.describe()))
    facts = [
        Fact("kind", source.kind, source.kind),
        Fact("source", source.label, source.label),
        Fact("records", count.records, f"{count.records:,}"),
        *(Fact(f"records of {name}", number, f"{number:,}") for name, number in count.details.items()),
        Fact("size", count.size, "not known before it is read" if count.size is None else size_text(count.size)),
        Fact("store", core.url, core.url),
        Fact("encrypted", core.is_encrypted, "yes" if core.is_encrypted else "no"),
        Fact("expires", expires, "never" if expires is None else moment_text(expires)),
    ]
    if before is not None:
        told = f"backup {before.id} of {moment_text(before.created)}; what did not change is not stored again"
        facts.append(Fact("before", before.id, told))
    title = f"Delete {count.records:,} of {source.label}, with a backup"
    return Plan(core, source, keep, count, Question(title, facts, "Make the backup? Nothing is deleted yet.", 1))


def made_before(backup: Backup) -> Made:
    """Step 3 with a backup that is there already. Raises BackupError unless it is whole."""
    return Made(backup, _last_question(backup.record, len(backup.members)))


def _last_question(record: BackupRecord, members: int) -> Question:
    facts = [
        Fact("backup", record.id, record.id),
        Fact("source", record.label, record.label),
        Fact("records", record.records, f"{record.records:,}"),
        Fact("members", members, f"{members:,}"),
        Fact("size", record.size, size_text(record.size)),
        Fact("stored", record.stored, f"{size_text(record.stored)} more than before"),
        Fact("verified", record.verified, "" if record.verified is None else moment_text(record.verified)),
        Fact("sha256", record.digest, str(record.digest)),
        Fact("expires", record.expires, "never" if record.expires is None else moment_text(record.expires)),
        Fact("restore", record.id, f"waycairn backup restore {record.id}"),
    ]
    title = f"Backup {record.id} is durable, was read back, and is intact"
    ask = f"Delete exactly these {record.records:,} of {record.label} now?"
    return Question(title, facts, ask, 3)
