"""`waycairn backup verify`, `extend`, `pin`, `unpin`, `prune` and `delete`: acts on backups that are there."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.backup_naming import BackupId, BackupIds, Keep
from waycairn.cli.backup_progress import progress_shown
from waycairn.cli.command import Command
from waycairn.cli.naming import Yes
from waycairn.cli.output import FOUND_BAD, Face, Refused, ask, wrong_use
from waycairn.documents.backups import backup_facts
from waycairn.model.backups import WHOLE, BackupState

if TYPE_CHECKING:
    from waycairn.model.backups import BackupRecord
    from waycairn.work.store import Store


def verify(face: Face, backups: BackupIds = None) -> int:
    """Read all of a backup back and compare it with its sums. A damaged one is exit code 3; its source is not deleted with it."""
    from waycairn.errors import Damaged

    intact: list[BackupRecord] = []
    damaged: dict[str, str] = {}
    with face.open() as store, progress_shown(face) as told:
        for one in backups or [each.id for each in store.backups(state=WHOLE)]:
            try:
                intact.append(store.backup(one).verify(told))
            except Damaged as error:
                damaged[one] = str(error)
    if face.as_json:
        face.document({"intact": [backup_facts(one) for one in intact], "damaged": damaged})
    for record in intact:
        face.done(f"intact: {record.id} ({record.label}), {record.records:,} records, sha256 {record.digest}")
    for one, why in damaged.items():
        if not face.as_json:
            face.line(f"damaged: {one}: {why}", "bold red")
    if not intact and not damaged:
        face.done("no backup is whole, so there is nothing to verify")
    return FOUND_BAD if damaged else 0


def extend(face: Face, backup: BackupId, *, keep: Keep = None) -> None:
    """Say how long a backup stays, from now on; that may be shorter than before."""
    with face.open() as store, wrong_use():
        _show_stay(face, store.backup(backup).extend(keep))


def pin(face: Face, backup: BackupId) -> None:
    """Keep a backup whatever its time says."""
    with face.open() as store:
        _show_stay(face, store.backup(backup).pin())


def unpin(face: Face, backup: BackupId) -> None:
    """Let a backup go when its time is over, again."""
    with face.open() as store:
        _show_stay(face, store.backup(backup).unpin())


def _show_stay(face: Face, record: BackupRecord) -> None:
    from waycairn.upkeep.sizes import iso

    if face.as_json:
        face.document({"backup": backup_facts(record)})
    until = "until somebody unpins it" if record.pinned else f"until {iso(record.expires)}"
    face.done(f"backup {record.id} ({record.label}) stays {'for ever' if until.endswith('None') else until}")


def prune(
    face: Face,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Let go of backups whose time is over, and of what dead processes left of theirs. Upkeep does so by itself; the bytes come
    back with the next sweep."""
    from waycairn.backups.keeping import due

    with face.open() as store:
        if dry_run:
            expired, interrupted = due(store.core)
            if face.as_json:
                face.document(
                    {
                        "dry_run": True,
                        "expired": [backup_facts(one) for one in expired],
                        "interrupted": [backup_facts(one, is_interrupted=True) for one in interrupted],
                    }
                )
            for one in expired:
                face.done(f"would go: {one.id} ({one.label}), {one.records:,} records, its time is over")
            for one in interrupted:
                face.done(f"would go: what is left of {one.id} ({one.label}), whose process died while it was made")
            if not expired and not interrupted:
                face.done("nothing to prune")
            return
        pruned = store.prune_backups()
    if face.as_json:
        face.document({"dry_run": False, **asdict(pruned)})
    face.done(
        f"{pruned.expired:,} backups expired, {pruned.interrupted:,} interrupted ones given up, {pruned.payloads:,} payloads "
        "gone; their bytes come back with the next sweep"
    )


def delete(
    face: Face,
    backup: BackupId,
    *,
    last_copy: Annotated[
        bool,
        typer.Option("--last-copy", help="Also if its source was deleted, so that this is all that is left of it."),
    ] = False,
    yes: Yes = False,
) -> None:
    """Give a backup up: what it holds goes for good, and its row in the list says so. Its source is left alone: see
    delete-source."""
    with face.open() as store:
        record = store.backup(backup).record
        if record.state is BackupState.DELETED and not last_copy:
            raise Refused(
                f"the source of backup {record.id} ({record.label}) was deleted, so it may be all that is left. Nothing was "
                f"changed. Restore it first, or say that you know: --last-copy."
            )
        if record.state is not BackupState.EXPIRED:
            ask(_question(record), yes=yes)
        record = _removed(store, record)
    if face.as_json:
        face.document({"backup": backup_facts(record)})
    face.done(f"backup {record.id} ({record.label}) is given up; its bytes come back with the next sweep")


def _removed(store: Store, record: BackupRecord) -> BackupRecord:
    return store.backup(record.id).remove()


def _question(record: BackupRecord) -> str:
    gone = " Its source was deleted: nothing brings that back then." if record.state is BackupState.DELETED else ""
    return f"Give up backup {record.id} of {record.label}, {record.records:,} records?{gone}"


COMMANDS = (
    Command("verify", verify, has_quiet=True),
    Command("extend", extend, has_quiet=True),
    Command("pin", pin, has_quiet=True),
    Command("unpin", unpin, has_quiet=True),
    Command("prune", prune, has_quiet=True),
    Command("delete", delete, has_quiet=True),
)
