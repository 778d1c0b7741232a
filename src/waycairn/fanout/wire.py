"""What goes through the pipe between the owner and a worker process: msgpack, but for the values of tasks.

Those are the user's own objects on their way to the user's own function, and are pickled; results come back the way
they are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from waycairn.errors import WaycairnError
from waycairn.model.encoded import Encoded
from waycairn.model.tasks import Outcome

T = TypeVar("T")
Sent = tuple[int, bytes, bytes]
"""Number, digest and pickled value of a task."""


class _Result(msgspec.Struct, array_like=True, gc=False):
    number: int
    document: bytes | None
    buffers: list[bytes]
    error: dict[str, Any] | None
    again: bool
    after: float
    stops: bool


class Answer(msgspec.Struct, array_like=True, gc=False):
    """From a worker: it is ready, could not begin (with the facts of the error), or what became of tasks."""

    ready: bool
    broken: dict[str, Any] | None
    seconds: float
    results: list[_Result]

    def outcomes(self) -> list[Outcome]:
        return [_outcome_of(result) for result in self.results]


_encode = msgspec.msgpack.Encoder().encode
_read_tasks = msgspec.msgpack.Decoder(list[Sent]).decode
_read_hold = msgspec.msgpack.Decoder(float).decode
_FLOAT = b"\xcb"
"""How msgpack begins a number of this kind; tasks are a list."""
_read_answer = msgspec.msgpack.Decoder(Answer).decode


def pack_tasks(tasks: Sequence[Sent]) -> bytes:
    return _encode(tasks)


def pack_hold(seconds: float) -> bytes:
    """Another worker was told to wait."""
    return _encode(seconds)


def unpack_hold(message: bytes) -> float | None:
    """The seconds, if that is what the message says."""
    return _read(_read_hold, message) if message[:1] == _FLOAT else None


def unpack_tasks(message: bytes) -> list[Sent]:
    """Raises WaycairnError for what no owner sends."""
    return _read(_read_tasks, message)


def pack_ready() -> bytes:
    return _encode(Answer(True, None, 0.0, []))


def pack_broken(facts: Mapping[str, Any]) -> bytes:
    return _encode(Answer(False, dict(facts), 0.0, []))


def pack_outcomes(outcomes: Sequence[Outcome], seconds: float) -> bytes:
    return _encode(Answer(False, None, seconds, [_result_of(outcome) for outcome in outcomes]))


def unpack_answer(message: bytes) -> Answer:
    """Raises WaycairnError for what no worker sends."""
    return _read(_read_answer, message)


def _read(read: Callable[[bytes], T], message: bytes) -> T:
    try:
        return read(message)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WaycairnError(
            f"what came through the pipe of a worker process is no message of ours ({error}): something else writes to "
            "it. Nothing is lost. Look for code that writes to file descriptors it did not open, then run the job again."
        ) from None


def _result_of(outcome: Outcome) -> _Result:
    encoded, error = outcome.encoded, outcome.error
    return _Result(
        outcome.number,
        None if encoded is None else encoded.document,
        [] if encoded is None else [bytes(view) for view in encoded.buffers],
        None if error is None else dict(error),
        outcome.again,
        outcome.after,
        outcome.stops,
    )


def _outcome_of(result: _Result) -> Outcome:
    if result.document is None:
        return Outcome(result.number, error=result.error, again=result.again, after=result.after, stops=result.stops)
    return Outcome(result.number, Encoded(result.document, [memoryview(buffer) for buffer in result.buffers]))
