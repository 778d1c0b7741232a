"""Dead letters once more: their lines are read again where they lie, and those that can be used now are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from waycairn.errors import StreamError
from waycairn.streams.dead_letters import KeptLetter, failed_again, settle
from waycairn.streams.failures import kind_of, told
from waycairn.streams.insert_many import Inserts
from waycairn.streams.options import ReadOptions
from waycairn.streams.parsing import Parser, Where
from waycairn.streams.records import Standing
from waycairn.streams.rereading import Rereading
from waycairn.streams.sealing import with_vault
from waycairn.streams.writer import Writer
from waycairn.upkeep.letters import Wanted, letters
from waycairn.upkeep.sink_database import writing
from waycairn.upkeep.streams import KnownStream, patterns_of, standing_in
from waycairn.world.crashpoints import crashpoint

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from waycairn.ports import Clock

_UNREADABLE = "its file is not there any more, or its bytes are not what they were"


class Retried(msgspec.Struct):
    """What became of the dead letters that were tried."""

    settled: int = 0
    """Written now, each once."""
    failed: int = 0
    """Still of no use; the ledger has the new error."""
    unreadable: int = 0
    """Their lines cannot be read any more."""
    elsewhere: int = 0
    """Somebody else settled them meanwhile."""


class _TransactionEnded(Exception):
    """By other hands than ours."""


class Retry:
    """One pass over the dead letters of one stream. A process that follows the stream may go on meanwhile: a letter is
    marked as settled in the transaction in which its event is written, and only one can do that."""

    def __init__(
        self,
        stream: KnownStream,
        parser: Parser,
        write: Callable[[Any, Sequence[Any]], Any],
        *,
        clock: Clock,
        line_limit: int | None = None,
    ) -> None:
        self._stream, self._parser, self._write, self._clock = stream, parser, write, clock
        self._options = ReadOptions() if line_limit is None else ReadOptions(line_limit=line_limit)
        self._inserts = Inserts()

    def run(self, wanted: Wanted) -> Retried:
        """Raises errors of the store; what was settled before stands."""
        retried = Retried()
        standing = standing_in(self._stream)
        self._refuse_files(standing)
        generations = standing.generations
        patterns = patterns_of(self._stream, generations)
        files = Rereading(patterns, generations)
        with writing(self._stream.address) as opened:
            connection = with_vault(opened, self._stream.vault)
            for kept in letters(self._stream, wanted):
                outcome = self._try(connection, kept, self._line(files, kept))
                setattr(retried, outcome, getattr(retried, outcome) + 1)
        return retried

    def _refuse_files(self, standing: Standing) -> None:
        if standing.sink_length is not None or "://" not in self._stream.sink:
            raise StreamError(
                f"dead letters of the stream {self._stream.name!r} cannot be tried again: its sink is no database, so that "
                "nothing can be written together with the mark that they are settled. Nothing was changed. Their lines: "
                f"waycairn stream dead {self._stream.name} --json",
                stream=self._stream.name,
            )

    def _line(self, files: Rereading, kept: KeptLetter) -> bytes | None:
        """Of one that is too long to be read only what the ledger has: memory stays bounded."""
        if kept.letter.length > self._options.line_limit:
            return kept.letter.head
        return files.line(kept.letter)

    def _try(self, connection: Connection, kept: KeptLetter, line: bytes | None) -> str:
        if line is None:
            return self._failed(connection, kept, _UNREADABLE, "unreadable")
        letter = kept.letter
        if letter.length > self._options.line_limit:
            limit = self._options.line_limit
            return self._failed(
                connection, kept, f"{letter.length:,} bytes, more than the limit of {limit:,}", "failed"
            )
        where = Where(letter.generation, letter.path, letter.offset, letter.line, self._clock.now())
        parsed = self._parser.parse([line + b"\n"], where)
        if parsed.dead:
            return self._failed(connection, kept, parsed.dead[0].error, "failed")
        try:
            return self._settled(connection, kept, parsed.events)
        except _TransactionEnded:
            raise RuntimeError(
                f"the function that writes rows of the stream {self._stream.name!r} ended the transaction itself, so that "
                f"dead letter {kept.id} may be settled without its rows. Look at them, and leave COMMIT and ROLLBACK out."
            ) from None
        except Exception as error:
            connection.rollback()
            if kind_of(error) is not None:
                raise told(error, connection) from error
            return self._failed(connection, kept, f"{type(error).__name__}: {error}", "failed")

    def _settled(self, connection: Connection, kept: KeptLetter, events: Sequence[Any]) -> str:
        """The mark first: it takes the lock, so that of two who try the same letter one writes nothing."""
        with connection.begin() as transaction:
            if not settle(connection, kept.id, self._clock.now()):
                return "elsewhere"
            if events:
                self._write(Writer(connection, self._inserts), events)
            if not transaction.is_active:
                raise _TransactionEnded
            crashpoint("stream.retry.commit")
        crashpoint("stream.retry.committed")
        return "settled"

    def _failed(self, connection: Connection, kept: KeptLetter, error: str, outcome: str) -> str:
        with connection.begin():
            failed_again(connection, kept, error, self._clock.now())
        return outcome
