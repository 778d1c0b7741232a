"""Settings: where a store is, and how durable."""

from __future__ import annotations

from dataclasses import dataclass, field

from waycairn.model.policy import Durability
from waycairn.model.setting_marks import PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the store is, and how durable what it acknowledges is."""

    url: str | None = field(default=None, metadata=PATH)
    """The default store: a directory or `postgresql://…`; by default the nearest `.waycairn` upwards from the working
    directory, else a new one there."""
    packs: str | None = field(default=None, metadata=PATH)
    """With `postgresql://…` only: the directory of the pack files; by default `packs` in the default store directory."""
    durability: Durability = "power"
    """What acknowledged commits survive: `power` a power cut, `process` kill -9 (the newest may fall to a power cut)."""

    def __post_init__(self) -> None:
        if self.durability not in {"power", "process"}:
            raise ValueError(f"durability is one of power, process, not {self.durability!r}")
