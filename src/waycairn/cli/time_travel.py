"""`waycairn fork` and `rewind`: go on from an earlier checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, RunName, Yes, checkpoint_named
from waycairn.cli.output import Face, Refused, ask

_At = Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Id of a checkpoint of the run.", show_default=False)]


def fork(
    face: Face,
    *,
    run: RunName,
    checkpoint: _At,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new run.", show_default=False)],
    key: Key = None,
    new_key: Annotated[str | None, typer.Option("--new-key", help="Key of the new run.")] = None,
) -> None:
    """Make a new run that begins exactly at a checkpoint of another one. Enter it by its name to go on from there."""
    from waycairn.documents import runs as facts
    from waycairn.upkeep.standing import standing_of

    with face.open() as store:
        try:
            made = store.fork(store.find(run, key).id, checkpoint_named(store, checkpoint).id, name, key=new_key)
        except ValueError as error:
            raise Refused(str(error)) from None
        if face.as_json:
            face.document({"run": facts.run_facts(standing_of(store.core, made)), "origin": made.origin})
    face.done(
        f"run {facts.title_of(made)} begins at {made.origin}, with {made.progress.done:,} items done; enter it by its name to "
        "go on"
    )


def rewind(face: Face, *, run: RunName, checkpoint: _At, key: Key = None, yes: Yes = False) -> None:
    """Cut a run back to one of its earlier checkpoints. What was done later is undone for good; to keep it, fork first."""
    from waycairn.documents import runs as facts
    from waycairn.upkeep.standing import standing_of

    with face.open() as store:
        found = store.find(run, key)
        record = checkpoint_named(store, checkpoint)
        standing = standing_of(store.core, found)
        commits = found.sequence - record.sequence
        ask(
            f"Cut run {facts.title_of(found)}, {standing.word}, back to {record.id}? What {commits:,} later commits hold is undone "
            f"for good. To keep it: waycairn fork {found.id} CHECKPOINT NAME",
            yes=yes,
        )
        try:
            after = store.rewind(found.id, record.id)
        except ValueError as error:
            raise Refused(str(error)) from None
        if face.as_json:
            face.document(
                {"run": facts.run_facts(standing_of(store.core, after)), "checkpoint": record.id, "undone": commits}
            )
    face.done(
        f"run {facts.title_of(found)} is back at {record.id}, with {after.progress.done:,} items done; enter it to go on from there"
    )


COMMANDS = (Command("fork", fork, has_quiet=True), Command("rewind", rewind, has_quiet=True))
