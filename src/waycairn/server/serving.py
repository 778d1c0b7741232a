"""What one server holds while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request

if TYPE_CHECKING:
    from waycairn.server.admission import Admission
    from waycairn.server.backup_indexes import BackupIndexes
    from waycairn.server.doorkeeper import Doorkeeper
    from waycairn.server.feed import Feed
    from waycairn.server.hub import Hub
    from waycairn.server.jobs import Jobs
    from waycairn.server.launching import Launcher
    from waycairn.server.setup import Setup
    from waycairn.upkeep.curves import Drawings
    from waycairn.work.store import Store

__all__ = ["Options", "Serving", "serving_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator says at the start."""

    allow_launch: bool = False
    """Whether recorded commands may be started."""
    open_metrics: bool = False
    """Whether processes of this host may read /metrics without a token."""
    hosts: tuple[str, ...] = ()
    """Names, beside those of loopback, under which browsers reach it."""
    secure: bool = False
    """Browsers reach it by https (a proxy in front): cookies are told to travel no other way."""


@dataclass(slots=True, kw_only=True)
class Serving:
    """One for each app, in `app.state.serving`."""

    store: Store
    options: Options
    doorkeeper: Doorkeeper
    hub: Hub
    feed: Feed
    launcher: Launcher
    jobs: Jobs
    setup: Setup
    admission: Admission
    drawings: Drawings
    indexes: BackupIndexes
    owners: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    """By Kind: from an id to the account that it belongs to. Raises for what does not exist."""


def serving_of(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving
