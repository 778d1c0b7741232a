"""`waycairn optimize` and `waycairn archive`: fewer bytes, and bytes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import find_either, offered_runs
from waycairn.cli.output import BAD_USE, FOUND_BAD, Face, Refused, wrong_use

if TYPE_CHECKING:
    from waycairn.model.archiving import ArchiveReport
    from waycairn.model.optimizing import Action, Fragmentation, OptimizeReport
    from waycairn.upkeep.analysis import Analysis

_DID = {
    "compact": "packs rid of what is gone",
    "join": "small packs joined",
    "recompress": "cold packs compressed again",
    "inline": "blocks of the catalog moved to packs",
    "archive": "packs moved to the archive",
    "restore": "packs brought back",
}
_SHOWN = 8


def optimize(
    face: Face,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    max_bytes: Annotated[
        str | None, typer.Option("--max-bytes", help="Copy at most so much, as in 4GB; the next call goes on.")
    ] = None,
    recompress: Annotated[
        bool, typer.Option("--recompress", help="Compress everything again, whatever its age.")
    ] = False,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Only say where the bytes are and what would help.")
    ] = False,
) -> int:
    """Sweep, then write packs anew that hold much of what is gone, join small ones and compress cold ones better. Jobs may
    work in the store meanwhile. Exit code 3 if something damaged was met."""
    with face.open() as store:
        if analyze:
            _show_analysis(face, store.analyze())
            return 0
        report = store.optimize(dry_run=dry_run, max_bytes=_bytes(max_bytes), recompress=True if recompress else None)
    if face.as_json:
        from waycairn.documents.optimizing import optimize_facts

        face.document(optimize_facts(report))
    else:
        for line in _lines(report):
            face.done(line)
        for damage in report.unreadable:
            face.line(f"left where it is: {damage}")
    return FOUND_BAD if report.unreadable else 0


def archive(
    face: Face,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|CHECKPOINT...",
            help="Runs by name or id, checkpoints by id.",
            show_default=False,
            autocompletion=offered_runs,
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="The directory to move them to.", show_default=False)] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Bring them back instead; without names everything.")
    ] = False,
) -> int:
    """Move the bytes that only the named runs and checkpoints need to another directory. Rows stay, and all is loaded as
    before while it is there. Exit code 3 if something damaged was met."""
    if restore == (to is not None):
        raise Refused("say either where to, with --to DIRECTORY, or --restore", BAD_USE)
    if not names and not restore:
        raise Refused("name runs or checkpoints to be archived", BAD_USE)
    with face.open() as store:
        named = [find_either(store, name) for name in names or ()]
        try:
            report = store.archive(named, to) if to is not None else store.unarchive(named or None)
        except ValueError as error:
            raise Refused(str(error)) from None
    if face.as_json:
        face.document(asdict(report))
    else:
        face.done(_archived(report))
        for damage in report.unreadable:
            face.line(f"left where it is: {damage}")
    return FOUND_BAD if report.unreadable else 0


def _bytes(text: str | None) -> int | None:
    from waycairn.model.units import size

    if text is None:
        return None
    with wrong_use():
        return size("--max-bytes", int(text) if text.isdecimal() else text)


# -- in words ------------------------------------------------------------------------------------------------------


def _lines(report: OptimizeReport) -> Iterator[str]:
    from waycairn.upkeep.sizes import size_text

    if report.is_empty:
        yield "nothing to optimize"
    for action in report.actions:
        yield _action(action, dry_run=report.dry_run)
    if report.freed_bytes:
        yield f"{size_text(report.freed_bytes)} {'would be freed' if report.dry_run else 'freed'}"
    if report.left_bytes:
        yield f"{size_text(report.left_bytes)} are left for the next time"
    for place in report.away:
        yield f"the archive {place} is not there; what lies in it was left alone"
    yield f"{_share(report.before)} before, {_share(report.after)} after"


def _action(action: Action, *, dry_run: bool) -> str:
    from waycairn.upkeep.sizes import size_text

    count = f"{action.packs:,} " if action.packs else ""
    would = "would be: " if dry_run else ""
    return f"{would}{count}{_DID[action.kind]}: {size_text(action.copied_bytes)} copied, {size_text(action.freed_bytes)} less"


def _share(one: Fragmentation) -> str:
    from waycairn.upkeep.sizes import size_text

    return f"{one.share:.1%} of {size_text(one.pack_bytes)} in {one.packs:,} packs dead"


def _archived(report: ArchiveReport) -> str:
    from waycairn.upkeep.sizes import size_text

    if not report.blocks:
        return "nothing to move: what these need is there already, or others need it, too"
    size = size_text(report.moved_bytes)
    if report.place is None:
        return f"{size} in {report.packs:,} packs brought back"
    return f"{size} in {report.packs:,} packs moved to {report.place}, {size_text(report.freed_bytes)} freed here"


def _show_analysis(face: Face, analysis: Analysis) -> None:
    if face.as_json:
        from waycairn.documents.optimizing import analysis_facts

        face.document(analysis_facts(analysis))
        return
    for line in _told(analysis):
        face.line(line)


def _told(analysis: Analysis) -> Iterator[str]:
    from waycairn.upkeep.sizes import size_text

    yield (
        f"{size_text(analysis.raw_bytes)} of states, {size_text(analysis.unique_bytes)} without what repeats, "
        f"{size_text(analysis.stored_bytes)} compressed"
    )
    yield _share(analysis.packs)
    yield f"{size_text(analysis.inline_bytes)} in {analysis.inline_blocks:,} small blocks in the catalog"
    for place, size in analysis.archived.items():
        yield f"{size_text(size)} in the archive {place}"
    for one in analysis.by_run[:_SHOWN]:
        yield f"run {one.name}: {one.checkpoints:,} checkpoints added {size_text(one.new_bytes)}"
    for one in analysis.by_kind[:_SHOWN]:
        yield f"kind {one.kind}: {one.checkpoints:,} checkpoints added {size_text(one.new_bytes)}"
    for advice in analysis.recommendations:
        yield f"{advice.do}: {advice.why}"


COMMANDS = (Command("optimize", optimize, has_quiet=True), Command("archive", archive, has_quiet=True))
