"""`run.follow`: growing files into a database, a batch of events at a time, exactly once."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, Unpack

from waycairn.model.units import seconds
from waycairn.streams.records import Standing
from waycairn.work.acts import drive, drive_async
from waycairn.work.batch import Batch
from waycairn.work.step import check_name
from waycairn.work.wary import Wary

if TYPE_CHECKING:
    from waycairn.streams.parsing import Parser
    from waycairn.streams.reader import Reader
    from waycairn.work.execution import Execution
    from waycairn.work.tailing import Tailing

E = TypeVar("E")
Path = str | bytes | os.PathLike[str]


class How(TypedDict, total=False):
    """What can be said of a stream beside its files, its sink and its schema."""

    name: str
    """Of the stream: what its offsets are found by in the sink's database. Default: the name of the run, with its key."""
    batch: int
    """Events in a batch at most, and so in a transaction. Default of this and what follows: the settings of `follow`."""
    every: float | str
    """How long it waits before it looks at quiet files again."""
    parse: Callable[[bytes], Any]
    """Makes an event of a line instead of the JSON parser; None leaves the line out, an exception makes it a dead letter."""
    transform: Callable[[Any], Any]
    """Makes of each event what the batch is to hold; an exception makes its line a dead letter."""
    on_error: Literal["dead_letter", "stop", "skip"]
    """What becomes of a line that cannot be used: kept as a dead letter, LineUnusable, or only counted."""
    max_dead_ratio: float | None
    """Share of unusable lines, of the last 10,000, above which it stops (TooManyDeadLetters)."""
    final_line: Literal["wait", "take"]
    """The last line of a file, as long as it has no newline. "take" takes it where `once` ends."""
    on_copy: Literal["adopt", "reread"]
    """A file that begins as one that is known and has gone away: the same one, moved, or a new one."""
    line_limit: int
    """Bytes; a longer line is a dead letter."""
    once: bool
    """End when all that is there was read. Default: go on until the run is stopped."""


class Follow(Generic[E]):
    """Batches of the events that lie in files, from where the last commit ended; E is what an event is.

    Iterated once; `for` in a Run, `async for` in an AsyncRun.
    """

    skipped = 0
    keeps_state = True

    def __init__(
        self,
        execution: Execution,
        paths: Path | Sequence[Path],
        *,
        sink: Any,
        schema: type[E] | None,
        **how: Unpack[How],
    ) -> None:
        from waycairn.streams.outage import Breaker
        from waycairn.streams.parsing import Parser
        from waycairn.work.sinking import bound
        from waycairn.work.tailing import Tailing

        how = {**dataclasses.asdict(execution.store.settings.follow), **how}  # type: ignore[typeddict-item]
        name, size, once = how.get("name") or _usual_name(execution), how["batch"], how.get("once", False)
        check_name("stream", name)
        if size < 1:
            raise ValueError(f"a batch holds at least one event, not {size}")
        self.name = name
        self._execution = execution
        self._paths = [paths] if isinstance(paths, str | bytes | os.PathLike) else list(paths)
        self._parser: Parser = Parser(how.get("parse", schema), **_chosen(how, "transform", "on_error"))
        self._reading = _chosen(how, "final_line", "on_copy", "line_limit", "once")
        self._tailing: Tailing[E] = Tailing(
            execution,
            name,
            bound(sink, execution.store),
            self._reader,
            breaker=Breaker(execution.store.clock),
            wary=Wary(name, how.get("max_dead_ratio")),
            size=size,
            every=seconds("every", how["every"]),
            once=once,
            parser=self._parser.name,
            facts={"paths": [str(pathlib.Path(os.fsdecode(path)).absolute()) for path in self._paths]},
        )

    @property
    def is_exhausted(self) -> bool:
        """Whether everything that was there is done; only with `once`."""
        return self._tailing.is_drained

    def _reader(self, standing: Standing) -> Reader:
        from waycairn.streams.options import ReadOptions
        from waycairn.streams.reader import Reader

        options = ReadOptions(**self._reading)
        return Reader(self._paths, standing.generations, self._parser, options, self._execution.store.clock)

    # -- the two faces -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Batch[E]]:
        tailing, execution = self._tailing, self._execution
        execution.open_loop(self)
        drive(tailing.open(), execution)
        try:
            while (batch := drive(tailing.next(), execution)) is not None:
                yield batch
        finally:
            drive(tailing.close(), execution)

    async def __aiter__(self) -> AsyncIterator[Batch[E]]:
        tailing, execution = self._tailing, self._execution
        execution.open_loop(self)
        execution.awaited.append(self)
        await drive_async(tailing.open(), execution)
        try:
            while (batch := await drive_async(tailing.next(), execution)) is not None:
                yield batch
        finally:
            await drive_async(tailing.close(), execution)

    # -- as the run sees it ------------------------------------------------------------------------------------------

    def warn_if_unused(self) -> None:
        """It was iterated, else the run would not know it."""

    def close(self) -> None:
        """The run is left, perhaps by an exception that the loop has not seen."""
        drive(self._tailing.close(), self._execution)

    async def aclose(self) -> None:
        """As close, in an AsyncRun: a generator that was left in the middle is closed by the event loop, later."""
        await drive_async(self._tailing.close(), self._execution)


def _usual_name(execution: Execution) -> str:
    record = execution.record
    return record.name if record.key is None else f"{record.name} {record.key}"


def _chosen(how: How, *names: str) -> dict[str, Any]:
    given: dict[str, Any] = {**how}
    return {name: given[name] for name in names if name in given}
