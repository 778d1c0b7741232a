"""`waycairn copy`: a whole store into a new one, plain or encrypted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import Face, ask_secret, can_ask, wrong_use

if TYPE_CHECKING:
    from waycairn.crypto.locksmith import Locksmith
    from waycairn.store import StoreCore
    from waycairn.upkeep.copying import CopyReport


def copy(
    face: Face,
    source: Annotated[str, typer.Argument(help="The store to copy: a directory or postgresql://...")],
    destination: Annotated[str, typer.Argument(help="Where the copy is made: there must be no store yet.")],
    *,
    encrypt: Annotated[
        bool | None,
        typer.Option("--encrypt/--plain", help="Whether the copy is encrypted; by default as the source is."),
    ] = None,
    source_packs: Annotated[str | None, typer.Option(help="The packs of a source on postgresql://.")] = None,
    destination_packs: Annotated[str | None, typer.Option(help="The packs of a copy on postgresql://.")] = None,
    source_key_file: Annotated[str | None, typer.Option(help="The key of an encrypted source.")] = None,
    new_key_file: Annotated[str | None, typer.Option(help="The key of an encrypted copy.")] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Also while jobs work in the source: what they commit after this moment is not copied."
        ),
    ] = False,
) -> None:
    """Copy a whole store into a new one, plain or encrypted, in either database, and read everything back. Until that is
    done nobody can use the copy; run it again to go on with one that was interrupted. The source is left as it is."""
    from waycairn.crypto.locksmith import Locksmith
    from waycairn.upkeep.copying import copy_store
    from waycairn.wiring import open_core

    asking = ask_secret if can_ask() else None
    with wrong_use():
        origin = open_core(source, packs=source_packs, create=False, key_file=source_key_file, ask=asking)
    try:
        is_encrypted = origin.is_encrypted if encrypt is None else encrypt
        keys = _locksmith(destination, new_key_file, origin) if is_encrypted else Locksmith.plain(destination)
        target = open_core(destination, packs=destination_packs, keys=keys, copy=True)
        try:
            report = copy_store(origin, target, live=live, tell=face.aside)
        finally:
            target.close()
    finally:
        origin.close()
    _show(face, report, destination, is_encrypted=is_encrypted)


def _locksmith(address: str, key_file: str | None, origin: StoreCore) -> Locksmith:
    from waycairn.cli.keys import new_source
    from waycairn.crypto.locksmith import Locksmith

    return Locksmith.of(address, new_source(key_file, origin.locksmith))


def _show(face: Face, report: CopyReport, destination: str, *, is_encrypted: bool) -> None:
    if face.as_json:
        face.document({"destination": destination, "encrypted": is_encrypted, **asdict(report)})
        return
    from waycairn.upkeep.report_text import counted
    from waycairn.upkeep.sizes import size_text

    kind = "an encrypted" if is_encrypted else "a plain"
    face.done(
        f"{destination} is {kind} copy: {counted(report.rows.get('runs', 0), 'run')}, "
        f"{counted(report.rows.get('checkpoints', 0), 'checkpoint')}, {counted(report.chunks, 'chunk')} in "
        f"{counted(report.packs, 'pack')} ({size_text(report.pack_bytes)})"
    )
    face.done(
        f"everything was read back: {sum(report.rows.values()):,} rows compared, {report.states:,} states verified"
    )


COMMANDS = (Command("copy", copy, has_quiet=True, has_store=False),)
