"""The section `server`: how `waycairn serve` serves."""

from __future__ import annotations

from dataclasses import dataclass

from waycairn.model.units import Duration, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How `waycairn serve` serves. What its options say comes first."""

    host: str = "127.0.0.1"
    """The address to listen at. One that others reach is refused unless `--secure` or `--insecure` is given."""
    port: int = 8642
    """The port; 0: one that is free."""
    login_idle: Duration = 1_209_600.0
    """A browser stays signed in for so long after it was used last."""
    login_longest: Duration = 2_592_000.0
    """And for so long in all; then the password is asked for again."""

    def __post_init__(self) -> None:
        for name in ("login_idle", "login_longest"):
            object.__setattr__(self, name, seconds(f"server.{name}", getattr(self, name)))
        if isinstance(self.port, bool) or not 0 <= self.port <= 65535:
            raise ValueError(f"server.port is a number from 0 to 65535, not {self.port!r}")
        if not self.host:
            raise ValueError("server.host is an address or a name, not nothing")
