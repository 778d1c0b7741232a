"""Why a cut is taken, and what its checkpoint is to carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from waycairn.model.encoded import Encoded

STATE_KIND, MODEL_KIND = "processing_state", "model_state"
"""Of checkpoints that were given no kind: of `run.state`, of what is tracked."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint was asked to carry. The plain one may be paced away, one with any attribute never."""

    kind: str = STATE_KIND
    iteration: int | None = None
    tags: Sequence[str] = ()
    description: str | None = None
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    ttl: float | None = None
    reason: str | None = None
    role: str = "state"
    encoded: Encoded | None = None
    """What the checkpoint holds instead of the run's state."""


PACED = Request(reason="pace")
END = Request(reason="end")
SIGNAL = Request(reason="signal")
