"""What a backup consists of, inside its run: steps in the scope "backup".

    part-000000, part-000001, ...   pieces: bytes, some 4 MiB together. A list of them; or, where they are chunks of a store, nil
                                    and a buffer each, so that each is stored as a chunk of its own
    index                           version, members, and of each part the lengths of its pieces and when it was written

A member is a name, a size, a SHA-256, a number of records, facts, and spans: (part, first piece, number of pieces), in order.
One part holds pieces of many members, and a piece belongs to one. A part that was carried over from an older backup is the
same value under a number of its own; pieces in it that no member names are of members that changed since.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from waycairn.codec import encode
from waycairn.errors import Damaged
from waycairn.model.backups import Member
from waycairn.model.encoded import Encoded

VERSION = 1
Piece = bytes | memoryview
Span = tuple[int, int, int]


def encode_part(pieces: Sequence[bytes], *, is_cut: bool) -> Encoded:
    """Uncopied, where the pieces are chunks."""
    if not is_cut:
        return encode(list(pieces))
    return Encoded(encode(None).document, [memoryview(piece) for piece in pieces], is_cut=True)


def places_in_document(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Where the pieces of a part lie in its document (see `waycairn.codec`: a header of two bytes, then msgpack) and their
    lengths."""
    at = 2 + _head(len(lengths), (16, 1), (1 << 16, 3))
    places = []
    for length in lengths:
        at += _head(length, (1 << 8, 2), (1 << 16, 3))
        places.append((at, length))
        at += length
    return places


def _head(count: int, *sizes: tuple[int, int]) -> int:
    """Bytes of the head of an array or a binary in msgpack."""
    return next((size for below, size in sizes if count < below), 5)


@dataclass(frozen=True, slots=True)
class Index:
    """What a backup holds, and where."""

    members: Mapping[str, Member]
    lengths: Sequence[Sequence[int]]
    """Of the pieces, by part."""
    written: Sequence[float]
    """When each part was written; it was read back right after that. One that was carried over keeps its time."""

    def plain(self) -> dict[str, Any]:
        """As it is stored."""
        members = [
            [one.name, one.size, one.sha256, one.records, dict(one.facts), [list(span) for span in one.spans]]
            for one in self.members.values()
        ]
        lengths = [list(part) for part in self.lengths]
        return {"version": VERSION, "members": members, "lengths": lengths, "written": list(self.written)}

    @classmethod
    def of(cls, plain: Any) -> Index:
        """Raises Damaged for what is none."""
        try:
            return _read(plain)
        except (ValueError, TypeError, LookupError, msgspec.ValidationError) as error:
            raise Damaged(f"the index of the backup cannot be read: {error}. Nothing was changed.") from error


def _read(plain: Any) -> Index:
    if plain["version"] != VERSION:
        raise ValueError(f"it has version {plain['version']!r}, and this waycairn reads {VERSION}")
    members = [_member_of(row) for row in plain["members"]]
    for member in members:
        check_name(member.name)
    lengths = msgspec.convert(plain["lengths"], list[list[int]])
    return Index({one.name: one for one in members}, lengths, msgspec.convert(plain["written"], list[float]))


def _member_of(row: Sequence[Any]) -> Member:
    name, size, sha256, records, facts, spans = row
    return msgspec.convert(
        {"name": name, "size": size, "sha256": sha256, "records": records, "facts": facts, "spans": spans}, Member
    )


def check_name(name: str) -> None:
    """ValueError for what could lead out of a folder that the member is written to."""
    parts = name.removesuffix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in name:
        raise ValueError(
            f"a member of a backup is named by a relative path without `.` and `..`, not {name!r}. Nothing was deleted."
        )


def sums_of(members: Iterable[Member]) -> bytes:
    """The text of SHA256SUMS: what `sha256sum -c` reads in a folder that the backup was extracted to."""
    return b"".join(_line_of(member) for member in members if not member.name.endswith("/"))


def _line_of(member: Member) -> bytes:
    """sha256sum begins a line with a backslash if the name in it is escaped."""
    name = os.fsencode("data/" + member.name)
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != name else b"") + member.sha256.encode() + b"  " + escaped + b"\n"


def digest_of(members: Iterable[Member]) -> str:
    return hashlib.sha256(sums_of(members)).hexdigest()
