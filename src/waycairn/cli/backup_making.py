"""`waycairn backup create` and `delete-source`: a delete in three steps, of which the second is the backup."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.backup_naming import BackupId, Keep
from waycairn.cli.backup_progress import progress_shown
from waycairn.cli.backup_sources import Wanted, source_wanted, usable
from waycairn.cli.command import Command
from waycairn.cli.naming import Yes, offered_runs
from waycairn.cli.output import BAD_USE, Face, Refused, ask, clean
from waycairn.model.backups import BackupState

if TYPE_CHECKING:
    from waycairn.backups.flow import Made, Plan, Question
    from waycairn.backups.source import Source
    from waycairn.model.backups import BackupRecord
    from waycairn.store import StoreCore


def _offered(context: typer.Context, incomplete: str) -> list[str]:
    """Names of runs with --runs; else nothing, and the shell offers files."""
    return offered_runs(context, incomplete) if context.params.get("runs") else []


def create(  # noqa: PLR0917 - a command has as many options as it needs
    face: Face,
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files and folders; with --runs, names or ids of runs.", autocompletion=_offered
        ),
    ] = None,
    runs: Annotated[bool, typer.Option("--runs", help="What is named are runs of this store.")] = False,
    rows: Annotated[
        str | None,
        typer.Option("--rows", metavar="URL", help="Rows of this database: sqlite:///... or postgresql://..."),
    ] = None,
    table: Annotated[str | None, typer.Option(help="With --rows: their table.")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help='With --rows: which rows, as in "updated < :before".')
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="A value for --where, or NAME:=JSON; may be repeated."),
    ] = None,
    child: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE=COLUMN",
            help="Rows that hang on them by that column, as in turns=conversation_id, below these turns/files=turn_id; "
            "or auto, by the foreign keys; may be repeated.",
        ),
    ] = None,
    keep: Keep = None,
    delete: Annotated[bool, typer.Option("--delete", help="Then delete what was backed up, exactly that.")] = False,
    no_backup: Annotated[
        bool,
        typer.Option("--no-backup", help="With --delete: no backup. Nothing brings it back; say why with --because."),
    ] = False,
    because: Annotated[str | None, typer.Option(help="With --no-backup: why, for the audit log.")] = None,
    yes: Yes = False,
) -> None:
    """Back up files, rows or runs, read the backup back, and with --delete delete them after that. Asks before it begins, and again
    before it deletes; whatever goes wrong before, nothing is deleted."""
    wanted = Wanted(
        what=what or (), are_runs=runs, rows=rows, table=table, where=where, params=param or (), children=child or ()
    )
    wanted.check()
    _check_decline(no_backup=no_backup, because=because, delete=delete, keep=keep)
    with face.open(create=not runs) as store:
        source = source_wanted(store.core, wanted)
        if because is not None:
            _delete_unguarded(face, store.core, source, because, yes=yes)
        elif delete:
            _delete_with_backup(face, store.core, source, keep, yes=yes)
        else:
            _show_made(face, _made(face, store.core, source, keep))


def _check_decline(*, no_backup: bool, because: str | None, delete: bool, keep: str | None) -> None:
    if no_backup != (because is not None) or (no_backup and (not delete or keep is not None)):
        raise Refused(
            'a backup is declined only by --delete --no-backup --because "reason", and then there is nothing to --keep.',
            BAD_USE,
        )
    if because is not None and not because.strip():
        raise Refused("--because: say why there is to be no backup.", BAD_USE)


def _made(face: Face, core: StoreCore, source: Source, keep: str | None) -> BackupRecord:
    plan = _plan(core, source, keep)  # what is wrong with what was named is told before anything is made
    with progress_shown(face) as told:
        return plan.make(told).backup.record


def _show_made(face: Face, record: BackupRecord) -> None:
    from waycairn.cli.backup_facts import lines
    from waycairn.documents.backups import backup_facts

    if face.as_json:
        face.document({"backup": backup_facts(record)})
        return
    for label, said in lines(record, record.updated, is_interrupted=False):
        face.done(f"{label:<9}{said}")
    face.done(f"nothing was deleted; to delete exactly what it holds: waycairn backup delete-source {record.id}")


def _delete_with_backup(face: Face, core: StoreCore, source: Source, keep: str | None, *, yes: bool) -> None:
    # 1. What, how many, how large, until when it is kept.
    plan = _plan(core, source, keep)
    _put(face, plan.question, yes=yes)
    # 2. The backup: durable, read back, verified.
    with progress_shown(face) as told:
        made = plan.make(told)
    # 3. What goes now, and how it comes back.
    later = f"nothing was deleted. The backup stays: waycairn backup delete-source {made.backup.id} deletes with it."
    _put(face, made.question, yes=yes, otherwise=later)
    _delete(face, made)


def _plan(core: StoreCore, source: Source, keep: str | None) -> Plan:
    from waycairn.backups.flow import plan_of

    with usable():
        return plan_of(core, source, keep=keep)


def _delete(face: Face, made: Made) -> None:
    with progress_shown(face) as told:
        record = made.delete(told)
    assert record is not None, "only where the backup was declined there is none"
    _show_deleted(face, record)


def _show_deleted(face: Face, record: BackupRecord) -> None:
    from waycairn.documents.backups import backup_facts
    from waycairn.upkeep.sizes import iso

    if face.as_json:
        face.document({"backup": backup_facts(record)})
    until = "for ever" if record.expires is None else f"until {iso(record.expires)}"
    face.done(f"deleted {record.records:,} of {record.label}; backup {record.id} has all of it, and stays {until}")
    face.done(f"to bring it back: waycairn backup restore {record.id}")


def _put(face: Face, question: Question, *, yes: bool, otherwise: str = "nothing was changed.") -> None:
    """Show what is asked, and ask. Raises Refused unless a person, or --yes, agrees."""
    width = max(len(fact.name) for fact in question.facts)
    shown = [question.title, *(f"  {fact.name:<{width}}  {fact.text}" for fact in question.facts)]
    for line in shown:
        if yes:
            face.done(line)
        elif sys.stdin.isatty():
            sys.stderr.write(f"{clean(line)}\n")
    ask(f"{question.title}. {question.ask}" if not sys.stdin.isatty() else question.ask, yes=yes, otherwise=otherwise)


def _delete_unguarded(face: Face, core: StoreCore, source: Source, reason: str, *, yes: bool) -> None:
    from waycairn.backups.source import Unguarded

    if not isinstance(source, Unguarded):
        raise Refused(
            f"{source.kind} can only be deleted with a backup. Nothing was deleted. Leave out --no-backup.", BAD_USE
        )
    plan = _plan(core, source, None)
    count = plan.count.records
    ask(f"Delete {count:,} of {source.label} WITHOUT a backup? Nothing brings it back.", yes=yes)
    with progress_shown(face) as told:
        plan.decline(reason).delete(told=told)
    if face.as_json:
        face.document(
            {"backup": None, "kind": source.kind, "label": source.label, "records": count, "declined": reason}
        )
    face.done(f"deleted {count:,} of {source.label}, without a backup: {clean(reason)}")


def delete_source(
    face: Face,
    backup: BackupId,
    *,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="URL", help="The database, where its address needs a password.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Delete exactly what a verified backup holds: the last step of create --delete. After a kill it finishes what was begun;
    where the source changed since, nothing is deleted."""
    from waycairn.backups.backup import Backup
    from waycairn.backups.flow import made_before
    from waycairn.backups.registry import source_of
    from waycairn.documents.backups import backup_facts

    with face.open() as store:
        record = store.backup(backup).record
        if record.state is BackupState.DELETED:
            if face.as_json:
                face.document({"backup": backup_facts(record)})
            face.done(
                f"the source of backup {record.id} ({record.label}) is deleted already; what was restored since then is deleted "
                "with a new backup"
            )
            return
        with usable():
            source = source_of(store.core, record.kind, record.source, rows)
        made = made_before(Backup(store.core, record, source))
        _put(face, made.question, yes=yes, otherwise="nothing was deleted.")
        _delete(face, made)


COMMANDS = (
    Command("create", create, has_quiet=True),
    Command("delete-source", delete_source, has_quiet=True),
)
