"""Lines of dead letters, read again where they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from waycairn.streams.content import opened
from waycairn.streams.descriptors import NotTheFile, is_same
from waycairn.streams.discovery import AnyPath, Discovery, Seen
from waycairn.streams.records import DeadLetter, Generation


class Rereading:
    """Of the files of some patterns, which were consumed as these generations."""

    def __init__(self, patterns: Sequence[AnyPath], generations: Sequence[Generation]) -> None:
        self._discovery = Discovery(patterns)
        self._generations = {one.id: one for one in generations}

    def line(self, letter: DeadLetter) -> bytes | None:
        """Without its end; None if its file is not there any more, or the line is not what it was."""
        generation = self._generations.get(letter.generation)
        if generation is None:
            return None
        found, _ = self._discovery.scan()
        seen = next((seen for seen in found.values() if is_same(seen.identity, generation.identity)), None)
        return None if seen is None else _line_at(seen, letter)


def _line_at(seen: Seen, letter: DeadLetter) -> bytes | None:
    try:
        with opened(seen) as content:
            line = content.read(letter.offset, letter.length)
    except (OSError, NotTheFile):
        return None
    return line if hashlib.sha256(line).digest() == letter.digest else None
