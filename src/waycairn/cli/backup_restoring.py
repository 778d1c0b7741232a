"""`waycairn backup restore` and `extract`: what was deleted comes back, or comes out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.backup_naming import BackupId
from waycairn.cli.backup_progress import progress_shown
from waycairn.cli.backup_sources import usable
from waycairn.cli.command import Command
from waycairn.cli.naming import Yes
from waycairn.cli.output import BAD_USE, Face, Refused, ask, without_passwords

if TYPE_CHECKING:
    from waycairn.backups.backup import Backup
    from waycairn.model.backups import BackupRecord, Restored
    from waycairn.store import StoreCore
    from waycairn.work.store import Store


def restore(
    face: Face,
    backup: BackupId,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Another place: a folder, the address of a database, a store. By default where it came from.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what is there and differs; asks. Without it that stops the restore."),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only this member, with * for any letters; of rows also TABLE:KEY; may be repeated."
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Bring back what a backup holds, all of it or a part. What is there already, and the same, is left alone: so a restore that was
    killed goes on when it is called again."""
    with face.open() as store:
        record = store.backup(backup).record
        if overwrite:
            ask(_question(record, to), yes=yes)
        with _place(face, record, to) as place, usable(), progress_shown(face) as told:
            restored = store.restore(record.id, to=place, overwrite=overwrite, only=only, told=told)
    _show_restored(face, record, restored)


def _question(record: BackupRecord, to: str | None) -> str:
    where = record.label if to is None else without_passwords(to)
    return (
        f"Replace what is there in {where} and differs by what backup {record.id} holds ({record.records:,} records)? What is "
        "replaced is gone."
    )


@contextmanager
def _place(face: Face, record: BackupRecord, to: str | None) -> Iterator[Any]:
    """As the source wants it: runs go into a store that is open."""
    if to is None or record.kind != "runs":
        yield to
        return
    with replace(face, store=to, packs=None).open(create=True) as other:
        yield other.core


def _show_restored(face: Face, record: BackupRecord, restored: Restored) -> None:
    if face.as_json:
        face.document({"backup": record.id, **asdict(restored)})
    already = f", {restored.skipped:,} were there already" if restored.skipped else ""
    replaced = f", {restored.overwritten:,} replaced" if restored.overwritten else ""
    face.done(
        f"restored {restored.records:,} of {record.label} to {restored.to or 'where they were'}{already}{replaced}"
    )


def extract(
    face: Face,
    backup: BackupId,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A folder that is new or empty.", show_default=False)
    ] = None,
    *,
    decrypt: Annotated[
        bool, typer.Option("--decrypt", help="Of an encrypted store: it will lie there in the clear.")
    ] = False,
    tar: Annotated[
        str | None,
        typer.Option("--tar", metavar="FILE", help="Instead of a folder: one .tar, to this file; or - for here."),
    ] = None,
    member: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead of a folder: this member, to here.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="With --member: the one record of this key; of several columns with commas.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="With --member: write it to this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write a backup as a folder that needs no waycairn, or as one .tar: the members below data/, and SHA256SUMS for sha256sum -c.
    Or write one member of it, or one record."""
    if [folder, tar, member].count(None) != 2:
        raise Refused("say where to: a FOLDER; or --tar FILE; or --member NAME for one member.", BAD_USE)
    if member is None and (key is not None or output is not None):
        raise Refused("--key and --output go with --member NAME.", BAD_USE)
    if force and folder is not None:
        raise Refused("--force replaces a file: it goes with --tar FILE and --member NAME.", BAD_USE)
    with face.open() as store:
        one = store.backup(backup)
        if tar is not None:
            _extract_tar(face, one, tar, decrypt=decrypt, force=force)
        elif member is not None:
            _extract_member(face, store, one, member, key, output, decrypt=decrypt, force=force)
        elif folder is not None:
            with progress_shown(face) as told:
                made = one.extract_to(folder, decrypt=decrypt, told=told)
            if face.as_json:
                face.document({"backup": one.id, "folder": str(made), "sha256": one.record.digest})
            face.done(f"{made} holds backup {one.id}; cd there and: sha256sum -c SHA256SUMS")


def _extract_tar(face: Face, one: Backup, tar: str, *, decrypt: bool, force: bool) -> None:
    from waycairn.upkeep.exporting import new_file

    if tar == "-":
        if face.as_json:
            raise Refused("--json tells what was written to a file: --tar FILE.", BAD_USE)
        one.archive_to(sys.stdout.buffer, "standard output", decrypt=decrypt)
        return
    path = Path(tar)
    with progress_shown(face) as told, new_file(path, force=force) as draft, draft.open("wb") as file:
        size = one.archive_to(file, str(path.absolute()), decrypt=decrypt, told=told)
    if face.as_json:
        face.document({"backup": one.id, "file": str(path), "bytes": size, "sha256": one.record.digest})
    face.done(f"{path} holds backup {one.id} ({size:,} bytes); tar -x it and: sha256sum -c SHA256SUMS")


def _extract_member(  # noqa: PLR0917
    face: Face,
    store: Store,
    one: Backup,
    member: str,
    key: str | None,
    output: Path | None,
    *,
    decrypt: bool,
    force: bool,
) -> None:
    from waycairn.upkeep.auditing import audited
    from waycairn.upkeep.exporting import new_file

    if output is not None:
        _refuse_clear(store.core, output, decrypt=decrypt)
    if output is None and key is None and face.as_json:
        raise Refused("--json is for a record (--key KEY), or tells what was written to a file (-o FILE).", BAD_USE)
    if member not in one.members:
        raise Refused(f"backup {one.id} has no member {member!r}. Nothing was read. See: waycairn backup show {one.id}")
    where = None if output is None else output.absolute()
    with audited(store.core, "backup.extract", one.id, reads_only=True, member=member, key=key, to=where):
        if output is None:
            _print(face, one, member, key)
            return
        with new_file(output, force=force) as draft, draft.open("wb") as file:
            for piece in _pieces(one, member, key):
                file.write(piece)
    size = output.stat().st_size
    if face.as_json:
        face.document({"backup": one.id, "member": member, "key": key, "file": str(output), "bytes": size})
    else:
        face.aside(f"wrote {output} ({size:,} bytes)")


def _refuse_clear(core: StoreCore, output: Path, *, decrypt: bool) -> None:
    if core.is_encrypted and not decrypt:
        raise Refused(
            f"the store is encrypted, and {output} would not be. Nothing was written. If that is what you want: --decrypt."
        )


def _print(face: Face, one: Backup, member: str, key: str | None) -> None:
    if key is not None:
        face.document(one.find_record(member, key))
        return
    for piece in one.read(member):
        sys.stdout.buffer.write(piece)


def _pieces(one: Backup, member: str, key: str | None) -> Iterator[bytes] | Sequence[bytes]:
    from waycairn.cli.output import json_text

    if key is None:
        return one.read(member)
    return [json_text(one.find_record(member, key)).encode("utf-8", "backslashreplace") + b"\n"]


COMMANDS = (
    Command("restore", restore, has_quiet=True),
    Command("extract", extract, has_quiet=True),
)
