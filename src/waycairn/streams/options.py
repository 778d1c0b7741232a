"""How files are read."""

from __future__ import annotations

from typing import Literal

import msgspec

from waycairn.streams.lines import LINE_LIMIT
from waycairn.streams.matching import OnCopy

FinalLine = Literal["wait", "take"]


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How files are read.

    on_copy         what becomes of a file that only its content tells to be known: `adopt` goes on in it, `reread`
                    reads it from its beginning
    final_line      with `once`: whether a last line without newline is taken (`take`) or left for later (`wait`)
    line_limit      bytes of a line; of one that is longer only the beginning is kept, as a dead letter
    rotate_wait     seconds without change until a file that was rotated away is taken to be finished
    keep_missing    seconds for which a file that went away is known again when it comes back
    once            read what is there and be drained
    turn            bytes that are read of one file before it is the next one's turn, and of a batch at most
    open_files      files that are kept open at most; half of what the process may open, if that is less
    """

    on_copy: OnCopy = "adopt"
    final_line: FinalLine = "wait"
    line_limit: int = LINE_LIMIT
    rotate_wait: float = 5.0
    keep_missing: float = 30 * 86400.0
    once: bool = False
    turn: int = 1 << 20
    open_files: int = 512
