"""What goes to a worker, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from waycairn.model.encoded import Encoded


class Task(NamedTuple):
    """One call to be made."""

    number: int
    """Names it within one map, and within one try: a second try has a number of its own."""
    digest: bytes
    """16 bytes that name its item, see `fanout.flights`."""
    value: Any


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a task: a result, or an error."""

    number: int
    encoded: Encoded | None = None
    """The result; None if it failed."""
    value: Any = None
    """The result itself, if it was computed in this process."""
    is_here: bool = False
    """Whether `value` is that result."""
    error: Mapping[str, Any] | None = None
    """The facts of the error, see `work.facts`."""
    exception: BaseException | None = None
    """The error itself, if it was raised in this process."""
    again: bool = False
    """Whether such an error is worth another try."""
    after: float = 0.0
    """Seconds that the error asks everybody to wait (Retry-After)."""
    stops: bool = False
    """An error of the store, or a request to stop: no failure of an item."""
    died: bool = False
    """It killed the process that ran it."""
