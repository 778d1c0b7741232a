"""A log of what was acknowledged, for those who kill a job and look afterwards whether all of it is there.

    WAYCAIRN_HISTORY=file       append one line of JSON for every acknowledgement

A line is written after the step that made it durable has returned and just before the caller is told, in one write:
what stands in the log was promised, what does not stand there may be there or not. Acts that take something away write
a line before, too: killed between the two, nobody can tell whether it is gone. Off it costs one comparison.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from waycairn.model.ids import CheckpointId, RunId
from waycairn.model.records import Commit, DoneItems

__all__ = [
    "Committed",
    "Deleted",
    "Deleting",
    "Discarded",
    "Entered",
    "Event",
    "Expiring",
    "Forked",
    "GoingBack",
    "Keeping",
    "PutBack",
    "PuttingBack",
    "Replacing",
    "Saved",
    "Told",
    "begin",
    "end",
    "note",
    "read_history",
    "tell",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """One line. Bytes are base 64."""


class Entered(Event, frozen=True, kw_only=True, tag="entered"):
    """A process owns this epoch of the run."""

    run: RunId
    epoch: int
    pid: int


class Committed(Event, frozen=True, kw_only=True, tag="commit"):
    """A cut is durable. Roots are what the hash of each stored state must be when it is read."""

    run: RunId
    epoch: int
    sequence: int
    done: int
    """Of the whole run, by its progress."""
    failed: int
    root: bytes | None = None
    """Of its checkpoint; None if it had none."""
    is_paced: bool = False
    """Its checkpoint may be replaced by two newer paced ones."""
    items: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    """Loop to `block_digest` of the items that it added."""
    failures: Sequence[tuple[str, bytes]] = ()
    """Loop and digest of items that failed."""
    computed: Sequence[tuple[str, bytes]] = ()
    """Loop and digest of items that are computed and wait."""
    queued: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    """Queue to the root of what was added to it."""
    steps: Sequence[tuple[str, str, bytes]] = ()
    """Scope, name and root of the result."""
    outputs: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Path to committed length, of those that changed."""
    iterations: Sequence[int] = ()
    """Numbers of iterations of a session."""
    points: int = 0
    """Logged points that it holds."""

    @classmethod
    def of(cls, commit: Commit) -> Committed:
        checkpoint = commit.checkpoint
        return cls(
            run=commit.run,
            epoch=commit.epoch,
            sequence=commit.sequence,
            done=commit.progress.done,
            failed=commit.progress.failed,
            root=checkpoint.stored.root if checkpoint else None,
            is_paced=checkpoint is not None and checkpoint.reason == "pace",
            items={done.loop: block_digest(done) for done in commit.items},
            failures=[(failed.loop, failed.digest) for failed in commit.failures],
            computed=[(item.loop, item.digest) for item in commit.computed],
            queued={queue: stored.root for queue, stored in commit.queued.items()},
            steps=[(step.scope, step.name, step.result.root) for step in commit.steps],
            outputs={output.path: output.length for output in commit.outputs},
            iterations=[one.number for one in commit.journal.iterations] if commit.journal else (),
            points=len(commit.journal.points) if commit.journal else 0,
        )


class Saved(Event, frozen=True, kw_only=True, tag="value"):
    """A plain value is durable."""

    checkpoint: CheckpointId
    root: bytes


class Replacing(Event, frozen=True, kw_only=True, tag="replacing"):
    """The commit with this sequence is about to be made, and checkpoints of its run go with it: not before it is there."""

    run: RunId
    sequence: int
    what: Sequence[int]
    """Their sequences."""


class Keeping(Event, frozen=True, kw_only=True, tag="keeping"):
    """A value is about to be saved under this name, and values older than the newest `keep` go with it."""

    name: str
    keep: int


class GoingBack(Event, frozen=True, kw_only=True, tag="going back"):
    """The run is about to be cut back to a sequence; what was committed later may be gone from here on."""

    run: RunId
    sequence: int


class Forked(Event, frozen=True, kw_only=True, tag="forked"):
    """A run was made that begins at a checkpoint of another one."""

    run: RunId
    origin: CheckpointId


class Deleting(Event, frozen=True, kw_only=True, tag="deleting"):
    """Checkpoints or runs, by id, that are about to be deleted."""

    what: Sequence[str]


class Deleted(Event, frozen=True, kw_only=True, tag="deleted"):
    """They are gone, and must not come back."""

    what: Sequence[str]


class PuttingBack(Event, frozen=True, kw_only=True, tag="putting back"):
    """Runs, by id, that were deleted and are about to come back out of a backup."""

    what: Sequence[str]


class PutBack(Event, frozen=True, kw_only=True, tag="put back"):
    """They are there again, with all that was acknowledged of them before."""

    what: Sequence[str]


class Expiring(Event, frozen=True, kw_only=True, tag="expiring"):
    """Checkpoints, by id, that policies let go and that a sweep is about to remove, if it still may."""

    what: Sequence[str]


class Discarded(Event, frozen=True, kw_only=True, tag="discarded"):
    """The run was given up: nobody goes on with it."""

    run: RunId


class Told(Event, frozen=True, kw_only=True, tag="told"):
    """A job told somebody outside that it has come so far; the word is its own."""

    word: str
    number: int


_Any = (
    Entered
    | Committed
    | Saved
    | Replacing
    | Keeping
    | Forked
    | GoingBack
    | Deleting
    | Deleted
    | PuttingBack
    | PutBack
    | Expiring
    | Discarded
    | Told
)
_decoder = msgspec.json.Decoder(_Any)


class _Log:
    """One write a line to a file that is open for appending: lines of many processes never mix."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, event: Event) -> None:
        line = msgspec.json.encode(event) + b"\n"
        if os.write(self.handle, line) != len(line):
            raise OSError(f"the history could not be written whole: {event}")


def _from_environment() -> _Log | None:
    path = os.environ.get("WAYCAIRN_HISTORY")
    return _Log(path) if path else None


_log = _from_environment()


def is_on() -> bool:
    """Ask before an event is made: making one costs more than everything else here."""
    return _log is not None


def note(event: Event) -> None:
    """It is durable, and the caller is about to learn so."""
    if _log is not None:
        _log.write(event)


def tell(word: str, number: int) -> None:
    """A job acknowledges something by itself."""
    note(Told(word=word, number=number))


def begin(path: str | os.PathLike[str]) -> None:
    """From now on in this process, whatever the environment says."""
    global _log  # noqa: PLW0603 - the one switch of this module
    end()
    _log = _Log(path)


def end() -> None:
    """No longer in this process."""
    global _log  # noqa: PLW0603 - the one switch of this module
    if _log is not None:
        os.close(_log.handle)
    _log = None


def read_history(path: str | os.PathLike[str]) -> list[Event]:
    """In the order of the lines; nothing if there is no file. A last line without an end was never acknowledged."""
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    return [_decoder.decode(line) for line in text.split(b"\n")[:-1]]


def block_digest(done: DoneItems) -> bytes:
    """Names the items of one loop in one cut, in their order, with what they gave."""
    return hashlib.sha256(done.keys + (done.results.root if done.results else b"")).digest()[:16]
