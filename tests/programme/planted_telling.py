"""Mistakes in what is measured and told, planted into a test process to prove that a harness finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["BUGS"]


def failures_not_counted() -> None:
    """Only what goes well is measured."""
    from waycairn.measuring import Recorder

    count = Recorder.count
    Recorder.count = lambda self, name: None if name.endswith(".failures") else count(self, name)


def throttle_never_releases() -> None:
    """What was told once is never told again."""
    from waycairn.model.throttle import Throttle

    Throttle._is_closed = lambda self, key, now: key in self.told


def hours_put_together_lose() -> None:
    """Where the measurements of several writers become one row, those of one of them are kept."""
    from waycairn.catalog import measurements

    measurements.merged = lambda histograms: list(histograms)[-1]


def told_before_commit() -> None:
    """Who asked for it is told of a checkpoint when its commit begins, also of one that is refused then."""
    from waycairn.store import StoreCore

    fenced, tell = StoreCore._fenced, StoreCore._tell

    def tell_first(self: StoreCore, place: Callable[[bool], Any], apply: Callable[[Any], Any]) -> Any:
        commit = place(False)
        if commit.checkpoint is not None and self.listener is not None and commit.sequence:
            self.listener.committed(commit, f"{commit.run}.{commit.sequence}")
        return fenced(self, place, apply)

    def measure_only(self: StoreCore, commit: Any, saved: Any) -> None:
        listener, self.listener = self.listener, None if commit.sequence else self.listener
        tell(self, commit, saved)
        self.listener = listener

    StoreCore._fenced, StoreCore._tell = tell_first, measure_only


BUGS: dict[str, Callable[[], None]] = {
    "failures-not-counted": failures_not_counted,
    "throttle-never-releases": throttle_never_releases,
    "hours-put-together-lose": hours_put_together_lose,
    "told-before-commit": told_before_commit,
}
