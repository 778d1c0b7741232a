"""`waycairn sweep`: give the bytes back of what is deleted, replaced or was never committed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, Face, Refused

if TYPE_CHECKING:
    from waycairn.model.sweeping import SweepReport


def sweep(
    face: Face,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    grace: Annotated[
        str, typer.Option(help="How old what a save that died left must be, as in 1h; 0s if nobody works in the store.")
    ] = "1h",
) -> None:
    """Give back the bytes of deleted and replaced checkpoints, and what dead processes left behind. Jobs may work in the
    store meanwhile."""
    with face.open() as store:
        try:
            report = store.sweep(dry_run=dry_run, grace=grace)
        except ValueError as error:
            raise Refused(str(error), BAD_USE) from None
    if face.as_json:
        face.document({**asdict(report), "freed_bytes": report.freed_bytes})
        return
    for line in _lines(report):
        face.done(line)


def _lines(report: SweepReport) -> Iterator[str]:
    from waycairn.upkeep.sizes import size_text

    would = "would be " if report.dry_run else ""
    if report.is_empty:
        yield "nothing to sweep"
    if report.chunks:
        inline = f", {size_text(report.inline_bytes)} of them in the catalog" if report.inline_bytes else ""
        yield f"{report.chunks:,} chunks that nothing needs any more {would}removed{inline}"
    if report.packs:
        yield f"{report.packs:,} packs {would}removed, {size_text(report.pack_bytes)}"
    if report.leftovers:
        size = size_text(report.leftover_bytes)
        yield f"{report.leftovers:,} packs of saves that died before their commit {would}removed, {size}"
    if report.unfinished:
        yield f"{report.unfinished:,} unfinished packs {would}removed"
    if report.owner_files:
        yield f"{report.owner_files:,} owner files of dead processes {would}removed"
    if report.kept_packs:
        yield f"{size_text(report.dead_bytes)} at least are dead in {report.kept_packs:,} packs that others still need"


COMMANDS = (Command("sweep", sweep, has_quiet=True),)
