"""`waycairn report`: how a training session went, and how two of them compare."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, RunName, offered_runs
from waycairn.cli.output import BAD_USE, Face, Refused

if TYPE_CHECKING:
    from waycairn.upkeep.sessions import Difference, SessionReport


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


def report(
    face: Face,
    *,
    run: RunName,
    key: Key = None,
    compare: Annotated[
        str | None, typer.Option(help="Another run (name or id), side by side.", autocompletion=offered_runs)
    ] = None,
    compare_key: Annotated[str | None, typer.Option(help="The key of that one.")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="By default text, or what the name of the file says.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    lower: Annotated[
        list[str] | None, typer.Option(help="A metric of which less is better, where its name does not say so.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="What a best value has to improve by to end a plateau, as a share.")
    ] = 0.001,
) -> None:
    """Tell how a training session went: metrics over time, best values, plateaus, overhead, resumes, rules, patterns."""
    from waycairn.upkeep.sessions import compare as compare_reports
    from waycairn.upkeep.sessions import report_of

    wanted = _format(face, form, output)
    with face.open() as store:
        named = [(run, key)] + ([] if compare is None else [(compare, compare_key)])
        reports = [
            report_of(store.core, store.find(name, its_key).id, lower=lower or (), tolerance=tolerance)
            for name, its_key in named
        ]
    differences = compare_reports(*reports) if len(reports) == 2 else []
    if output is None:
        _print(face, wanted, reports, differences)
        return
    from waycairn.upkeep.exporting import new_file

    with new_file(output, force=force) as draft:
        draft.write_text(_text(wanted, reports, differences, is_unicode=True), encoding="utf-8")
    if face.as_json:
        face.document({"file": str(output), "format": wanted.value, "bytes": output.stat().st_size})
    else:
        face.aside(f"wrote {output} ({output.stat().st_size:,} bytes)")


def _format(face: Face, form: Format | None, output: Path | None) -> Format:
    """What was asked for, else what the file is called."""
    suffix = "" if output is None else output.suffix.lower().removeprefix(".")
    by_name = {"htm": "html", "txt": "text"}.get(suffix, suffix)
    if form is None and by_name in set(Format):
        return Format(by_name)
    if form is None and face.as_json and output is None:
        return Format.JSON
    if form not in (None, Format.JSON) and face.as_json and output is None:
        raise Refused(f"--json and --format {form} cannot both be: write the {form} to a file with -o FILE.", BAD_USE)
    return form or Format.TEXT


def _print(face: Face, form: Format, reports: Sequence[SessionReport], differences: Sequence[Difference]) -> None:
    if form is Format.JSON:
        face.document(_facts(reports, differences))
        return
    text = _text(form, reports, differences, is_unicode=face.is_unicode)
    if form is Format.TEXT and face.is_terminal:
        for line in text.splitlines():
            face.line(line)
        return
    sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def _text(
    form: Format, reports: Sequence[SessionReport], differences: Sequence[Difference], *, is_unicode: bool
) -> str:
    if form is Format.HTML:
        from waycairn.upkeep.report_html import page

        return page(reports[0], reports[1] if len(reports) > 1 else None, differences)
    if form is Format.CSV:
        from waycairn.upkeep.report_data import write_csv

        table = io.StringIO()
        write_csv(table, reports)
        return table.getvalue()
    if form is Format.JSON:
        from waycairn.cli.output import json_text

        return json_text(_facts(reports, differences))
    from waycairn.upkeep.report_text import compared_lines, lines_of

    lines = [line for one in reports for line in (*lines_of(one, is_unicode=is_unicode), "")]
    if len(reports) > 1:
        lines += [*compared_lines(reports[0], reports[1], differences), ""]
    return "\n".join(lines[:-1]) + "\n"


def _facts(reports: Sequence[SessionReport], differences: Sequence[Difference]) -> dict[str, Any]:
    from waycairn.upkeep.report_data import comparison_facts, report_facts

    if len(reports) == 1:
        return {"session": report_facts(reports[0])}
    return {
        "session": report_facts(reports[0]),
        "other": report_facts(reports[1]),
        "comparison": comparison_facts(differences),
    }


COMMANDS = (Command("report", report, has_quiet=True),)
