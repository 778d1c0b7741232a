"""Telling how far a run has come while it runs: to a person, and to whoever asked to be called."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from waycairn.model.rate import Rate
from waycairn.model.records import Progress
from waycairn.work.displays import Bar, Display, display_for

log = logging.getLogger("waycairn")

_CALLS = 0.5
"""Seconds between two calls of a callback."""
_SHORT = 1.0
"""Seconds for which a bar does not show, since many jobs are over by then; and between two looks, at most."""

OnProgress = Callable[[Any], None]
"""Called with a Summary."""


class Reporter:
    """Of one run; by its owner's thread. Loops look at `due` once an item, which is all that it costs them."""

    def __init__(self, name: str, mode: str | None, now: float, read: Callable[[], Progress]) -> None:
        """Raises ValueError for a mode that does not exist. `read` gives the progress of this moment."""
        self._display: Display | None = display_for(name, mode)
        self._read = read
        self._rate = Rate()
        self._listeners: list[tuple[OnProgress, Callable[[], Any]]] = []
        self._has_shown = False
        self._next_call = 0.0
        self._next_show = now + (_SHORT if isinstance(self._display, Bar) else _interval(self._display))
        self.due = now + _SHORT
        """When the next look is due, by the monotonic clock."""

    def listen(self, listener: OnProgress, summary: Callable[[], Any]) -> None:
        """Call it now and then with the summary of that moment, and at the end."""
        self._listeners.append((listener, summary))
        self.due = 0.0

    @property
    def rate(self) -> float | None:
        """Items a second of the last half minute; None until progress was seen."""
        return self._rate.per_second

    def look(self, now: float) -> None:
        """One is due: note how fast it goes, show and call."""
        progress = self._read()
        self._rate.add(now, progress.done + progress.failed)
        if now >= self._next_show and self._display is not None:
            self._show(progress)
            self._next_show = now + self._display.interval
        if self._listeners and now >= self._next_call:
            self._call()
            self._next_call = now + _CALLS
        self.due = min(self._next_show, self._next_call if self._listeners else float("inf"), now + _SHORT)

    def close(self, now: float) -> None:
        """The run is left: say where it stands, if anything was said before."""
        if self._listeners:
            self._call()
        if self._display is not None and self._has_shown:
            progress = self._read()
            self._rate.add(now, progress.done + progress.failed)
            self._show(progress)
            self._display.close()
        self._listeners, self._display, self.due = [], None, float("inf")

    def _show(self, progress: Progress) -> None:
        left = None if progress.total is None else progress.total - progress.done - progress.failed
        assert self._display is not None
        try:
            self._display.show(progress, self._rate.per_second, None if left is None else self._rate.eta(left))
            self._has_shown = True
        except OSError:  # nobody reads stderr any more, which is no reason for the job to stop
            self._display = None
            self._next_show = float("inf")

    def _call(self) -> None:
        for listener, summary in list(self._listeners):
            try:
                listener(summary())
            except Exception:
                log.exception("on_progress raised and is not called again; the run goes on, nothing is lost")
                self._listeners.remove((listener, summary))


def _interval(display: Display | None) -> float:
    return float("inf") if display is None else display.interval
