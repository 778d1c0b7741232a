"""What was consumed, read again where it lies: lines of dead letters, and the marks by which files are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from waycairn.streams.content import opened
from waycairn.streams.descriptors import NotTheFile, is_same
from waycairn.streams.discovery import AnyPath, Discovery, Seen
from waycairn.streams.marks import differences, marks_of
from waycairn.streams.records import DeadLetter, FileState, Generation


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A file of which something was consumed, compared with its marks."""

    generation: Generation
    marks: int
    """That were compared."""
    is_there: bool = True
    changed: Sequence[tuple[int, int]] = ()
    """From which byte to which the file is not what was consumed, as far as its marks tell."""
    error: str = ""
    """Why it could not be read."""


class Rereading:
    """Of the files of some patterns, which were consumed as these generations."""

    def __init__(self, patterns: Sequence[AnyPath], generations: Sequence[Generation]) -> None:
        self._discovery = Discovery(patterns)
        self._generations = {one.id: one for one in generations}
        self._files: dict[tuple[int, int], Seen] | None = None
        """By device and inode, as they were found last."""

    def line(self, letter: DeadLetter) -> bytes | None:
        """Without its end; None if its file is not there any more, or the line is not what it was."""
        generation = self._generations.get(letter.generation)
        seen = self._find(generation) if generation else None
        return None if seen is None else _line_at(seen, letter)

    def check(self) -> Iterator[Checked]:
        """Compare each file with what was consumed of it: its first and its last bytes, and some before each 64 MiB."""
        for generation in self._generations.values():
            if not generation.offset:
                continue
            seen = None if generation.state is FileState.REPLACED else self._find(generation)
            if seen is None:
                yield Checked(generation=generation, marks=0, is_there=False)
                continue
            try:
                with opened(seen) as content:
                    changed = list(dict.fromkeys(differences(content.read, generation)))
            except (OSError, NotTheFile) as error:
                yield Checked(generation=generation, marks=0, error=str(error) or "it was exchanged meanwhile")
            else:
                yield Checked(generation=generation, marks=marks_of(generation), changed=changed)

    def _find(self, generation: Generation) -> Seen | None:
        return self._known(generation) or self._known(generation, again=True)

    def _known(self, generation: Generation, *, again: bool = False) -> Seen | None:
        if again or self._files is None:
            found, _ = self._discovery.scan()
            self._files = {(one.identity.device, one.identity.inode): one for one in found.values()}
        seen = self._files.get((generation.identity.device, generation.identity.inode))
        return seen if seen and is_same(seen.identity, generation.identity) else None


def _line_at(seen: Seen, letter: DeadLetter) -> bytes | None:
    try:
        with opened(seen) as content:
            line = content.read(letter.offset, letter.length)
    except (OSError, NotTheFile):
        return None
    return line if hashlib.sha256(line).digest() == letter.digest else None
