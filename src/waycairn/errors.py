"""One exception tree.

    WaycairnError(Exception)
    ├── StoreError                 a state of the place that remembers; never recorded as a failed item
    │   ├── StoreBusy              another writer holds the database for too long
    │   ├── StoreUnreachable       the database or the file system does not answer
    │   ├── StoreReadOnly          nothing can be written here
    │   ├── StoreFull              no space left (or a quota) while writing
    │   ├── StoreTooNew            written by a newer waycairn
    │   ├── StoreNotFound          no store at this address
    │   ├── KeyMissing             the store is encrypted, and no key was given
    │   ├── KeyWrong               the store is encrypted, and what was given does not open it
    │   ├── NotEncrypted           an encrypted store was asked for, and this one is not
    │   ├── KeysChanged            the keys were changed meanwhile; handled inside, seen only if it goes on
    │   ├── CopyUnfinished         the store is a copy that was never finished
    │   ├── UnsafeFileSystem       SQLite cannot keep its promises on this file system
    │   ├── WriteFailed            the device refused a write or a flush
    │   ├── CommitUnknown          the outcome of a COMMIT could not be learned
    │   ├── SweptMeanwhile         what a save leans on may be swept; handled inside, seen only if it goes on failing
    │   ├── Damaged                stored bytes do not match their hash or their format
    │   └── UsedAfterFork          the store was opened by a parent process
    ├── RunError
    │   ├── RunIsHeld              another living owner holds the run
    │   ├── RunNotFound
    │   ├── RunNotCompleted        fresh=True would throw away unfinished work
    │   ├── CannotStart            the recorded command of the run is not started again
    │   ├── CannotCancel           its process cannot be asked to stop from here
    │   ├── RunClosed              the run was left; nothing more can be committed through it
    │   ├── CheckpointNotFound
    │   ├── CheckpointPinned       delete refused: the checkpoint is pinned
    │   ├── FingerprintMismatch    entered with other inputs than it was started with
    │   ├── StepChanged            a remembered step was called with other arguments
    │   └── StateAhead             an old step was replayed beside a newer state that then changed
    ├── ItemsOverlap               two items were open at once beside a state or a growing output
    ├── StreamError
    │   ├── StreamNotFound
    │   ├── TooManyDeadLetters     more lines of a stream are unusable than was allowed
    │   ├── FilesUnreadable        files of a stream could not be read, and all was to be
    │   └── LineUnusable           a line could not be used, and on_error="stop" was asked for
    ├── BackupError
    │   ├── BackupRefused          the delete was refused: its backup is not durable, read back and verified
    │   ├── BackupNotFound
    │   ├── BackupExpired          its payload is gone
    │   ├── SourceChanged          what is to be deleted is not what was exported; nothing was deleted
    │   ├── WouldOverwrite         a restore would replace what is there, and was not told to
    │   └── SchemaChanged          the place cannot take what the backup holds
    ├── AccountError
    │   ├── AccountNotFound
    │   ├── AccountExists          the name is taken
    │   └── LastAdmin              nobody would be left who may change accounts
    ├── SettingsInvalid            a setting is wrong or unknown; nothing was started
    ├── ItemFailed                 an item failed in a worker process, and on_error="raise" was asked for
    └── UnknownType                stored data names a type that the caller did not pass or register
    Stop(BaseException)            leaves every loop; never recorded as a failed item
    ├── Interrupted                SIGTERM or SIGINT was received and the cut was taken
    └── OwnershipLost              a newer epoch owns the run; nothing was changed

The docstring of a class is its default message. Every message says what happened, what it means for the
data and what to do. Facts are attributes, so that a program never has to read the text.
"""

from __future__ import annotations

import inspect
from typing import Any

__all__ = [
    "AccountError",
    "AccountExists",
    "AccountNotFound",
    "BackupError",
    "BackupExpired",
    "BackupNotFound",
    "BackupRefused",
    "CannotCancel",
    "CannotStart",
    "CheckpointNotFound",
    "CheckpointPinned",
    "CommitUnknown",
    "CopyUnfinished",
    "Damaged",
    "FilesUnreadable",
    "FingerprintMismatch",
    "Interrupted",
    "ItemFailed",
    "ItemsOverlap",
    "KeyMissing",
    "KeyWrong",
    "KeysChanged",
    "LastAdmin",
    "LineUnusable",
    "NotEncrypted",
    "OwnershipLost",
    "RunClosed",
    "RunError",
    "RunIsHeld",
    "RunNotCompleted",
    "RunNotFound",
    "SchemaChanged",
    "SettingsInvalid",
    "SourceChanged",
    "StateAhead",
    "StepChanged",
    "Stop",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreNotFound",
    "StoreReadOnly",
    "StoreTooNew",
    "StoreUnreachable",
    "StreamError",
    "StreamNotFound",
    "SweptMeanwhile",
    "TooManyDeadLetters",
    "UnknownType",
    "UnsafeFileSystem",
    "UsedAfterFork",
    "WaycairnError",
    "WouldOverwrite",
    "WriteFailed",
]


class _Facts(BaseException):
    """Message from the docstring, facts as attributes."""

    def __init__(self, message: str | None = None, **facts: Any) -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or type(self).__name__))
        for name, value in facts.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} carries no fact named {name!r}")


class WaycairnError(_Facts, Exception):
    """waycairn could not do what was asked."""


class StoreError(WaycairnError):
    """The store could not do what was asked."""


class StoreBusy(StoreError):
    """Another writer holds the store for too long. Nothing was changed. Try again, or see `waycairn doctor`."""


class StoreUnreachable(StoreError):
    """The store does not answer. Nothing was acknowledged. Check the address, then run the job again."""


class StoreReadOnly(StoreError):
    """The store cannot be written. Nothing was changed. Check its permissions and the mount options."""


class StoreFull(StoreError):
    """No space is left. What was acknowledged is safe, this save is not. Free space, then run the job again."""


class StoreTooNew(StoreError):
    """The store was written by a newer waycairn. Nothing was changed. Upgrade waycairn to open it."""


class StoreNotFound(StoreError):
    """There is no store at this address. Nothing was created. Check the address or create it with wc.open()."""


class KeyMissing(StoreError):
    """The store is encrypted, and no key was given. Nothing was read. Give the passphrase or the key file."""


class KeyWrong(StoreError):
    """The store is encrypted, and the key that was given does not open it. Nothing was read. Give the right one."""


class NotEncrypted(StoreError):
    """The store is not encrypted, and an encrypted one was asked for. Nothing was written. See `waycairn copy --encrypt`."""


class KeysChanged(StoreError):
    """The keys of the store were changed by another process meanwhile. Nothing was changed by this one. Try again."""


class CopyUnfinished(StoreError):
    """This store is a copy that was never finished. Nothing was changed. Run `waycairn copy` again, or delete it."""


class UnsafeFileSystem(StoreError):
    """SQLite cannot keep its promises on this file system. Nothing was written. Use a local disk or PostgreSQL."""


class WriteFailed(StoreError):
    """The device refused a write or a flush. What was acknowledged before is safe, this save is not."""


class CommitUnknown(StoreError):
    """The connection broke during COMMIT and the outcome could not be learned. Run the job again to find out."""


class SweptMeanwhile(StoreError):
    """A sweep ran while this save was under way. Nothing was committed. Save again."""


class Damaged(StoreError):
    """Stored bytes do not match their hash or their format. They are not used. See `waycairn doctor`."""


class FilesChanged(StoreError):
    """Files were written to while they were saved. Nothing was saved. Save again when nobody writes to them."""


class UsedAfterFork(StoreError):
    """This run or store was opened by a parent process. Nothing was changed. Open it again in this process."""


class RunError(WaycairnError):
    """The run could not do what was asked."""


class RunIsHeld(RunError):
    """Another living process owns this run. Nothing was changed. Wait for it, or stop it and enter again."""


class RunNotFound(RunError):
    """There is no such run in this store. See `waycairn runs`."""


class RunNotCompleted(RunError):
    """The run is unfinished, and fresh=True replaces completed runs only. Nothing was changed."""


class CannotStart(RunError):
    """How the run was started is not recorded, or cannot be done again. Nothing was started. Start the job yourself."""


class CannotCancel(RunError):
    """The process that works on the run cannot be asked to stop from here. Nothing was changed."""


class RunClosed(RunError):
    """The run was left; nothing more can be committed through it. Enter it again."""


class CheckpointNotFound(RunError):
    """There is no such checkpoint in this store. See `waycairn checkpoints`."""


class CheckpointPinned(RunError):
    """The checkpoint is pinned. Nothing was deleted. Unpin it first."""


class FingerprintMismatch(RunError):
    """The run was started with another fingerprint. Nothing was changed."""


class StepChanged(RunError):
    """A remembered step was called with other arguments. Nothing was changed."""


class ItemsOverlap(WaycairnError):
    """Two items were open at once in a run with a state or a growing output."""


class ItemFailed(WaycairnError):
    """An item failed in a worker process, and the map was to raise that. The item is undone."""


class StateAhead(RunError):
    """An old step was replayed beside a newer restored state that then changed: it would be counted twice."""


class StreamError(WaycairnError):
    """The stream could not do what was asked. What was committed stands."""


class StreamNotFound(StreamError):
    """There is no such stream."""


class TooManyDeadLetters(StreamError):
    """More lines of a stream are unusable than was allowed. The newest batch was not consumed."""


class FilesUnreadable(StreamError):
    """Files of a stream are there and cannot be read. What was in the others is committed."""


class LineUnusable(StreamError):
    """A line of a stream cannot be used. Nothing of its batch was committed. Mend the line or the parser, and run again."""


class BackupError(WaycairnError):
    """The backup could not do what was asked. Nothing was deleted."""


class BackupRefused(BackupError):
    """The delete was refused, because its backup is not durable, read back and verified. Nothing was deleted."""


class BackupNotFound(BackupError):
    """There is no such backup. See `waycairn backup list`."""


class BackupExpired(BackupError):
    """The time of this backup is over, and its payload is gone."""


class SourceChanged(BackupError):
    """What is to be deleted changed since it was exported. Nothing was deleted. Make a new backup, and delete with that."""


class WouldOverwrite(BackupError):
    """The restore would replace what is there. Nothing was changed. Restore to another place, or with overwrite=True."""


class SchemaChanged(BackupError):
    """The place that is restored to cannot take what the backup holds. Nothing was changed."""


class AccountError(WaycairnError):
    """The account could not be made or changed."""


class AccountNotFound(AccountError):
    """There is no such account. Nothing was changed. See `waycairn user list`."""


class AccountExists(AccountError):
    """There is an account of that name. Nothing was changed. Choose another name."""


class LastAdmin(AccountError):
    """It is the last admin who can act. Nothing was changed. Make another account admin first."""


class SettingsInvalid(WaycairnError, ValueError):
    """A setting is wrong or unknown. Nothing was started. See `waycairn config validate`."""


class UnknownType(WaycairnError):
    """The stored data names a type that was neither passed nor registered. Nothing was imported from it."""


class Stop(_Facts, BaseException):
    """Leaves every loop. A BaseException, so that `except Exception` in a job cannot swallow it."""


class Interrupted(Stop):
    """A signal asked the run to stop; the cut was taken first. Run the job again to go on from it."""


class OwnershipLost(Stop):
    """A newer epoch owns this run. This process changed nothing and must stop working on it."""
