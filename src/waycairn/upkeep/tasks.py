"""What a store does for itself now and then: a name, how often, and the call.

A task is called with the store and a question, "am I to stop?", which it asks wherever it can end safely; what it returns is
noted in the catalog, for `waycairn health`. Of all processes at one store one does it at a time, once in an interval. Register
a new one here, with an import inside its function, so that a sweep does not load it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from waycairn.store import StoreCore

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Task:
    """`interval` gives seconds from the settings of the store; None: it is switched off there."""

    name: str
    """Under which the catalog remembers when it began or ended last."""
    interval: Callable[[StoreCore], float | None]
    work: Callable[[StoreCore, Stop], Mapping[str, Any]]
    """With `stopped` in what it returns it was not done: the next process begins it at once."""
    in_quiet_hours: bool = False
    """It only looks, and is done in quiet hours, too."""
    loads: str | None = None
    """The module that does it. It is imported by who starts upkeep, not by its thread: a child that is forked in the midst
    of an import can never import that module."""


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
    from waycairn.upkeep.auditing import cut_if_due
    from waycairn.upkeep.sweep import sweep

    report = sweep(core, stop=stop, is_asked=False)
    cut_if_due(core)
    return summary(report)


register(
    Task(
        "sweep",
        lambda core: core.settings.upkeep.interval,
        _sweep,
        loads="waycairn.upkeep.sweep",
    )
)


def _health(core: StoreCore, _stop: Stop) -> Mapping[str, Any]:
    from waycairn.upkeep.health_task import look_at_health

    return look_at_health(core)


register(
    Task(
        "health",
        lambda core: core.settings.health.interval,
        _health,
        in_quiet_hours=True,
        loads="waycairn.upkeep.health_task",
    )
)


def _verify(core: StoreCore, stop: Stop) -> Mapping[str, Any]:
    """`verify` notes for itself what it found, when it has ended: so that one that is under way, or was stopped, counts for
    none, it is claimed under another name."""
    from waycairn.upkeep.verifying import verify_when_due

    found = verify_when_due(core, core.clock.now(), stop)
    return {"stopped": True} if found is None and stop() else {}


register(
    Task("verifying", lambda core: core.settings.verify.interval or None, _verify, loads="waycairn.upkeep.verifying")
)


def _optimize(core: StoreCore, stop: Stop) -> Mapping[str, Any]:
    """At most `optimize.max_bytes` at once; the rest waits for the next interval. One that did nothing is no act."""
    from waycairn.upkeep.auditing import record
    from waycairn.upkeep.optimize import facts_of, optimize

    report = optimize(core, stop=stop)
    facts = facts_of(report)
    if report.actions:
        record(core, "optimize", facts=facts)
    return {**facts, "stopped": True} if stop() else facts


register(
    Task("optimize", lambda core: core.settings.optimize.interval or None, _optimize, loads="waycairn.upkeep.optimize")
)
