"""`waycairn sweep`: give the bytes back of what is deleted, replaced or was never committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, Face, Refused, wrong_use

if TYPE_CHECKING:
    from waycairn.model.sweeping import SweepReport


def sweep(
    face: Face,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed, and why.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With --dry-run: a line for every checkpoint.")
    ] = False,
    grace: Annotated[
        str | None,
        typer.Option(
            help="How old a file that no commit names must be, as in 1h; 0s if nobody works in the store. "
            "By default the setting upkeep.grace."
        ),
    ] = None,
) -> None:
    """Remove checkpoints that policies let go, give back the bytes of deleted and replaced ones, and what dead processes left
    behind. Jobs may work in the store meanwhile."""
    if verbose and not dry_run:
        raise Refused("--verbose explains what would be done: add --dry-run.", BAD_USE)
    with face.open() as store, wrong_use():
        report = store.sweep(dry_run=dry_run, grace=grace)
    if face.as_json:
        from waycairn.documents.sweeping import sweep_facts

        face.document(sweep_facts(report))
        return
    if verbose and not face.quiet:
        _list(face, report)
    for line in _lines(report):
        face.done(line)


def _list(face: Face, report: SweepReport) -> None:
    from waycairn.upkeep.sizes import size_text

    rows = [
        [
            one.checkpoint,
            one.run if one.phase is None else f"{one.run}/{one.phase}",
            one.kind,
            "stays" if one.stays else "goes",
            size_text(one.bytes),
            one.rule,
        ]
        for one in report.decisions
    ]
    face.table(["checkpoint", "run", "kind", "", "brought", "because"], rows, right=["brought"], spare=["kind"])


def _lines(report: SweepReport) -> Iterator[str]:
    from waycairn.upkeep.sizes import size_text

    would = "would be " if report.dry_run else ""
    if report.is_empty:
        yield "nothing to sweep"
    yield from _ruled(report)
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
    if report.temporary:
        size = size_text(report.temporary_bytes)
        yield f"{report.temporary:,} temporary files of dead processes {would}removed, {size}"
    if report.owner_files:
        yield f"{report.owner_files:,} owner files of dead processes {would}removed"
    if report.kept_packs:
        yield f"{size_text(report.dead_bytes)} at least are dead in {report.kept_packs:,} packs that others still need"
    if report.shrunk_bytes:
        yield f"the file of the catalog is {size_text(report.shrunk_bytes)} shorter"
    yield from _warnings(report)


def _ruled(report: SweepReport) -> Iterator[str]:
    """What the policies said: what goes, and in a dry run what stays."""
    from waycairn.upkeep.sizes import size_text

    verb = {(True, True): "stay", (True, False): "would go", (False, False): "removed"}
    for one in report.rules:
        if report.dry_run or not one.stays:
            noun = "checkpoint" if one.checkpoints == 1 else "checkpoints"
            what = verb[report.dry_run, one.stays] + ("s" if one.stays and one.checkpoints == 1 else "")
            yield f"{one.checkpoints:,} {noun} {what} ({size_text(one.bytes)} brought): {one.rule}"


def _warnings(report: SweepReport) -> Iterator[str]:
    from waycairn.upkeep.sizes import size_text

    if report.over_bytes:
        yield (
            f"the store is {size_text(report.over_bytes)} larger than retention.max_size: nothing more may go. What is pinned "
            "and what unfinished runs go on from stays; see waycairn sweep --dry-run -v"
        )
    if not report.log_emptied:
        yield "somebody reads in the catalog: what was deleted stays in its log until the next sweep"


COMMANDS = (Command("sweep", sweep, has_quiet=True),)
