"""Settings: how growing files are followed."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Literal

from waycairn.model.units import Duration, Share, Size, seconds, share, size

OnError = Literal["dead_letter", "stop", "skip"]
FinalLine = Literal["wait", "take"]
OnCopy = Literal["adopt", "reread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowSettings:
    """How growing files are followed where neither the code (`run.follow`) nor the stream's own table says."""

    batch: int = 1000
    """Events in a batch at most, and so in a transaction: the interval of N events at which offsets are saved."""
    every: Duration = 0.2
    """How long it waits before it looks at quiet files again."""
    on_error: OnError = "dead_letter"
    """What becomes of a line that cannot be used: kept as a dead letter, `stop` the run, or `skip`: only counted."""
    max_dead_ratio: Share | None = None
    """The share of unusable lines, of the last 10,000, above which the run stops; by default none."""
    final_line: FinalLine = "wait"
    """The last line of a file, as long as it has no newline: `wait` for it, or `take` it where `once` ends."""
    on_copy: OnCopy = "adopt"
    """A file that begins as one that is known and has gone away: `adopt` goes on in it, `reread` takes it for a new one."""
    line_limit: Size = 16 << 20
    """The longest line; a longer one is a dead letter."""

    def __post_init__(self) -> None:
        if isinstance(self.batch, bool) or self.batch < 1:
            raise ValueError(f"batch is a number of events from 1 up, not {self.batch!r}")
        object.__setattr__(self, "every", seconds("every", self.every))
        object.__setattr__(self, "line_limit", size("line_limit", self.line_limit))
        if self.max_dead_ratio is not None:
            object.__setattr__(self, "max_dead_ratio", share("max_dead_ratio", self.max_dead_ratio))
            if not self.max_dead_ratio < 1:
                raise ValueError(f"max_dead_ratio is a share of lines, from 0 to below 1, not {self.max_dead_ratio!r}")
        if self.line_limit < 1:
            raise ValueError(f"line_limit is a number of bytes from 1 up, not {self.line_limit!r}")
        for name, words in (("on_error", OnError), ("final_line", FinalLine), ("on_copy", OnCopy)):
            if getattr(self, name) not in typing.get_args(words):
                raise ValueError(f"{name} is one of {', '.join(typing.get_args(words))}, not {getattr(self, name)!r}")
