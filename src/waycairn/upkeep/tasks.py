"""What a store does for itself now and then: a name, how often, and the call.

A task is called with the store and a question, "am I to stop?", which it asks wherever it can end safely; what it returns is
noted in the catalog, for `waycairn health`. Of all processes at one store one does it at a time, once in an interval. Register
a new one here, with an import inside its function, so that a sweep does not load it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from waycairn.model.units import seconds
from waycairn.store import StoreCore

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Task:
    """`interval` gives seconds from the settings of the store; None: it is switched off there."""

    name: str
    interval: Callable[[StoreCore], float | None]
    work: Callable[[StoreCore, Stop], Mapping[str, Any]]


_tasks: dict[str, Task] = {}


def register(task: Task) -> None:
    """In the order in which they are done. ValueError if the name is taken."""
    if task.name in _tasks:
        raise ValueError(f"there is a task {task.name!r} already")
    _tasks[task.name] = task


def tasks() -> list[Task]:
    return list(_tasks.values())


def _sweep(core: StoreCore, stop: Stop) -> Mapping[str, Any]:
    from waycairn.model.sweeping import summary
    from waycairn.upkeep.sweep import sweep

    return summary(sweep(core, stop=stop, is_asked=False))


register(Task("sweep", lambda core: seconds("upkeep.interval", core.settings.upkeep.interval), _sweep))


def _health(core: StoreCore, _stop: Stop) -> Mapping[str, Any]:
    from waycairn.upkeep.health_task import look_at_health

    return look_at_health(core)


register(Task("health", lambda core: core.settings.health.interval, _health))
