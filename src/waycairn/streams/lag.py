"""How far a stream is behind its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from waycairn.streams.discovery import AnyPath, Discovery, Seen
from waycairn.streams.records import FileState, Generation, Identity

_READ = {FileState.ACTIVE, FileState.ROTATED}


class Lag(msgspec.Struct, frozen=True):
    """Of compressed files the bytes are those of the file as it is, all of them until it is done."""

    bytes: int = 0
    seconds: float = 0.0
    """Since the oldest file with unread bytes was written last, by its own time: 0 if that is in the future."""
    files: int = 0
    """With unread bytes."""
    oldest: int | None = None
    """The generation that was seen first of those."""


def lag_between(pairs: Iterable[tuple[Generation | None, Seen]], now: float) -> Lag:
    """Of generations and their files; None for a file that no generation is known of."""
    behind = [(generation, seen, unread) for generation, seen in pairs if (unread := _unread(generation, seen))]
    if not behind:
        return Lag()
    return Lag(
        bytes=sum(unread for _, _, unread in behind),
        seconds=max(0.0, now - min(seen.modified for _, seen, _ in behind) / 1e9),
        files=len(behind),
        oldest=min((generation.id for generation, _, _ in behind if generation), default=None),
    )


def lag_of(patterns: Sequence[AnyPath], generations: Sequence[Generation], now: float) -> Lag:
    """Without reading: files are known by what the kernel says alone."""
    found, _ = Discovery(patterns).scan()
    known = {_key(generation.identity): generation for generation in generations if generation.state is not _GONE}
    pairs = [(known.get(_key(seen.identity)), seen) for seen in found.values()]
    return lag_between([(generation, seen) for generation, seen in pairs if generation or seen.is_asked], now)


_GONE = FileState.REPLACED


def _key(identity: Identity) -> tuple[int, int]:
    return identity.device, identity.inode


def _unread(generation: Generation | None, seen: Seen) -> int:
    if generation is None:
        return seen.size
    if generation.state not in _READ:
        return 0
    return seen.size if generation.compression else max(0, seen.size - generation.offset)
