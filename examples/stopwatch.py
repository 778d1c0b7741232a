"""The job of books.py with a stopwatch around everything that saves: what the demo calls the cost of remembering.

    python examples/stopwatch.py RESULT [options of books.py]

It writes the number of saves and the seconds spent in them to the file RESULT. It looks inside waycairn, as no other
example does: a cut encodes the state, flushes the outputs and commits, and all of that happens within these methods.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import books

from waycairn.work.cut import Cutter

SAVES = ("take", "commit_beside")


class Stopwatch:
    def __init__(self) -> None:
        self.saves = 0
        self.seconds = 0.0

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                self.saves += 1
                self.seconds += time.perf_counter() - started

        return timed


def main() -> None:
    result = Path(sys.argv.pop(1))
    watch = Stopwatch()
    for name in SAVES:
        setattr(Cutter, name, watch.around(getattr(Cutter, name)))
    books.main()
    result.write_text(f"{watch.saves} {watch.seconds}", "utf-8")


if __name__ == "__main__":
    main()
