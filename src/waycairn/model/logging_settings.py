"""Settings: where the lines of waycairn's loggers go."""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from typing import Literal

from waycairn.model.setting_marks import PATH

LogAs = Literal["off", "text", "json"]
Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    """Where the lines of the loggers `waycairn…` go. By default they are the program's business, as those of any library."""

    lines: LogAs = "off"
    """`text`: they are written to stderr (or to a file), one line each; `json`: one JSON object a line; `off`: they go
    where the program's own logging sends them."""
    level: Level = "info"
    """The least level that is written then: debug, info, warning or error."""
    file: str | None = field(default=None, metadata=PATH)
    """A file that they are appended to, instead of stderr."""

    def __post_init__(self) -> None:
        for name, words in (("lines", LogAs), ("level", Level)):
            if getattr(self, name) not in typing.get_args(words):
                raise ValueError(f"{name} is one of {', '.join(typing.get_args(words))}, not {getattr(self, name)!r}")
