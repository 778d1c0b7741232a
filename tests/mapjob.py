"""A job of a map in a process of its own: python mapjob.py STORE EFFECTS ON COUNT HOW"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import waycairn as wc

STORE, EFFECTS, ON, COUNT, HOW = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]


def effect(path: str, word: object) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{word}\n".encode())
    os.close(handle)


def work(number: int) -> int:
    """Leaves a trace outside, that it ran."""
    effect(EFFECTS, number)
    if HOW == "poison" and number == 7:
        time.sleep(0.05)  # others run beside it
        os.kill(os.getpid(), signal.SIGKILL)
    if HOW == "slow":
        time.sleep(0.002)
    if HOW == "wide":
        time.sleep(1)
    if HOW == "long":
        time.sleep(60)
    if HOW == "stuck":
        ctypes.PyDLL(None).sleep(60)  # native code that keeps the interpreter's lock
    return number * number


async def work_async(number: int) -> int:
    import asyncio

    await asyncio.sleep(0.002)
    return work(number)


def main() -> None:
    call: Any = work_async if ON == "async" else work
    with wc.open(STORE) as store, store.run("job", pace="50 items" if HOW == "slow" else None) as run:
        effect(f"{EFFECTS}.pids", os.getpid())
        out = run.output(Path(STORE).parent / "out.txt", append=True)
        state = run.state({"sum": 0})
        how: Any = {"on": ON, "workers": 24 if HOW == "wide" else 3}
        for item in run.map(call, range(COUNT), **how):
            state["sum"] += item.result
            out.write(f"{item.value} {item.result}\n")
        run.save("sum", state["sum"])


if __name__ == "__main__":
    main()
