"""Sweep and optimize of many checkpoints: seconds and memory. 1,000 in under a second, 100,000 in under 30."""

import hashlib
import resource
import sys
import time
from typing import Any

import numpy as np
from measuring import arguments, report, scratch

import waycairn as wc
from waycairn.model.records import CheckpointFilter

_UNIT = 1_000_000 if sys.platform == "darwin" else 1000
"""In which the system counts memory, to a megabyte."""


def blob(number: int, size: int) -> bytes:
    return hashlib.shake_128(b"%d" % number).digest(size)


def state(number: int) -> dict[str, Any]:
    """Most are small; every hundredth brings a pack."""
    large = number % 100 == 0
    return {
        "step": number,
        "text": [f"message {number - back} of the run ".ljust(600, "a") for back in range(32)],
        "data": np.frombuffer(blob(number, 3_000_000 if large else 2_000), np.uint8),
    }


def measure(count: int) -> None:
    with wc.open(scratch(f"optimize-{count}"), durability="process") as store:
        runs = [f"run {number}" for number in range(10)]
        began = time.perf_counter()
        for number in range(count):
            store.save(runs[number % 10], state(number))
        saved = time.perf_counter() - began
        # Two of three go, as policies would have it.
        for name in runs:
            run = store.find(name)
            sequences = [one.sequence for one in store.core.catalog.list_checkpoints(CheckpointFilter(run=run.id))]
            store.core.catalog.delete_checkpoints(run.id, [one for one in sequences if one % 3])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        done = store.optimize()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        again = store.optimize()
        report(
            "optimize",
            checkpoints=count,
            saved_s=round(saved, 1),
            seconds=round(done.seconds, 2),
            again_s=round(again.seconds, 2),
            freed_mb=round(done.freed_bytes / 1e6, 1),
            fragmentation=round(done.after.share, 4),
            more_memory_mb=round((after - before) / _UNIT, 1),
        )
        assert done.after.share < 0.05
        assert again.is_empty


def main() -> None:
    for count in (300,) if arguments().quick else (1_000, 100_000):
        measure(count)


if __name__ == "__main__":
    main()
