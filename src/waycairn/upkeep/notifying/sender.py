"""Sends in the background: a queue, a thread while it is not empty, tries that come further and further apart."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from waycairn.errors import WaycairnError
from waycairn.model.notification_settings import PRIORITIES, ChannelSettings
from waycairn.store import StoreCore
from waycairn.upkeep.notifying.delivery import deliver
from waycairn.upkeep.notifying.notification import Notification, Undeliverable
from waycairn.world.forking import undivided

log = logging.getLogger("waycairn")
_LONGEST = 60.0
"""Seconds between two tries."""
_PATIENCE = 10.0
"""Seconds that closing waits for what is still to be sent."""


class Sender:
    """Thread-safe. Nobody waits for it but `close`. What could not be delivered is logged, counted (`notify.failures`)
    and noted in the store: `waycairn health` and `waycairn notify list` tell."""

    def __init__(self, core: StoreCore) -> None:
        # Not the core itself: it is what this one is found by, see `sender_of`.
        self._catalog, self._meter, self._clock = core.catalog, core.meter, core.clock
        self._settings = core.settings.notifications
        self._waiting: deque[tuple[ChannelSettings, Notification]] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def send(self, notification: Notification) -> int:
        """Hand it to every channel that it is important enough for; how many these are."""
        channels = [channel for channel in self._settings.channels if notification.goes_to(channel)]
        with self._lock:
            for channel in channels:
                self._make_room()
                self._waiting.append((channel, notification))
            if channels and self._thread is None:
                atexit.register(self.close)
                self._thread = threading.Thread(target=self._send_all, name="waycairn-notify", daemon=True)
                self._thread.start()
        return len(channels)

    def close(self, patience: float = _PATIENCE) -> None:
        """Try everything that waits once more at least, as far as that takes so many seconds; the rest is given up."""
        self._closing.set()
        atexit.unregister(self.close)
        thread = self._thread
        if thread is not None:
            thread.join(patience)
        with self._lock:
            left, self._waiting = list(self._waiting), deque()
        for channel, notification in left:
            self._gave_up(channel, notification, "the program ended before it could be sent")

    def _make_room(self) -> None:
        """The oldest of the least important goes."""
        if len(self._waiting) < self._settings.most_waiting:
            return
        least = min(self._waiting, key=lambda one: PRIORITIES.index(one[1].priority))
        self._waiting.remove(least)
        self._meter.count("notify.failures")
        log.error("too many notifications wait; dropped for channel %r: %s", least[0].name, least[1].subject)

    def _send_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    atexit.unregister(self.close)
                    return
                channel, notification = self._waiting.popleft()
            self._send_one(channel, notification)

    def _send_one(self, channel: ChannelSettings, notification: Notification) -> None:
        began = self._clock.monotonic()
        why = ""
        for attempt in range(self._settings.attempts):
            if attempt and self._closing.wait(min(self._settings.backoff * 2 ** (attempt - 1), _LONGEST)):
                break
            try:
                deliver(channel, notification)
            except Undeliverable as error:
                why = str(error)
                if error.is_final:
                    break
            except Exception as error:
                # Whatever it is, the others are still to be told.
                log.exception("a notification could not be sent")
                why = f"{type(error).__name__}: {error}"
                break
            else:
                self._meter.record("notify", self._clock.monotonic() - began)
                self._note(channel, {"delivered": notification.subject, "error": None})
                return
        self._gave_up(channel, notification, why)

    def _gave_up(self, channel: ChannelSettings, notification: Notification, why: str) -> None:
        self._meter.count("notify.failures")
        log.error("channel %r was not told %r: %s", channel.name, notification.subject, why)
        self._note(channel, {"delivered": None, "error": why, "subject": notification.subject})

    def _note(self, channel: ChannelSettings, facts: dict[str, Any]) -> None:
        with suppress(WaycairnError, OSError):  # it was logged; a store that is away keeps nobody from being told
            self._catalog.note_upkeep(note_name(channel), self._clock.now(), facts)


def note_name(channel: ChannelSettings) -> str:
    """Under which the last delivery of a channel is noted."""
    return f"notify {channel.name}"


_senders: WeakKeyDictionary[StoreCore, Sender] = WeakKeyDictionary()
_lock = threading.Lock()


def sender_of(core: StoreCore) -> Sender:
    """The one of a store that is open here, for as long as it is."""
    with undivided, _lock:
        return _senders.setdefault(core, Sender(core))
