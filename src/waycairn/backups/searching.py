"""Looking into a backup without restoring it: text, and single records of members that are lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from waycairn.backups.lines import lines
from waycairn.backups.rows_format import untagged
from waycairn.backups.source import Contents
from waycairn.errors import BackupError

_LONGEST = 1 << 20
"""Bytes of a line that are looked at together; in longer ones, and in binary, a text across that border is found too."""
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a text was found."""

    member: str
    line: int
    """From 1."""
    offset: int
    """Bytes from the beginning of the member to the text."""
    text: str
    """The line, or the part of it around the text."""


def search(
    contents: Contents, text: str, members: Sequence[str] | None = None, limit: int | None = 100
) -> Iterator[Hit]:
    """Lines that hold a text, in the order of the members; `members` are names with `*` for any letters. One hit a line."""
    if not text or "\n" in text:
        raise ValueError("what is searched for is a text of at least one letter, within one line")
    wanted = text.encode("utf-8", "surrogateescape")
    left = limit
    for name in chosen(contents, members):
        for hit in _hits(contents, name, wanted):
            if left == 0:
                return
            yield hit
            left = None if left is None else left - 1


def chosen(contents: Contents, members: Sequence[str] | None) -> list[str]:
    """Names of members. BackupError for a pattern that none of them matches."""
    if members is None:
        return list(contents.members)
    for pattern in members:
        if not any(_matches(name, pattern) for name in contents.members):
            raise BackupError(
                f"backup {contents.record.id} has no member {pattern!r}. Nothing was read. See `waycairn backup show`."
            )
    return [name for name in contents.members if any(_matches(name, pattern) for pattern in members)]


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _hits(contents: Contents, name: str, wanted: bytes) -> Iterator[Hit]:
    line, before = 1, 0
    for block in _blocks(contents.read(name), len(wanted) - 1):
        at = 0
        counted = 0
        while (found := block.data.find(wanted, at)) >= 0:
            line += block.data.count(b"\n", counted, found)
            counted = found
            end = block.data.find(b"\n", found)
            end = len(block.data) if end < 0 else end
            yield Hit(name, line, before + found, _shown(block.data, found, end))
            at = end
        line += block.data.count(b"\n", counted, block.used)
        before += block.used


@dataclass(frozen=True, slots=True)
class _Block:
    data: bytes
    used: int
    """The next one begins here."""


def _blocks(pieces: Iterator[bytes], overlap: int) -> Iterator[_Block]:
    """Whole lines; of lines that are too long parts that overlap."""
    rest = b""
    for piece in pieces:
        rest += piece
        cut = rest.rfind(b"\n") + 1
        if not cut and len(rest) > _LONGEST + overlap:
            yield _Block(rest, len(rest) - overlap)
            rest = rest[len(rest) - overlap :]
        elif cut:
            yield _Block(rest[:cut], cut)
            rest = rest[cut:]
    if rest:
        yield _Block(rest, len(rest))


def _shown(data: bytes, found: int, end: int) -> str:
    begin = data.rfind(b"\n", 0, found) + 1
    if end - begin > _SHOWN:
        begin = max(begin, found - _SHOWN // 4)
        end = min(end, begin + _SHOWN)
    return data[begin:end].decode("utf-8", "replace")


def find_record(contents: Contents, member: str, key: str) -> dict[str, Any]:
    """The record of a key, of a member that is lines of JSON with a `key` in its facts: the values of its columns, joined
    with commas. BackupError if there is none."""
    facts = contents.members[member].facts if member in contents.members else {}
    columns = facts.get("key")
    if not isinstance(columns, list | tuple) or not columns:
        raise BackupError(f"backup {contents.record.id} has no table {member!r} with a key. Nothing was read.")
    quoted = [json.dumps(part, ensure_ascii=False)[1:-1].encode() for part in key.split(",")]
    for line in lines(contents.read(member)):
        if all(part in line for part in quoted):
            found: dict[str, Any] = json.loads(line)
            if ",".join(str(untagged(found.get(column))) for column in columns) == key:
                return found
    raise BackupError(f"member {member!r} of backup {contents.record.id} has no record {key!r}.", key=key)
