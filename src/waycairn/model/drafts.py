"""What is to be committed, before its bytes have a place in the store.

msgspec Structs, since every commit makes them anew: frozen dataclasses of as many fields took a tenth of a small save.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from waycairn.model.encoded import Encoded, Streamed
from waycairn.model.ids import OperationId, RunId
from waycairn.model.journal import JournalRows
from waycairn.model.records import DoneItems, FailedItem, OutputLength, Progress, Stored
from waycairn.model.states import RunStatus


class CheckpointDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint before its bytes have a place in the store."""

    kind: str
    encoded: Encoded | Streamed
    role: str = "state"
    iteration: int | None = None
    tags: Sequence[str] = ()
    description: str | None = None
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    expires: float | None = None
    reason: str | None = None
    outputs: Mapping[str, int] = msgspec.field(default_factory=dict)
    compress: str | None = None
    """How its large buffers are compressed: None (where a sample pays), "planes" or "delta", see `chunks.compressing`."""
    base: Stored | None = None
    """With "delta": the checkpoint before, whose chunks at the same places the new ones may be the difference to."""


class StepDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A step result before its bytes have a place in the store."""

    scope: str
    name: str
    arguments: bytes | None
    encoded: Encoded
    took: float


class ComputedDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A result that waits for its fold, before its bytes have a place in the store."""

    loop: str
    digest: bytes
    key: bytes
    encoded: Encoded


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One cut, encoded on the caller's thread: nothing in it changes when the user's objects do."""

    run: RunId
    epoch: int
    sequence: int
    operation: OperationId
    """Names this draft, so that one that was interrupted can ask whether it is there."""
    progress: Progress
    status: RunStatus | None = None
    error: Mapping[str, Any] | None = None
    items: Sequence[DoneItems] = ()
    results: Mapping[str, Encoded] = msgspec.field(default_factory=dict)
    """Loop to what its items gave, see `codec.bundles`."""
    failures: Sequence[FailedItem] = ()
    settled: Sequence[tuple[str, bytes]] = ()
    computed: Sequence[ComputedDraft] = ()
    folded: Sequence[tuple[str, bytes]] = ()
    queued: Mapping[str, Encoded] = msgspec.field(default_factory=dict)
    """Queue to what was added to it, see `codec.bundles`."""
    steps: Sequence[StepDraft] = ()
    outputs: Sequence[OutputLength] = ()
    checkpoint: CheckpointDraft | None = None
    drop: Sequence[int] = ()
    journal: JournalRows | None = None
    """What was logged; in the same transaction, taken back by the same rewind."""
