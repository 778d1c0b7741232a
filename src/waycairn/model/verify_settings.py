"""How a store is verified."""

from __future__ import annotations

from dataclasses import dataclass

from waycairn.model.units import Duration
from waycairn.model.verify_part import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """How much of a store is verified, and how often."""

    read_data: str = "all"
    """What `waycairn verify` reads where it is not told: all, 2/7 (the second of seven parts), /7 or 5% (what was verified
    longest ago)."""
    upkeep_read_data: str = "/30"
    """The same for a verification that upkeep begins by itself: with one a day everything is read once a month."""
    interval: Duration = 86_400.0
    """The time between two verifications that upkeep begins by itself; 0: it begins none."""

    def __post_init__(self) -> None:
        for name in ("read_data", "upkeep_read_data"):
            try:
                Part.parse(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"verify.{name}: {error}") from None
        if not self.interval >= 0:
            raise ValueError(f"verify.interval: {self.interval!r} is no number of seconds")
