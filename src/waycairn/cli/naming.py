"""What a person names on the command line: a run by name or id, a checkpoint by id."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.output import BAD_USE, Refused, wrong_use
from waycairn.errors import WaycairnError

if TYPE_CHECKING:
    from waycairn.model.records import CheckpointRecord, RunRecord
    from waycairn.work.store import Store

_MOST_OFFERED = 200


def offered_runs(context: typer.Context, incomplete: str) -> list[str]:
    """For shell completion: names of runs. A shell that waits for it wants no error."""
    from waycairn.work.store import open_store

    with suppress(WaycairnError, ValueError, OSError):
        where = context.params.get("store") or (context.parent.obj if context.parent else None)
        with open_store(where, create=False) as store:
            names = dict.fromkeys(run.name for run in store.runs(limit=_MOST_OFFERED))
            return [name for name in names if name.startswith(incomplete)]
    return []


RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Name or id of a run.", show_default=False, autocompletion=offered_runs)
]
Key = Annotated[str | None, typer.Option("--key", help="The key of the run, where several have that name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def moment_of(option: str, words: str, now: float) -> float:
    """Seconds since 1970. Raises Refused for what is no moment."""
    from waycairn.model.units import moment

    with wrong_use():
        return moment(option, words, now)


def checkpoint_named(store: Store, name: str) -> CheckpointRecord:
    """Raises CheckpointNotFound; Refused if that is no id at all."""
    try:
        return store.checkpoint(name)
    except ValueError as error:
        raise Refused(f"{error}. See `waycairn checkpoints`.", BAD_USE) from None


def find_either(store: Store, name: str, key: str | None = None) -> RunRecord | CheckpointRecord:
    """A checkpoint if there is one of that id, else the run. Raises RunNotFound, CheckpointNotFound."""
    from waycairn.errors import CheckpointNotFound, RunNotFound
    from waycairn.model.ids import split_checkpoint_id

    if key is None:
        with suppress(ValueError, CheckpointNotFound):
            return store.checkpoint(name)
    try:
        return store.find(name, key)
    except RunNotFound:
        with suppress(ValueError):
            run, _ = split_checkpoint_id(name)
            if store.core.catalog.get_run(run) is not None:
                store.checkpoint(name)
        raise
