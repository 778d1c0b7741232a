"""What a file that was seen is to the generations that are known. `matching` decides it and says by what rules."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from waycairn.streams.content import Compression
from waycairn.streams.discovery import Seen
from waycairn.streams.records import FileState, Generation


class Resumed(msgspec.Struct, frozen=True):
    generation: Generation
    seen: Seen
    is_asleep: bool = False
    """A copy of which there is still nothing to read."""


class Moved(msgspec.Struct, frozen=True):
    generation: Generation
    seen: Seen
    compression: Compression


class Copied(msgspec.Struct, frozen=True):
    original: Generation
    seen: Seen
    generation: Generation
    """As it begins, without its id. DONE if it holds nothing that its original does not."""


class Woken(msgspec.Struct, frozen=True):
    """A copy that has bytes of its own by now."""

    generation: Generation
    """As it goes on."""
    seen: Seen


class HandedOver(msgspec.Struct, frozen=True):
    """What was not read of a generation is read in its copy."""

    original: Generation
    copy: Generation
    seen: Seen


class Fresh(msgspec.Struct, frozen=True):
    seen: Seen
    generation: Generation
    """As it begins, without its id."""


class Archived(msgspec.Struct, frozen=True):
    seen: Seen


class Waiting(msgspec.Struct, frozen=True):
    seen: Seen
    is_soon: bool
    """The next look tells more, without any change of the file."""


class Unreadable(msgspec.Struct, frozen=True):
    seen: Seen
    reason: str
    """Empty if it went or was exchanged while it was looked at: it is looked at again."""


class Replaced(msgspec.Struct, frozen=True):
    generation: Generation
    seen: Seen


class Gone(msgspec.Struct, frozen=True):
    generation: Generation


Decision: TypeAlias = (
    Resumed | Moved | Copied | Woken | HandedOver | Fresh | Archived | Waiting | Unreadable | Replaced | Gone
)


def sleeps(generation: Generation) -> bool:
    """A copy of which nothing is read while its original holds the same."""
    return generation.copy_of is not None and generation.state is FileState.DONE


def is_open(decision: Decision) -> bool:
    """Whether it has to be decided again, though nothing about the file changes."""
    return isinstance(decision, Unreadable) or (isinstance(decision, Waiting) and decision.is_soon)
