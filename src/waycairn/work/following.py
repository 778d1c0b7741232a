"""`run.follow`: growing files into a database, a batch of events at a time, exactly once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from waycairn.model.units import seconds
from waycairn.streams.records import Standing
from waycairn.work.acts import drive, drive_async
from waycairn.work.batch import Batch
from waycairn.work.sinking import sink_of
from waycairn.work.step import check_name
from waycairn.work.tailing import Tailing
from waycairn.work.wary import Wary

if TYPE_CHECKING:
    from waycairn.streams.parsing import Parser
    from waycairn.streams.reader import Reader
    from waycairn.work.execution import Execution

E = TypeVar("E")
Path = str | bytes | os.PathLike[str]
OnError = Literal["dead_letter", "stop", "skip"]
_LINE = 16 << 20


class Follow(Generic[E]):
    """Batches of the events that lie in files, from where the last commit ended; E is what an event is.

    Iterated once; `for` in a Run, `async for` in an AsyncRun.
    """

    skipped = 0

    def __init__(
        self,
        execution: Execution,
        paths: Path | Sequence[Path],
        *,
        sink: Any,
        schema: type[E] | None,
        parse: Callable[[bytes], Any] | None,
        transform: Callable[[Any], Any] | None,
        name: str,
        batch: int,
        every: float | str,
        on_error: OnError,
        max_dead_ratio: float | None,
        final_line: Literal["wait", "take"],
        on_copy: Literal["adopt", "reread"],
        line_limit: int,
        once: bool,
    ) -> None:
        from waycairn.streams.outage import Outage
        from waycairn.streams.parsing import Parser

        check_name("stream", name)
        if batch < 1:
            raise ValueError(f"a batch holds at least one event, not {batch}")
        self.name = name
        self._execution = execution
        self._paths = [paths] if isinstance(paths, str | bytes | os.PathLike) else list(paths)
        self._parser: Parser = Parser(schema, parse=parse, transform=transform, on_error=on_error)
        self._reading = {"final_line": final_line, "on_copy": on_copy, "line_limit": line_limit, "once": once}
        self._tailing: Tailing[E] = Tailing(
            execution,
            name,
            sink_of(sink, execution.store, name),
            self._reader,
            outage=Outage(),
            wary=Wary(name, max_dead_ratio),
            size=batch,
            every=seconds("every", every),
            once=once,
            parser=self._parser.name,
            facts={"paths": [os.fsdecode(path) for path in self._paths]},
        )

    @property
    def is_exhausted(self) -> bool:
        """Whether everything that was there is done; only with `once`."""
        return self._tailing.is_drained

    def _reader(self, standing: Standing) -> Reader:
        from waycairn.streams.reader import Reader, ReadOptions

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
        """The run is left; what was iterated closed itself."""
