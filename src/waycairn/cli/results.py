"""`waycairn results`: what the items of a run gave, or how they failed, as a file that other programs read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, RunName
from waycairn.cli.output import BAD_USE, Face, Refused

if TYPE_CHECKING:
    from waycairn.model.records import RunRecord
    from waycairn.store import StoreCore
    from waycairn.upkeep.tables import Source


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def export_results(
    face: Face,
    run: RunName,
    key: Key = None,
    *,
    loop: Annotated[str | None, typer.Option(help="Only items of this loop.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The failed items instead, with their errors.")] = False,
    form: Annotated[
        Format | None, typer.Option("--format", help="By default what FILE ends with, else jsonl.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write, instead of to here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write what the done items of a run gave: a line or row for each. A file: whole or not at all, for you only."""
    form = form or _by_name(output)
    if output is None and form is Format.PARQUET:
        raise Refused("parquet is not text: name the file with -o FILE.", BAD_USE)
    if output is None and face.as_json:
        raise Refused(
            "--json tells what was written to a file: name it with -o FILE. Without it there are lines of JSON already; "
            "for one document: waycairn items RUN --status done --json.",
            BAD_USE,
        )
    with face.open() as store, _explained(run):
        found = store.find(run, key)
        source = _source(store.core, found, loop, failed=failed)
        if output is None:
            count = _write(face, source, form)
            if not count:
                face.aside(f"no {'failed' if failed else 'done'} items")
            return
        count = _write_file(output, source, form, force=force)
    size = output.stat().st_size
    if face.as_json:
        face.document({"run": found.id, "format": form.value, "file": str(output), "items": count, "bytes": size})
    else:
        face.aside(f"wrote {output} ({count:,} items, {size:,} bytes)")


def _by_name(output: Path | None) -> Format:
    ending = "" if output is None else output.suffix.removeprefix(".")
    return Format(ending) if ending in {form.value for form in Format} else Format.JSONL


def _source(core: StoreCore, run: RunRecord, loop: str | None, *, failed: bool) -> Source:
    from waycairn.upkeep.results import DoneResults, FailedItems

    if failed:
        return FailedItems(core, run.id, loop)
    results = DoneResults.of(core, run.id)
    if loop is None:
        return results
    try:
        return results.only(loop)
    except KeyError:
        there = ", ".join(results.counts) or "none"
        raise Refused(
            f"no item of a loop {loop!r} is done in this run. Nothing was written. Loops with done items: {there}."
        ) from None


def _write(face: Face, source: Source, form: Format) -> int:
    from waycairn.upkeep.tables import write_csv, write_jsonl

    if form is Format.CSV:
        return write_csv(sys.stdout, source)
    return write_jsonl(sys.stdout, source, is_unicode=face.is_unicode)


def _write_file(output: Path, source: Source, form: Format, *, force: bool) -> int:
    from waycairn.upkeep.exporting import new_file
    from waycairn.upkeep.parquet import write_parquet
    from waycairn.upkeep.tables import write_csv, write_jsonl

    with new_file(output, force=force) as draft:
        if form is Format.PARQUET:
            return write_parquet(draft, source)
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out:
            return write_csv(out, source) if form is Format.CSV else write_jsonl(out, source, is_unicode=True)


@contextmanager
def _explained(run: str) -> Iterator[None]:
    """Results may hold arrays, and the library for them may be missing here."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Refused(
            f"run {run!r} has results with values of {error.name}, which is not installed here. Nothing is wrong with "
            f"them. Install it: pip install 'waycairn[{error.name}]'"
        ) from None


COMMANDS = (Command("results", export_results, has_quiet=True),)
