"""What can be set about the audit log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The log of acts that change or export data."""

    on: bool = True
    """Whether acts that change or export data are written down."""
    keep_days: float | None = None
    """Rows older than so many days are cut off by sweeps that are asked for; by default none ever."""

    def __post_init__(self) -> None:
        if self.keep_days is not None and not self.keep_days > 0:
            raise ValueError(
                f"audit.keep_days is a number of days above 0, or nothing for ever; not {self.keep_days!r}"
            )
