"""Backups as JSON values with stable keys. On the command line times are ISO 8601 in UTC, in the API seconds since 1970; sizes are
bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from waycairn.backups.advice import next_steps, standing_in_words
from waycairn.model.backups import BackupRecord, Member
from waycairn.upkeep.sizes import iso

if TYPE_CHECKING:
    from waycairn.backups.flow import Question
    from waycairn.backups.listing import Listed
    from waycairn.backups.searching import Hit


def backup_facts(record: BackupRecord, *, is_interrupted: bool = False) -> dict[str, Any]:
    return {
        "id": record.id,
        "state": record.state.value,
        "interrupted": is_interrupted,
        "kind": record.kind,
        "label": record.label,
        "owner": record.owner,
        "source": dict(record.source),
        "records": record.records,
        "bytes": record.size,
        "stored_bytes": record.stored,
        "sha256": record.digest,
        "pinned": record.pinned,
        "created": iso(record.created),
        "updated": iso(record.updated),
        "verified": iso(record.verified),
        "deleted": iso(record.deleted),
        "expires": iso(record.expires),
        "error": record.error,
    }


def member_facts(member: Member) -> dict[str, Any]:
    return {"name": member.name, "records": member.records, "bytes": member.size, "sha256": member.sha256}


def backup_document(one: Listed) -> dict[str, Any]:
    """As the API answers: everything that is said of a backup to everybody, with what can be done now."""
    record, dead = one.record, one.is_interrupted
    return {
        "id": record.id,
        "kind": record.kind,
        "label": told(record.label),
        "owner": told(record.owner),
        "source": _told_values(record.source),
        "state": record.state.value,
        "word": standing_in_words(record, is_interrupted=dead),
        "is_interrupted": dead,
        "created": record.created,
        "updated": record.updated,
        "verified": record.verified,
        "deleted": record.deleted,
        "expires": record.expires,
        "pinned": record.pinned,
        "records": record.records,
        "size": record.size,
        "stored": record.stored,
        "digest": record.digest,
        "error": None if record.error is None else told(record.error),
        "next_steps": [
            {"what": step.what, "command": step.command} for step in next_steps(record, is_interrupted=dead)
        ],
    }


def question_document(question: Question) -> dict[str, Any]:
    facts = [{"name": fact.name, "value": fact.value, "text": told(fact.text)} for fact in question.facts]
    return {"title": told(question.title), "facts": facts, "ask": told(question.ask), "step": question.step}


def member_document(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "size": member.size,
        "sha256": member.sha256,
        "records": member.records,
        "facts": _told_values(member.facts),
    }


def hit_document(hit: Hit) -> dict[str, Any]:
    return {"member": hit.member, "line": hit.line, "offset": hit.offset, "text": hit.text}


def told(text: str) -> str:
    """What JSON in UTF-8 can hold: a source of one's own may name itself by bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()


def _told_values(value: Any) -> Any:
    if isinstance(value, str):
        return told(value)
    if isinstance(value, Mapping):
        return {told(str(name)): _told_values(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_told_values(inner) for inner in value]
    return value
