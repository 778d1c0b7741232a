"""Known mistakes, planted into a test process to prove that the harness finds them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from crash import backing_mistakes, branch_mistakes
from crash.mistakes import MISTAKES
from crash.stream_bugs import STREAM_BUGS
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


def flush_errors_ignored() -> None:
    """What the device refused to flush counts as flushed."""
    flush = os.fsync

    def flush_anyhow(handle: int) -> None:
        with suppress(OSError):
            flush(handle)

    os.fsync = flush_anyhow


def flush_tried_again() -> None:
    """A flush that failed is tried again on the same file, and the second answer is believed."""
    flush = os.fsync

    def flush_twice(handle: int) -> None:
        try:
            flush(handle)
        except OSError:
            flush(handle)

    os.fsync = flush_twice


def output_flush_tried_again() -> None:
    """The same only where the job asks again, for a cut that failed: the bytes are taken to be there."""
    from waycairn.work.output import Output

    Output._refuse_if_doubtful = lambda self: None


def full_disk_ignored() -> None:
    """A commit for which there is no room is taken for done."""
    from waycairn.catalog.sqlite import SqliteDatabase
    from waycairn.errors import StoreFull

    write = SqliteDatabase.write

    def write_if_there_is_room(self: SqliteDatabase, work: Callable[..., Any]) -> Any:
        with suppress(StoreFull):
            return write(self, work)

    SqliteDatabase.write = write_if_there_is_room


def thread_error_swallowed() -> None:
    """What the threads that write a large pack could not write is told to nobody."""
    from waycairn.blobs.large_pack import LargePack

    LargePack._raise_error = lambda self: None


def shared_commit_error_swallowed() -> None:
    """A commit that failed is told to the thread that led it, not to those that shared it."""
    from waycairn.catalog.group import GroupCommit

    follow = GroupCommit._follow

    def follow_blindly(self: GroupCommit, unit: Any, wake: Any) -> None:
        follow(self, unit, wake)
        unit.error = None

    GroupCommit._follow = follow_blindly


def commit_twice() -> None:
    """A commit whose reply was lost is taken for undone; it runs again, as the next one, and nobody looks whether its
    operation is there."""
    from waycairn.catalog.commits import CommitPart
    from waycairn.catalog.parts import FENCE_STATE
    from waycairn.catalog.postgres import PostgresDatabase

    commit_once = CommitPart._commit

    def commit_anyhow(self: CommitPart, session: Any, commit: Commit, values: dict[str, Any]) -> None:
        newest = session.one(FENCE_STATE, {"id": commit.run})[1]
        values["number"] = newest + 1
        commit_once(self, session, replace(commit, sequence=newest + 1), values)

    PostgresDatabase._settle = lambda *_: False
    CommitPart._commit = commit_anyhow


def lease_by_wall_clock() -> None:
    """Whether a lease has run out is judged by the clock of whoever asks."""
    from waycairn.process import LeaseOwnership

    LeaseOwnership._database_now = lambda self: self.clock.now()


def lock_in_children() -> None:
    """A forked child keeps the owner file open, and with it the lock of its parent."""
    from waycairn.process import files

    class Deaf(set[Any]):
        def add(self, _: Any) -> None:
            pass

    files._holds = Deaf()


BUGS = {
    **MISTAKES,
    **branch_mistakes.MISTAKES,
    **backing_mistakes.MISTAKES,
    **STREAM_BUGS,
    "commit-twice": commit_twice,
    "lease-by-wall-clock": lease_by_wall_clock,
    "lock-in-children": lock_in_children,
    "no-flush-of-files": no_flush_of_files,
    "no-flush-of-directories": no_flush_of_directories,
    "synchronous-normal": synchronous_normal,
    "commit-before-pack": commit_before_pack,
    "output-after-commit": output_after_commit,
    "no-flush-of-parents": no_flush_of_parents,
    "ack-before-commit": ack_before_commit,
    "no-epoch-check": no_epoch_check,
    "flush-errors-ignored": flush_errors_ignored,
    "flush-tried-again": flush_tried_again,
    "output-flush-tried-again": output_flush_tried_again,
    "full-disk-ignored": full_disk_ignored,
    "thread-error-swallowed": thread_error_swallowed,
    "shared-commit-error-swallowed": shared_commit_error_swallowed,
}


def plant(bug: str) -> None:
    BUGS[bug]()
