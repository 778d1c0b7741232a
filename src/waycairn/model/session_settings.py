"""Settings: what sessions keep and promote."""

from __future__ import annotations

from dataclasses import dataclass

from waycairn.model.units import Share, share


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What the sessions of training runs keep and promote."""

    mirror: int | None = None
    """How many readable copies of iterations are kept for each session, where the code does not say `configure(mirror=)`;
    `0` for none. By default 50, and none of an encrypted store, where any other number is refused."""
    promote_over: Share = 0.1
    """What a rule has to improve by to be promoted, as a share of its baseline, where the code does not say
    `run.session.configure(promote_over=)`."""

    def __post_init__(self) -> None:
        if self.mirror is not None and (isinstance(self.mirror, bool) or self.mirror < 0):
            raise ValueError(f"mirror is how many copies are kept, 0 for none, not {self.mirror!r}")
        object.__setattr__(self, "promote_over", share("promote_over", self.promote_over))
