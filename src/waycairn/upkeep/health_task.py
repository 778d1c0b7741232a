"""Health in the background: looked at now and then, compared with the last time, told to who wants to know.

What was found last, and what was told when, is noted in the store: so of several processes at one store, one after the
other or at once, none tells again what another one has told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from waycairn.errors import WaycairnError
from waycairn.model.health import Health, Issue, Status
from waycairn.model.notification_settings import PRIORITIES, Priority
from waycairn.model.throttle import Throttle
from waycairn.store import StoreCore
from waycairn.upkeep.events import Event, Events
from waycairn.upkeep.health import health_of
from waycairn.upkeep.measured import condense
from waycairn.upkeep.notifying import Notification, sender_of

log = logging.getLogger("waycairn")
HEALTH, TOLD = "health status", "notified"
"""Names of the notes."""
_PRIORITY: Mapping[Status, Priority] = {
    Status.HEALTHY: "info",
    Status.DEGRADED: "warning",
    Status.UNKNOWN: "warning",
    Status.UNHEALTHY: "critical",
}


_known: WeakKeyDictionary[StoreCore, dict[str, Mapping[str, Any]]] = WeakKeyDictionary()
"""What this process noted last, for the time when the store is away."""


def look_at_health(core: StoreCore) -> dict[str, Any]:
    """What is to be done every `health.interval` seconds in the background; what came of it, to be noted. Raises nothing of
    the store."""
    health = HealthTask(core)()
    return {} if health is None else {"status": health.status.value, "score": health.score}


class HealthTask:
    """One look, by one thread at a time."""

    def __init__(self, core: StoreCore) -> None:
        self._core = core
        self._sender = sender_of(core)
        self._known = _known.setdefault(core, {})

    def __call__(self) -> Health | None:
        """Write down what was measured, look, and tell. None if monitoring is off."""
        self._core.meter.flush()
        health = health_of(self._core) if self._core.settings.health.monitoring else None
        if health is not None:
            self._tell_issues(health)
            self._tell_status(health)
        with reported():
            condense(self._core)
        return health

    def _tell_status(self, health: Health) -> None:
        """The first look has nothing to compare with: that all is well then is no news."""
        word = self._noted(HEALTH).get("status")
        before = Status(word) if word in set(Status) else None
        if health.status is before:
            return
        self._note(HEALTH, health.at, {"status": health.status.value, "score": health.score})
        if before is None and health.status is Status.HEALTHY:
            return
        was = before or Status.UNKNOWN
        facts = {"before": was.value, "after": health.status.value, "score": health.score}
        listener = self._core.listener
        if isinstance(listener, Events):
            issues = [issue.what for issue in health.issues]
            listener.emit(Event(kind="health_changed", at=health.at, facts={**facts, "issues": issues}))
        # That it is well again interests whoever was told that it was not.
        priority = max(_PRIORITY[was], _PRIORITY[health.status], key=PRIORITIES.index)
        lines = [f"{issue.severity}: {issue.what}" for issue in health.issues if issue.severity != "info"]
        subject = f"{was.value} -> {health.status.value}" + ("" if health.score is None else f", score {health.score}")
        self._send("status", priority, (subject, "\n".join([subject, *lines])), facts, health.at)

    # -- issues ---------------------------------------------------------------------------------------------------

    def _tell_issues(self, health: Health) -> None:
        if not self._core.settings.notifications.channels:
            return
        known = self._noted(TOLD)
        window = self._core.settings.notifications.throttle
        throttle = Throttle(window, known.get("told"), known.get("held"))
        for issue in health.issues:
            key = f"{issue.check} {issue.severity}"
            if issue.severity != "info" and throttle.admit(key, health.at):
                self._tell_issue(issue, throttle.released(key), health.at)
        held = throttle.digest(health.at)
        if held:
            self._tell_held(held, health.at)
        now: dict[str, Any] = {"told": throttle.told, "held": throttle.held}
        if now != dict(known):
            self._note(TOLD, health.at, now)

    def _tell_issue(self, issue: Issue, held: int, at: float) -> None:
        again = f"\nIt was found {held} times more since it was told last." if held else ""
        text = f"{issue.what}\n\nWhat it means: {issue.means}.\nWhat to do: {issue.do or 'nothing'}.{again}"
        facts = {"check": issue.check, "severity": issue.severity, **issue.facts}
        self._send("issue", issue.severity, (f"{issue.check}: {issue.what}", text), facts, at)

    def _tell_held(self, held: Mapping[str, int], at: float) -> None:
        text = "Found again since they were told, and over by now:\n" + "\n".join(
            f"{key}: {count} times" for key, count in held.items()
        )
        priority: Priority = "critical" if any(key.endswith("critical") for key in held) else "warning"
        subject = f"{len(held)} issues came again meanwhile"
        self._send("digest", priority, (subject, text), {"held": dict(held)}, at)

    def _send(self, kind: Any, priority: Priority, words: tuple[str, str], facts: Mapping[str, Any], at: float) -> None:
        subject, text = words
        store = self._core.url
        self._sender.send(
            Notification(kind=kind, priority=priority, subject=subject, text=text, store=store, at=at, facts=facts)
        )

    # -- notes ----------------------------------------------------------------------------------------------------

    def _noted(self, name: str) -> Mapping[str, Any]:
        """What was noted last; where the store is away, what this process knows."""
        try:
            note = self._core.catalog.upkeep_note(name)
        except (WaycairnError, OSError):
            return self._known.get(name, {})
        return note.facts if note else {}

    def _note(self, name: str, at: float, facts: Mapping[str, Any]) -> None:
        self._known[name] = facts
        with reported():
            self._core.catalog.note_upkeep(name, at, facts)


@contextmanager
def reported() -> Iterator[None]:
    """A store that is away is what has to be told; it must not keep the telling from happening."""
    try:
        yield
    except (WaycairnError, OSError) as error:
        log.warning("what health found could not be noted: %s", error)
