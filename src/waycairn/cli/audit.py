"""`waycairn audit list`, `verify`, `export` and `cut`: who did what."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Yes, moment_of
from waycairn.cli.output import FOUND_BAD, Face, ask, text, wrong_use
from waycairn.model.audit import Outcome

if TYPE_CHECKING:
    from waycairn.model.audit import AuditFilter, AuditRow
    from waycairn.work.store import Store

_COLUMNS = ("number", "time", "actor", "act", "object", "outcome", "facts")
_STYLES = {Outcome.REFUSED: "yellow", Outcome.FAILED: "bold red"}

_Since = Annotated[str | None, typer.Option(help="Only from this moment on: 7d, 2026-11-30, 2026-11-30T14:05.")]
_Until = Annotated[str | None, typer.Option(help="Only from before this moment.")]
_Actor = Annotated[str | None, typer.Option(help="Only what this user, user@host or account did.")]
_Act = Annotated[str | None, typer.Option("--act", help="Only this act, as run.remove, or this family, as run.")]
_Object = Annotated[str | None, typer.Option("--object", help="Only what was done to this run, checkpoint, ...")]
_Outcome = Annotated[Outcome | None, typer.Option(help="Only acts that ended like this.")]


class Form(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


def list_rows(
    face: Face,
    *,
    since: _Since = None,
    until: _Until = None,
    actor: _Actor = None,
    act: _Act = None,
    object: _Object = None,  # noqa: A002 - the name of the option
    outcome: _Outcome = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> None:
    """Show what was done in the store, the newest first."""
    with face.open() as store:
        wanted = _wanted(store, since, until, actor=actor, act=act, object=object, outcome=outcome)
        rows = list(islice(store.core.catalog.audit_before(None, wanted), limit))
    if face.as_json:
        from waycairn.documents.audit import row_facts

        face.document({"rows": [row_facts(row) for row in rows]})
        return
    if not rows and face.is_terminal:
        face.line("nothing like that was done")
        return
    face.table(_COLUMNS, [_cells(row) for row in rows], right=("number",), spare=("facts", "number"))


def verify(
    face: Face,
    anchor: Annotated[
        str | None, typer.Option(metavar="NUMBER:HASH", help="What an earlier verify printed and you kept elsewhere.")
    ] = None,
) -> int:
    """Check that each row follows from the one before; name those that were changed, removed, inserted or moved."""
    from waycairn.upkeep.audit_chain import Anchor, check

    with wrong_use():
        kept = None if anchor is None else Anchor.of(anchor)
    with face.open() as store:
        checked = check(store.core, kept)
    if face.as_json:
        from waycairn.documents.audit import checked_facts

        face.document(checked_facts(checked))
        return FOUND_BAD if checked.misfits else 0
    for one in checked.misfits:
        face.line(f"row {one.number} does not fit: {one.what}", "bold red")
    if checked.more:
        face.line(f"and {checked.more:,} more")
    if not checked.misfits:
        face.done(f"{checked.rows:,} rows fit together. Keep this elsewhere, for --anchor: {checked.newest}")
    return FOUND_BAD if checked.misfits else 0


def export(
    face: Face,
    *,
    form: Annotated[
        Form, typer.Option("--format", help="jsonl: all that the hashes are over. csv: for spreadsheets.")
    ] = Form.JSONL,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    since: _Since = None,
    until: _Until = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the rows, the oldest first, to a file or to standard output."""
    from waycairn.upkeep.auditing import audited
    from waycairn.upkeep.exporting import new_file

    with face.open() as store:
        wanted = _wanted(store, since, until)
        where = None if output is None else output.absolute()
        with audited(store.core, "audit.export", reads_only=True, format=form.value, file=where) as act:
            rows = filter(wanted.admits, store.core.catalog.audit_after(0))
            if output is None:
                count = _write(rows, sys.stdout, form)
            else:
                with new_file(output, force=force) as draft, draft.open("w", encoding="utf-8", newline="") as file:
                    count = _write(rows, file, form)
            act.facts["rows"] = count
    if face.as_json and output is not None:
        face.document({"rows": count, "format": form.value, "file": str(output)})
    elif output is not None:
        face.aside(f"wrote {count:,} rows to {output}")


def cut(
    face: Face,
    *,
    before: Annotated[str, typer.Option(help="Rows from before this moment: 365d, 2026-01-01.", show_default=False)],
    yes: Yes = False,
) -> None:
    """Remove the oldest rows. A new row says so, and the chain is checked from there on. Export them first."""
    from waycairn.upkeep.auditing import cut as cut_off

    with face.open() as store:
        moment = moment_of("--before", before, store.core.clock.now())
        ask(f"Remove all rows of the audit log from before {before}? They are gone for good.", yes=yes)
        removed = cut_off(store.core, moment)
    if face.as_json:
        face.document({"removed": removed})
    face.done(f"{removed:,} rows are removed")


def _wanted(store: Store, since: str | None, until: str | None, **more: Any) -> AuditFilter:
    from waycairn.model.audit import AuditFilter

    now = store.core.clock.now()
    begins = None if since is None else moment_of("--since", since, now)
    ends = None if until is None else moment_of("--until", until, now)
    return AuditFilter(since=begins, until=ends, **more)


def _cells(row: AuditRow) -> list[Any]:
    from waycairn.upkeep.sizes import iso

    entry = row.entry
    if row.damage is not None:
        return [str(row.number), "", "", "", "", text("damaged", "bold red"), text(row.damage)]
    facts = ", ".join(f"{name} {_short(value)}" for name, value in entry.facts.items() if value is not None)
    outcome = text(entry.outcome, _STYLES.get(entry.outcome, ""))
    when = (iso(entry.at) or "")[:19].replace("T", " ")
    return [str(row.number), when, text(entry.actor), text(entry.act), text(entry.object or ""), outcome, text(facts)]


def _short(value: Any) -> str:
    words = value if isinstance(value, str) else json.dumps(value)
    return words if len(words) <= 120 else f"{words[:119]}…"


def _write(rows: Iterator[AuditRow], file: IO[str], form: Form) -> int:
    from waycairn.documents.audit import row_facts

    count = 0
    if form is Form.CSV:
        sheet = csv.writer(file)
        sheet.writerow(("number", "time", "actor", "act", "object", "outcome", "facts", "hash"))
    for row in rows:
        count += 1
        facts = row_facts(row)
        if form is Form.CSV:
            del facts["at"]
            sheet.writerow(
                [
                    _cell(facts.get(name))
                    for name in ("number", "time", "actor", "act", "object", "outcome", "facts", "hash")
                ]
            )
        else:
            file.write(json.dumps(facts) + "\n")
    return count


def _cell(value: Any) -> str:
    """A spreadsheet takes what begins like a formula for one."""
    words = json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
    return f"'{words}" if words[:1] in {"=", "+", "-", "@", "\t", "\r"} else words


COMMANDS = (
    Command("list", list_rows),
    Command("verify", verify, has_quiet=True),
    Command("export", export, has_quiet=True),
    Command("cut", cut, has_quiet=True),
)
