"""Jobs for the tests of sweeps: one that saves what others drop, one that sweeps all the time.

    python sweeping_job.py save STORE NUMBER SAVES
    python sweeping_job.py sweep STORE NUMBER 0         until there is a file `done` beside the store; `sweeps NUMBER` says that it began

Each prints how long its saves or sweeps took, as a JSON list of milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from pathlib import Path

import waycairn as wc

PARTS = 10
"""Few, so that a save finds again what another one has just dropped."""


def part(number: int) -> bytes:
    """Some ride in the catalog, some in packs."""
    return hashlib.shake_128(b"%d" % number).digest(20_000 if number % 3 else 170_000)


def value(seed: str) -> dict[str, object]:
    chance = random.Random(seed)
    return {"seed": seed, "parts": [part(chance.randrange(PARTS)) for _ in range(3)]}


def save(store: wc.Store, number: str, saves: int) -> list[float]:
    chance = random.Random(number)
    took = []
    for count in range(saves):
        name = chance.choice([f"own {number}", "shared"])
        began = time.perf_counter()
        store.save(name, value(f"{number} {count}"), keep=chance.choice([1, 2]))
        took.append(time.perf_counter() - began)
        if count % 7 == 0:
            found = store.latest(name)
            assert found == value(found["seed"])
    return took


def sweep(store: wc.Store, number: str, _saves: int) -> list[float]:
    took = []
    while not Path(store.url).with_name("done").exists():
        took.append(store.sweep(grace="1h").seconds)
        Path(store.url).with_name(f"sweeps {number}").touch()
    return took


if __name__ == "__main__":
    act, place, number, saves = sys.argv[1:]
    with wc.open(place) as store:
        times = {"save": save, "sweep": sweep}[act](store, number, int(saves))
    print(json.dumps([round(1000 * one, 3) for one in times]))
