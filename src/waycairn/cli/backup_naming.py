"""What the commands about backups share: how one is named, and completed by a shell."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from waycairn.errors import WaycairnError

_MOST_OFFERED = 200


def offered_backups(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """For shell completion: ids, with what they hold. A shell that waits for it wants no error."""
    from waycairn.work.store import open_store

    with suppress(WaycairnError, ValueError, OSError):
        where = context.params.get("store") or context.find_root().obj
        with open_store(where, create=False) as store:
            found = store.backups(limit=_MOST_OFFERED)
            return [(one.id, f"{one.state}: {one.label}") for one in found if one.id.startswith(incomplete)]
    return []


BackupId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of a backup.", show_default=False, autocompletion=offered_backups)
]
BackupIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        help="Ids of backups; without them all that are whole.",
        show_default=False,
        autocompletion=offered_backups,
    ),
]
Keep = Annotated[
    str | None,
    typer.Option("--keep", help="How long it stays, as in 30d, or forever; by default the setting backups.keep."),
]
