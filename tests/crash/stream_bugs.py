"""Known mistakes in streams, planted like those of `bugs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["STREAM_BUGS"]


def rows_before_offsets() -> None:
    """The rows of a batch are committed, then the offsets behind them."""
    from waycairn.streams.ledger_connection import LedgerConnection

    settle = LedgerConnection.settle

    def settle_apart(self: LedgerConnection, step: Any) -> None:
        self._commit()
        self._begin()
        settle(self, step)

    LedgerConnection.settle = settle_apart


def stream_state_forgotten() -> None:
    """The state beside a stream is taken from the run, not from where the offsets lie."""
    from waycairn.work import tailing

    tailing.unload_cargo = lambda stored, state: None


def no_first_stream_state() -> None:
    """Beside the first batch there is no state: a sink that a power cut takes back to nothing counts it twice."""
    from waycairn.work.tailing import Tailing

    def put_nothing(self: Tailing[Any], cargo: bytes) -> Any:
        yield from ()

    Tailing._put_first_state = put_nothing


def sink_file_not_cut_back() -> None:
    """What a batch that died left behind the committed length of a file stays there."""
    from waycairn.streams.file_sink import FileSink

    def keep_all(self: FileSink) -> None:
        import os

        self._length = os.fstat(self._handle).st_size

    FileSink._cut_back = keep_all


def sink_file_not_flushed() -> None:
    """Offsets are committed before the bytes of the file are durable."""
    from waycairn.streams import file_sink

    file_sink.flush = lambda handle: None


def delivered_after_offsets() -> None:
    """The offsets are committed, then the function is called."""
    from waycairn.streams.callback_sink import CallbackTransaction
    from waycairn.work.tailing import Tailing

    late: list[Callable[[], Any]] = []
    deliver, commit = Tailing._deliver, CallbackTransaction.commit

    def commit_first(self: CallbackTransaction, step: Any) -> None:
        commit(self, step)
        while late:
            late.pop()()

    Tailing._deliver = lambda self, transaction, batch: late.append(lambda: deliver(self, transaction, batch))
    CallbackTransaction.commit = commit_first


STREAM_BUGS = {
    "rows-before-offsets": rows_before_offsets,
    "stream-state-forgotten": stream_state_forgotten,
    "no-first-stream-state": no_first_stream_state,
    "sink-file-not-cut-back": sink_file_not_cut_back,
    "sink-file-not-flushed": sink_file_not_flushed,
    "delivered-after-offsets": delivered_after_offsets,
}
