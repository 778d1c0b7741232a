"""`waycairn export`: a checkpoint as a file that other programs read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import checkpoint_named
from waycairn.cli.output import BAD_USE, FOUND_BAD, Face, Refused

if TYPE_CHECKING:
    from waycairn.model.records import CheckpointRecord
    from waycairn.upkeep.rescuing import Form
    from waycairn.work.store import Store


class Format(StrEnum):
    JSON = "json"
    NPZ = "npz"
    SAFETENSORS = "safetensors"
    FILES = "files"


def export(
    face: Face,
    *,
    checkpoint: Annotated[
        str | None, typer.Argument(metavar="CHECKPOINT", help="Id of a checkpoint.", show_default=False)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything that can be read, also out of a damaged store, below --to.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="With --all, a directory that is new or empty.", show_default=False)
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="json: all of it, readable. files: names and bytes, to a directory. The others: arrays."
        ),
    ] = Format.JSON,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; for --format files a directory, new or empty."),
    ] = None,
    no_data: Annotated[
        bool, typer.Option("--no-data", help="json: describe arrays instead of their elements.")
    ] = False,
    only: Annotated[str | None, typer.Option("--only", help="Only this part of the state, like model.layer1.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> int:
    """Write what a checkpoint holds to a file, or with --all everything to many: each whole or not at all, readable by you
    only."""
    from waycairn.documents.runs import checkpoint_facts
    from waycairn.upkeep.auditing import audited
    from waycairn.upkeep.readable import readable

    if everything or checkpoint is None:
        if checkpoint is not None or not everything or to is None or output or no_data or only or force:
            raise Refused("name a checkpoint; or --all, with --to DIR and perhaps --format, and nothing else.", BAD_USE)
        return _export_all(face, to, form)
    if to is not None:
        raise Refused("--to goes with --all; name the file with -o FILE.", BAD_USE)
    _check(form, output, no_data=no_data, is_partial=only is not None, force=force)
    with face.open() as store:
        record = checkpoint_named(store, checkpoint)
        where = None if output is None else output.absolute()
        with audited(store.core, "export", record.id, reads_only=True, format=form.value, only=only, file=where):
            if output is not None and form is Format.FILES:
                return _write_files(face, store, record, output)
            state = load_readable(store, record.id, only)
            if output is None:
                face.document({"checkpoint": checkpoint_facts(record), "state": readable(state, data=not no_data)})
                return 0
            _write(output, record, state, form, force=force, data=not no_data)
    size = output.stat().st_size
    if face.as_json:
        face.document({"checkpoint": record.id, "format": form.value, "file": str(output), "bytes": size})
    else:
        face.aside(f"wrote {output} ({size:,} bytes)")
    return 0


def _check(form: Format, output: Path | None, *, no_data: bool, is_partial: bool, force: bool) -> None:
    if output is None and form is not Format.JSON:
        what = "directory with -o DIR" if form is Format.FILES else "file with -o FILE"
        raise Refused(f"{form} is not text: name the {what}.", BAD_USE)
    if no_data and form is not Format.JSON:
        raise Refused(f"--no-data is for json; {form} holds nothing but data.", BAD_USE)
    if form is Format.FILES and (is_partial or force):
        raise Refused("--format files writes all of a checkpoint, to a directory that is new or empty.", BAD_USE)


def _export_all(face: Face, to: Path, form: Format) -> int:
    """What could not be had is told, and the exit code says so."""
    if form is Format.FILES:
        raise Refused("--format files is for one checkpoint: its names are those of the files.", BAD_USE)
    from waycairn.upkeep.auditing import audited
    from waycairn.upkeep.rescuing import INDEX, export_all

    with (
        face.open() as store,
        audited(store.core, "export", reads_only=True, format=form.value, file=to.absolute()) as act,
    ):
        found = export_all(store.core, to, cast("Form", form.value))
        act.facts.update(files=len(found.files), failed=len(found.failed))
    if face.as_json:
        face.document({"to": str(to), "files": len(found.files), "failed": found.failed})
        return FOUND_BAD if found.failed else 0
    for one in found.failed:
        what = one.get("checkpoint") or " ".join(
            str(one[name]) for name in ("what", "step", "loop", "run") if one.get(name)
        )
        face.line(f"not exported: {what}: {one['why']}")
    face.done(f"{len(found.files):,} files in {to}, listed in {INDEX}; {len(found.failed)} states could not be had")
    return FOUND_BAD if found.failed else 0


def _write(output: Path, record: CheckpointRecord, state: Any, form: Format, *, force: bool, data: bool) -> None:
    from waycairn.documents.runs import checkpoint_facts
    from waycairn.upkeep.exporting import named_arrays, new_file, write_npz, write_safetensors
    from waycairn.upkeep.readable import readable

    with new_file(output, force=force) as draft:
        if form is Format.JSON:
            whole = {"checkpoint": checkpoint_facts(record), "state": readable(state, data=data)}
            draft.write_text(json.dumps(whole, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        elif form is Format.NPZ:
            write_npz(draft, named_arrays(state))
        else:
            about = {"waycairn_checkpoint": record.id, "waycairn_kind": record.checkpoint.kind}
            write_safetensors(draft, named_arrays(state), about)


def _write_files(face: Face, store: Store, record: CheckpointRecord, to: Path) -> int:
    from waycairn.model.files import Files

    try:
        store.load(record.id, into=Files(to))
    except (ValueError, FileExistsError) as error:
        raise Refused(str(error), BAD_USE) from None
    count = sum(len(names) for _, _, names in os.walk(to))
    if face.as_json:
        face.document({"checkpoint": record.id, "format": Format.FILES.value, "to": str(to), "files": count})
    else:
        face.aside(f"wrote {count:,} files to {to}")
    return 0


@contextmanager
def installed(checkpoint: str) -> Iterator[None]:
    """Say what is missing where the values of a checkpoint need it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Refused(
            f"checkpoint {checkpoint} holds values of {error.name}, which is not installed here. Nothing is wrong "
            f"with it. Install it: pip install 'waycairn[{error.name}]'"
        ) from None


def load_readable(store: Store, checkpoint: str, only: str | None = None) -> Any:
    """The state of a checkpoint; types that are not known here come as records. Damage is marked and raised."""
    with installed(checkpoint):
        try:
            return store.load(checkpoint, only=only, strict=False)
        except KeyError as error:
            raise Refused(f"checkpoint {checkpoint}: {error.args[0]}", BAD_USE) from None


COMMANDS = (Command("export", export, has_quiet=True),)
