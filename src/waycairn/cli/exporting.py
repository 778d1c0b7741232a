"""`waycairn export`: a checkpoint as a file that other programs read."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import checkpoint_named
from waycairn.cli.output import BAD_USE, Face, Refused

if TYPE_CHECKING:
    from waycairn.model.records import CheckpointRecord
    from waycairn.work.store import Store


class Format(StrEnum):
    JSON = "json"
    NPZ = "npz"
    SAFETENSORS = "safetensors"


def export(
    face: Face,
    *,
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Id of a checkpoint.", show_default=False)],
    form: Annotated[
        Format, typer.Option("--format", help="json: all of it, readable. The others: arrays.")
    ] = Format.JSON,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    no_data: Annotated[
        bool, typer.Option("--no-data", help="json: describe arrays instead of their elements.")
    ] = False,
    only: Annotated[str | None, typer.Option("--only", help="Only this part of the state, like model.layer1.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write what a checkpoint holds to a file: whole or not at all, readable by you only."""
    from waycairn.cli.facts import checkpoint_facts
    from waycairn.upkeep.auditing import audited
    from waycairn.upkeep.readable import readable

    if output is None and form is not Format.JSON:
        raise Refused(f"{form} is not text: name the file with -o FILE.", BAD_USE)
    if no_data and form is not Format.JSON:
        raise Refused(f"--no-data is for json; {form} holds nothing but data.", BAD_USE)
    with face.open() as store:
        record = checkpoint_named(store, checkpoint)
        where = None if output is None else output.absolute()
        with audited(store.core, "export", record.id, reads_only=True, format=form.value, only=only, file=where):
            state = load_readable(store, record.id, only)
            if output is None:
                face.document({"checkpoint": checkpoint_facts(record), "state": readable(state, data=not no_data)})
                return
            _write(output, record, state, form, force=force, data=not no_data)
    size = output.stat().st_size
    if face.as_json:
        face.document({"checkpoint": record.id, "format": form.value, "file": str(output), "bytes": size})
    else:
        face.aside(f"wrote {output} ({size:,} bytes)")


def _write(output: Path, record: CheckpointRecord, state: Any, form: Format, *, force: bool, data: bool) -> None:
    from waycairn.cli.facts import checkpoint_facts
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


def load_readable(store: Store, checkpoint: str, only: str | None = None) -> Any:
    """The state of a checkpoint; types that are not known here come as records. Damage is marked and raised."""
    try:
        return store.load(checkpoint, only=only, strict=False)
    except KeyError as error:
        raise Refused(f"checkpoint {checkpoint}: {error.args[0]}", BAD_USE) from None
    except ModuleNotFoundError as error:
        raise Refused(
            f"checkpoint {checkpoint} holds values of {error.name}, which is not installed here. Nothing is wrong "
            f"with it. Install it: pip install 'waycairn[{error.name}]'"
        ) from None


COMMANDS = (Command("export", export, has_quiet=True),)
