"""Expired backups go by themselves: a task of upkeep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from waycairn.store import StoreCore
from waycairn.upkeep.tasks import Stop, Task, register


def _prune(core: StoreCore, stop: Stop) -> Mapping[str, Any]:
    from waycairn.backups.keeping import prune

    facts = asdict(prune(core, stop=stop))
    return {**facts, "stopped": True} if stop() else facts


register(Task("backups", lambda core: core.settings.backups.interval or None, _prune, loads="waycairn.backups.keeping"))
