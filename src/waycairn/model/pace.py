"""When is a cut due? Pure arithmetic on times that the caller measured."""

from __future__ import annotations

from waycairn.model.policy import Pace

_FIRST_COST = 0.002
"""Seconds assumed for a cut before one was measured: a slow disk's flush."""
_LEARN = 0.3
"""Weight of the newest measurement, so that one slow flush does not rule the next hundred."""


class Pacer:
    """Decides when the next paced cut is due and learns what cuts cost.

    The caller asks `is_due(now)` once per item; the common answer is two comparisons. Not thread-safe:
    one run has one pacer and its owner's thread asks it.
    """

    def __init__(self, policy: Pace, now: float, *, believes_the_first: bool = False) -> None:
        """`believes_the_first`: cuts are rare and dear, so the first one says what they cost, and not a third of it."""
        self.policy = policy
        self._is_guess = believes_the_first
        self.cost = _FIRST_COST
        self.spent = 0.0
        self._last = now
        self._items = 0
        self._due_time = 0.0
        self._due_items = 0
        self._total: int | None = None
        self._plan(now)

    def expect(self, total: int | None) -> None:
        """So many items there will be: "5%" is a share of them."""
        if total != self._total:
            self._total = total
            self._plan(self._last)

    def begin(self, now: float) -> None:
        """Work begins now; what was before does not count."""
        self._plan(now)

    def is_due(self, now: float, items: int = 1) -> bool:
        """Count finished items (or an offered cut) and say whether a cut should be taken now."""
        self._items += items
        return now >= self._due_time or self._items >= self._due_items

    def seconds_left(self, now: float) -> float:
        """How long until one is due if no further item ends."""
        return self._due_time - now

    def late(self, now: float) -> float:
        """Seconds since one was due by time; 0 if none was."""
        return max(0.0, now - self._due_time)

    def took(self, started: float, ended: float) -> None:
        """A cut was taken between these times (seconds, monotonic)."""
        cost = ended - started
        self.spent += cost
        self.cost += (1.0 if self._is_guess else _LEARN) * (cost - self.cost)
        self._is_guess = False
        self._plan(ended)

    def _plan(self, now: float) -> None:
        never = float("inf")
        policy = self.policy
        self._last, self._items = now, 0
        if policy.forced_only:
            self._due_time, self._due_items = never, 1 << 62
        elif policy.is_automatic or (policy.asks_for_a_share_only and not self._total):
            # A share of an unknown total cannot be told: then as if nothing was asked for.
            self._due_time = now + self.cost / policy.share
            self._due_items = max(1, int(self.cost / policy.per_item))
        else:
            self._due_time = now + policy.seconds if policy.seconds is not None else never
            by_share = max(1, int(self._total * policy.percent / 100)) if policy.percent and self._total else 1 << 62
            self._due_items = min(policy.items or 1 << 62, by_share)
