"""`waycairn import`: what another program wrote, as a saved value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, Face, Refused
from waycairn.documents.runs import checkpoint_facts


def import_(
    face: Face,
    *,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A .npz or .safetensors file, or a directory of files.", show_default=False
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the saved value.", show_default=False)],
    kind: Annotated[str, typer.Option("--kind", help="Kind of the checkpoint; wc.latest() reads 'value'.")] = "value",
    description: Annotated[str | None, typer.Option("--description", help="What it is.")] = None,
) -> None:
    """Save the arrays of a file, or the files of a directory, under a name, as wc.save() does: the last one wins. The store is
    created if it is missing."""
    with face.open(create=True) as store:
        try:
            saved = store.import_file(file, name, kind=kind, description=description)
        except (ValueError, TypeError, FileNotFoundError) as error:
            raise Refused(str(error), BAD_USE) from None
        record = store.checkpoint(saved)
    if face.as_json:
        face.document({"file": str(file), "checkpoint": checkpoint_facts(record)})
    else:
        face.done(saved)


COMMANDS = (Command("import", import_, has_quiet=True),)
