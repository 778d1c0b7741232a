"""Known mistakes, planted into a test process to prove that the harness finds them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from crash.mistakes import MISTAKES
from waycairn.model.records import Commit

__all__ = ["BUGS", "plant"]


def no_flush_of_files() -> None:
    """A rename can become durable before the content: an empty or torn pack under a good name."""
    _flush_only(stat.S_ISDIR)


def no_flush_of_directories() -> None:
    """A new name can vanish although the content is on the medium."""
    _flush_only(stat.S_ISREG)


def _flush_only(kind: Callable[[int], bool]) -> None:
    flush = os.fsync
    os.fsync = lambda handle: flush(handle) if kind(os.fstat(handle).st_mode) else None


def synchronous_normal() -> None:
    """SQLite's faster setting: the newest commits fall to a power cut though they were acknowledged."""
    from waycairn.catalog.sqlite import SqliteDatabase

    connect = SqliteDatabase.connect

    def connect_carelessly(self: SqliteDatabase) -> Any:
        connection = connect(self)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    SqliteDatabase.connect = connect_carelessly


def commit_before_pack() -> None:
    """The catalog names a pack before the pack has its name."""
    from waycairn.blobs.unfinished import Unfinished
    from waycairn.catalog.whole import SqlCatalog

    late: list[tuple[Unfinished, int]] = []
    name = Unfinished.name

    def deferring(commit: Callable[..., Any]) -> Callable[..., Any]:
        def commit_first(*arguments: Any) -> Any:
            result = commit(*arguments)
            while late:
                name(*late.pop())
            return result

        return commit_first

    Unfinished.name = lambda self, size: late.append((self, size))
    SqlCatalog.commit = deferring(SqlCatalog.commit)
    SqlCatalog.save_value = deferring(SqlCatalog.save_value)


def output_after_commit() -> None:
    """The length of an output is committed, its bytes are flushed whenever the system likes."""
    from waycairn.work.output import Output

    Output.flush_to = lambda self, length: self._drain()


def no_flush_of_parents() -> None:
    """A directory is made, and its name in the parent is left to luck: the whole store can vanish."""
    from waycairn.world import files

    files.flush_directory = lambda path: None  # what make_directory calls; all others imported it by name


def ack_before_commit() -> None:
    """A save returns at once, and is done before the next one."""
    from waycairn.work.store import Store

    late: list[Callable[[], Any]] = []
    save, close = Store.save, Store.close

    def finish() -> None:
        while late:
            late.pop()()

    def save_later(self: Store, *arguments: Any, **options: Any) -> None:
        finish()
        late.append(lambda: save(self, *arguments, **options))

    Store.save = save_later
    Store.close = lambda self: (finish(), close(self))[1]


def no_epoch_check() -> None:
    """A commit of an owner that was displaced goes through, as the next one of whatever epoch there is."""
    from waycairn.catalog.whole import SqlCatalog

    commit = SqlCatalog.commit

    def commit_anyhow(self: SqlCatalog, cut: Commit) -> None:
        row = self.get_run(cut.run)
        commit(self, replace(cut, epoch=row.epoch, sequence=row.sequence + 1))

    SqlCatalog.commit = commit_anyhow


BUGS = {
    **MISTAKES,
    "no-flush-of-files": no_flush_of_files,
    "no-flush-of-directories": no_flush_of_directories,
    "synchronous-normal": synchronous_normal,
    "commit-before-pack": commit_before_pack,
    "output-after-commit": output_after_commit,
    "no-flush-of-parents": no_flush_of_parents,
    "ack-before-commit": ack_before_commit,
    "no-epoch-check": no_epoch_check,
}


def plant(bug: str) -> None:
    BUGS[bug]()
