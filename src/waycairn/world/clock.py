"""Time."""

from __future__ import annotations

import time


class SystemClock:
    """The clock of this host. `now` may jump, `monotonic` never goes back within the process."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
