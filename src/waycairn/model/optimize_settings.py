"""When bytes are moved, and where to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath

from waycairn.model.setting_marks import PATH
from waycairn.model.units import Duration, Share, Size

_BEST = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeSettings:
    """When packs are written anew, how well, and what goes to an archive."""

    live_share: Share = 0.7
    """A pack of which less than this share is in use is written anew. At 1 every dead byte goes."""
    small_pack: Size = 16 * 1024 * 1024
    """Packs below this are joined once there are `small_packs` of them."""
    small_packs: int = 8
    """How many small packs there may be before they are joined."""
    max_bytes: Size | None = None
    """Bytes that one pass copies at the most, at least one pack; by default no limit. The next pass goes on."""
    recompress_after: Duration | None = 7 * 86400.0
    """The age from which a pack is cold and is compressed again, once; null for never."""
    level: int = 9
    """Of zstd, for what is compressed again, 1 to 22."""
    archive: str | None = field(default=None, metadata=PATH)
    """The directory that old checkpoints are moved to by each pass; by default none."""
    archive_after: Duration = 90 * 86400.0
    """The age from which a checkpoint of a finished run is old, where `archive` is given."""
    interval: Duration = 86_400.0
    """The time between two passes that upkeep begins by itself; 0: it begins none."""

    def __post_init__(self) -> None:
        if not 0 <= self.live_share <= 1:
            raise ValueError(f"live_share is a share from 0 to 1, not {self.live_share!r}")
        if not 1 <= self.level <= _BEST:
            raise ValueError(f"level is a level of zstd from 1 to {_BEST}, not {self.level!r}")
        if self.small_packs < 2:
            raise ValueError(f"small_packs must be 2 or more, not {self.small_packs!r}")
        for name in ("small_pack", "max_bytes", "recompress_after", "archive_after", "interval"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, it is {value!r}")
        if self.archive is not None and not PurePath(self.archive).is_absolute():
            raise ValueError(f"archive must be an absolute path, not {self.archive!r}")
