"""`waycairn show --watch`: the same picture again every second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waycairn.cli.details import gather
from waycairn.model.ids import RunId
from waycairn.upkeep.standing import ORPHANED

if TYPE_CHECKING:
    from waycairn.cli.output import Face
    from waycairn.work.store import Store


def keep_looking(face: Face, store: Store, run: RunId) -> None:
    """Until the run is left, its owner is dead, or Ctrl-C."""
    from rich.live import Live

    with Live(console=face.console, auto_refresh=False) as live:
        while True:
            details = gather(store.core, store.find(run))
            live.update(details.picture(with_traceback=False), refresh=True)
            if details.standing.holder is None or details.standing.word == ORPHANED:
                return
            store.core.clock.sleep(1.0)
