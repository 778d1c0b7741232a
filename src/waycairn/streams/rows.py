"""Records to rows of the ledger and back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from waycairn.streams.records import Counts, DeadLetter, FileState, Generation, Holder, Identity, Mark, Standing

_HALF, _WHOLE = 1 << 63, 1 << 64
_STATES = {state: state.value for state in FileState}


def _signed(number: int) -> int:
    """The kernel's numbers of devices and inodes have 64 bits without a sign, and some file systems use all of them."""
    return number - _WHOLE if number >= _HALF else number


def _unsigned(number: int) -> int:
    return number + _WHOLE if number < 0 else number


def storable(text: str) -> str:
    """PostgreSQL takes no NUL in a text, and no database half a surrogate pair; errors quote what lines hold."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def generation_values(stream: str, one: Generation) -> dict[str, Any]:
    return {
        "stream": stream,
        "id": one.id,
        "path": one.path,
        "device": _signed(one.identity.device),
        "inode": _signed(one.identity.inode),
        "born": one.identity.born,
        "offset": one.offset,
        "lines": one.lines,
        "head_length": one.head.length,
        "head_digest": one.head.digest,
        "tail_length": one.tail.length,
        "tail_digest": one.tail.digest,
        "posts": one.posts,
        "size": one.size,
        "modified": one.modified,
        "compression": one.compression,
        "state": _STATES[one.state],
        "is_open_ended": one.is_open_ended,
        "copy_of": one.copy_of,
        "unread": one.unread,
        "first_seen": one.first_seen,
        "updated": one.updated,
    }


def generation_of(row: Row[Any]) -> Generation:
    return Generation(
        id=row.id,
        path=row.path,
        identity=Identity(_unsigned(row.device), _unsigned(row.inode), row.born),
        offset=row.offset,
        lines=row.lines,
        head=Mark(row.head_length, row.head_digest),
        tail=Mark(row.tail_length, row.tail_digest),
        posts=row.posts,
        size=row.size,
        modified=row.modified,
        compression=row.compression,
        state=FileState(row.state),
        is_open_ended=row.is_open_ended,
        copy_of=row.copy_of,
        unread=row.unread,
        first_seen=row.first_seen,
        updated=row.updated,
    )


def dead_letter_values(stream: str, one: DeadLetter) -> dict[str, Any]:
    return {
        "stream": stream,
        "generation": one.generation,
        "offset": one.offset,
        "path": one.path,
        "length": one.length,
        "line": one.line,
        "kind": one.kind,
        "error": storable(one.error),
        "head": one.head,
        "digest": one.digest,
        "at": one.at,
    }


def dead_letter_of(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        generation=row.generation,
        path=row.path,
        offset=row.offset,
        length=row.length,
        line=row.line,
        kind=row.kind,
        error=row.error,
        head=row.head,
        digest=row.digest,
        at=row.at,
    )


def standing_of(row: Row[Any], generations: list[Generation], state: bytes | None) -> Standing:
    return Standing(
        name=row.name,
        holder=Holder(row.run, row.epoch),
        generations=generations,
        counts=Counts(row.events, row.dead, row.skipped, row.blank, row.nuls, row.bytes),
        commits=row.commits,
        operation=row.operation,
        state=state,
        sink_length=row.sink_length,
        sink_tail=Mark(row.sink_tail_length, row.sink_tail_digest),
        parser=row.parser,
        facts=row.facts,
        created=row.created,
        updated=row.updated,
    )
