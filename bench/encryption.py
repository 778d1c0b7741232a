"""What encryption costs: saves and loads of the same states in a plain and in an encrypted store, in turn.

    python bench/encryption.py [--mib 1024] [--rounds 5] [--quick]

Large: one array of noise (nothing is compressed away), saved anew each round under another content, loaded into new
memory. Small: a dict of about 10 KB, saved durably and loaded. Figures are ratios, encrypted by plain.
"""

import os
import time
from pathlib import Path

import numpy as np
from measuring import arguments, median, report, scratch, timings

from waycairn.model.keys import DataKeys
from waycairn.wiring import open_core
from waycairn.work.store import Store

MIB = 1 << 20
KEYS = {"plain": None, "encrypted": DataKeys(1, {1: os.urandom(32)})}
MOST = 1.15
"""What a large save or load may take, in times of a plain one."""


def stores(name: str) -> dict[str, Store]:
    place = scratch(name)
    return {kind: Store(open_core(place / kind, keys=keys)) for kind, keys in KEYS.items()}


def large(mib: int, rounds: int) -> None:
    opened = stores("encryption")
    noise = np.frombuffer(np.random.default_rng(1).bytes(mib * MIB), np.uint64).copy()
    saving: dict[str, list[float]] = {kind: [] for kind in opened}
    loading: dict[str, list[float]] = {kind: [] for kind in opened}
    for number in range(rounds + 1):
        noise += np.uint64(number)  # every chunk is a new one
        # The order changes, so that neither always comes behind the other's writes.
        for kind in list(opened)[:: 1 if number % 2 else -1]:
            store = opened[kind]
            os.sync()
            started = time.perf_counter()
            store.save("large", {"noise": noise}, keep=1)
            saved = time.perf_counter()
            found = store.latest("large")["noise"]
            loaded = time.perf_counter()
            assert np.array_equal(found, noise)
            if number:  # the first warms up
                saving[kind].append(saved - started)
                loading[kind].append(loaded - saved)
            del found
            store.sweep(grace=0) if hasattr(store, "sweep") else None
    for what, taken in (("save", saving), ("load", loading)):
        seconds = {kind: median(times) for kind, times in taken.items()}
        ratio = seconds["encrypted"] / seconds["plain"]
        report(
            f"encryption.{what}",
            mib=mib,
            **{f"{kind}_s": round(value, 3) for kind, value in seconds.items()},
            ratio=round(ratio, 3),
            promised=MOST,
            holds=ratio <= MOST,
        )
    for store in opened.values():
        store.close()


def small(count: int) -> None:
    opened = stores("encryption-small")
    state = {"page": 7, "lines": [f"line {number} of a small state, {number * number}" for number in range(230)]}
    figures: dict[str, dict[str, dict[str, float]]] = {"save": {}, "load": {}}
    for _ in range(2):  # the first warms up
        for kind, store in opened.items():
            figures["save"][kind] = timings(lambda number, to=store: to.save("small", {**state, "page": number}), count)
            figures["load"][kind] = timings(lambda _, of=store: of.latest("small"), count)
    for what, found in figures.items():
        ratio = found["encrypted"]["p50_us"] / found["plain"]["p50_us"]
        report(f"encryption.small.{what}", **found, ratio=round(ratio, 3))
    for store in opened.values():
        store.close()


def main() -> None:
    asked = arguments()
    small(300 if asked.quick else 2000)
    large(64 if asked.quick else max(asked.mib, 1024), 2 if asked.quick else asked.rounds)
    assert Path(asked.dir).exists()


if __name__ == "__main__":
    main()
