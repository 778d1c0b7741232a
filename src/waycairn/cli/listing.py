"""`waycairn runs`, `orphans` and `show`: what there is."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, RunName
from waycairn.cli.output import BAD_USE, Face, Refused, text

_SHORTEST, _LONGEST = 0.05, 3600
"""Seconds between two looks."""


def offered_statuses(incomplete: str) -> list[str]:
    """For shell completion."""
    from waycairn.upkeep.standing import STANDINGS

    return [word for word in STANDINGS if word.startswith(incomplete)]


def list_runs(
    face: Face,
    *,
    status: Annotated[
        list[str] | None,
        typer.Option(help="Only runs of this status; may be repeated.", autocompletion=offered_statuses),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Only runs of this name.")] = None,
    task: Annotated[str | None, typer.Option(help="Only runs of this task.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """List runs, newest first."""
    from waycairn.cli import picture
    from waycairn.documents import runs as facts
    from waycairn.upkeep.standing import STANDINGS, Wanted, list_standing

    unknown = [word for word in status or () if word not in STANDINGS]
    if unknown:
        raise Refused(f"{unknown[0]!r} is no status; these are: {', '.join(STANDINGS)}", BAD_USE)
    with face.open() as store:
        found = list_standing(store.core, Wanted(words=status or (), name=name, task=task, tag=tag, limit=limit))
        now = store.core.clock.now()
    if face.as_json:
        face.document({"runs": [facts.run_facts(standing) for standing in found]})
        return
    if not found and face.is_terminal:
        face.line("no runs" if not (status or name or task or tag) else "no runs like that")
        return
    rows = [picture.run_row(standing, now, with_bar=face.is_terminal) for standing in found]
    face.table(picture.RUN_COLUMNS, rows, right=picture.RUN_RIGHT, spare=picture.RUN_SPARE)


def list_orphans(face: Face) -> None:
    """List runs whose owner died: since when, from what they would go on, and how."""
    from waycairn.cli import picture
    from waycairn.documents import runs as facts
    from waycairn.upkeep.orphans import find_orphans
    from waycairn.upkeep.sizes import duration_text
    from waycairn.upkeep.standing import ORPHANED, Standing

    with face.open() as store:
        found = find_orphans(store.core)
        now = store.core.clock.now()
    if face.as_json:
        documents = [
            {
                **facts.run_facts(Standing(orphan.run, ORPHANED, None)),
                "checkpoint": None if orphan.checkpoint is None else facts.checkpoint_facts(orphan.checkpoint),
                "resume": ["waycairn", "resume", orphan.run.id],
                "resumable": orphan.run.launch is not None,
            }
            for orphan in found
        ]
        face.document({"orphans": documents})
        return
    if not found and face.is_terminal:
        face.line("no orphans: every running run has a living owner")
        return
    rows = [
        [
            orphan.run.id,
            text(orphan.run.name),
            text(orphan.run.key or ""),
            picture.items_text(orphan.run.progress),
            str(orphan.run.sequence),
            orphan.checkpoint.id if orphan.checkpoint else "",
            duration_text(now - orphan.run.updated),
            f"waycairn resume {shlex.quote(orphan.run.id)}" if orphan.run.launch else "start the job again",
        ]
        for orphan in found
    ]
    columns = ("id", "name", "key", "items", "commit", "checkpoint", "last seen", "resume")
    face.table(columns, rows, right=("items", "commit", "last seen"), spare=("commit", "checkpoint", "key", "id"))


def show_run(
    face: Face,
    run: RunName,
    key: Key = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again, until the run is left or its owner is dead.")
    ] = False,
    interval: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="With --watch: how often; 1 by default.")
    ] = None,
    traceback: Annotated[bool, typer.Option("--traceback", help="With the traceback of the error.")] = False,
) -> int:
    """Show everything of one run: owner, progress, phases, loops, steps, outputs, checkpoints, error."""
    from waycairn.cli.details import Details, gather

    if interval is not None and not (watch and _SHORTEST <= interval <= _LONGEST):
        raise Refused(f"--interval takes {_SHORTEST} to {_LONGEST:,} seconds, with --watch only.", BAD_USE)
    if watch and traceback:
        raise Refused(
            "--watch shows no traceback. Leave --traceback out, and show the run again when it is left.", BAD_USE
        )
    with face.open() as store:
        if watch:
            from waycairn.cli.watching import keep_looking

            return keep_looking(face, store, store.find(run, key).id, interval or 1.0)
        details: Details = gather(store.core, store.find(run, key))
    if face.as_json:
        face.document({"run": details.facts()})
    else:
        face.show(details.picture(with_traceback=traceback))
    return 0


COMMANDS = (
    Command("runs", list_runs),
    Command("show", show_run),
    Command("orphans", list_orphans),
)
