"""`waycairn session recover`: a session whose catalog was lost, out of its readable copies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key
from waycairn.cli.output import BAD_USE, Face, Refused


def recover(
    face: Face,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.", show_default=False)],
    key: Key = None,
    from_mirror: Annotated[
        Path | None, typer.Option(help="The directory of the copies; by default that of the store.", show_default=False)
    ] = None,
) -> None:
    """Put a session whose catalog was lost into the store again, from the readable copies beside it.

    Iterations, rules and patterns are there again, and the states of the newest iterations exactly. The run can then be
    entered and goes on. A copy that is torn or damaged is left out and counted."""
    from waycairn.upkeep.mirror_folder import mirror_root

    with face.open(create=True) as store:
        place = from_mirror or mirror_root(store.core)
        if place is None:
            raise Refused("this store has no place for copies. Name it: --from-mirror DIR.", BAD_USE)
        told = store.recover_session(place, run, key)
    if face.as_json:
        face.document(
            {
                "run": told.run,
                "name": told.name,
                "key": told.key,
                "iterations": told.iterations,
                "rules": told.rules,
                "patterns": told.patterns,
                "states": told.states,
                "newest_state": told.newest,
                "damaged": told.damaged,
            }
        )
    newest = "none with a state" if told.newest is None else f"the newest state is that of iteration {told.newest}"
    face.done(
        f"recovered run {told.name!r} as {told.run}: {told.iterations} iterations, {told.rules} trials of rules, "
        f"{told.patterns} patterns, {told.states} states; {newest}"
    )
    if told.damaged:
        face.done(f"{told.damaged} damaged or torn copies were left out")


COMMANDS = (Command("recover", recover, has_quiet=True),)
