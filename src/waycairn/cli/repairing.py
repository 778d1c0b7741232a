"""`waycairn repair`: put right what can be, in place; or make a new store of what can be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, FOUND_BAD, Face, Refused

if TYPE_CHECKING:
    from waycairn.model.repair import RepairReport
    from waycairn.upkeep.salvaging import Salvaged


def repair(
    face: Face,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    salvage: Annotated[
        bool,
        typer.Option("--salvage", help="The catalog itself is damaged: make a new store of all that can be read."),
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="With --salvage, the directory of the new store.", show_default=False)
    ] = None,
) -> int:
    """Verify, then put right what can be: the chunk index from what the packs say, damaged chunks from intact ones of the same
    content. Nothing is deleted, what is sound is not touched, and the catalog as it was is put aside."""
    if to is not None and not salvage:
        raise Refused("--to goes with --salvage.", BAD_USE)
    if salvage:
        if dry_run:
            raise Refused("--salvage changes nothing in the store, so there is no --dry-run of it.", BAD_USE)
        return _salvage(face, to)
    with face.open() as store:
        report = store.repair(dry_run=dry_run)
    if face.as_json:
        from waycairn.documents.repairing import repair_facts

        face.document(repair_facts(report))
    else:
        for line in _lines(report):
            face.done(line)
    return FOUND_BAD if report.lost else 0


def _lines(report: RepairReport) -> Iterator[str]:
    would = "would be " if report.dry_run else ""
    if report.is_empty and not report.lost:
        yield "nothing to repair"
    if report.chunks:
        yield f"{report.chunks:,} chunks {would}put right from what packs say"
    if report.packs:
        yield f"{report.packs:,} packs {would}known again"
    if report.replaced:
        yield f"{report.replaced:,} damaged chunks {would}taken from intact ones of the same content"
    if report.released:
        yield f"{report.released:,} chunks that were marked damaged can be read again"
    if report.healed:
        yield f"{len(report.healed):,} checkpoints {'could' if report.dry_run else 'can'} be restored again"
    for pack, damage in report.unlisted:
        yield f"pack {pack} does not say what it holds, only the catalog does: {damage}"
    if report.lost:
        yield f"{report.lost:,} chunks are lost: waycairn verify names what needs them, waycairn export --all saves the rest"
    if report.copy:
        yield report.copy


def _salvage(face: Face, to: Path | None) -> int:
    from waycairn.upkeep.salvaging import salvage
    from waycairn.wiring import default_url

    address = face.store or default_url()
    if "://" in address and not address.startswith("sqlite:///"):
        raise Refused("--salvage is for a catalog in a file; of a server's database restore a backup.", BAD_USE)
    found = salvage(Path(address.removeprefix("sqlite:///")).expanduser(), to, **face.secrets)
    if face.as_json:
        face.document(_salvaged_facts(found))
    else:
        for line in _salvaged_lines(found):
            face.done(line)
    return 0 if found.is_whole else FOUND_BAD


def _salvaged_facts(found: Salvaged) -> dict[str, Any]:
    from waycairn.documents.repairing import repair_facts

    return {
        "store": found.to,
        "whole": found.is_whole,
        "tables": {name: asdict(table) for name, table in found.tables.items()},
        "packs": found.packs,
        "repaired": repair_facts(found.repaired),
        "damaged": [{"name": broken.name, "damage": broken.damage} for broken in found.verified.broken],
    }


def _salvaged_lines(found: Salvaged) -> Iterator[str]:
    rows = sum(table.rows for table in found.tables.values())
    yield f"{rows:,} rows and {found.packs:,} packs are in the new store {found.to}"
    for name, table in found.tables.items():
        if table.gaps or table.nonsense:
            yield f"{name}: {table.gaps:,} places could not be read, {table.nonsense:,} rows were nonsense or hung on a lost run"
    for broken in found.verified.broken:
        yield f"damaged: {broken.name}: {broken.damage}"
    yield "The damaged store was not touched. Look at the new one, then put it in its place"


COMMANDS = (Command("repair", repair, has_quiet=True),)
