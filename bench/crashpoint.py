"""What the named crash points cost when they are off: one of them, and their share of a save, a commit of an item, an item.

    python bench/crashpoint.py [--rounds 3] [--dir DIR]

The points that something passes are counted by the library itself; what they cost is that number times what one costs,
as a call with a literal, where the library has them. One line of JSON.
"""

import sys
import time
import timeit
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from measuring import arguments, median, report, scratch

import waycairn as wc
from waycairn.world import crashpoints
from waycairn.world.crashpoints import crashpoint

CALLS = 50_000
"""A few milliseconds: the fastest of many such turns was interrupted by nobody."""
SAVES = 300
ITEMS = 100_000


def ns_off(rounds: int) -> dict[str, float]:
    """Nanoseconds: the call, less the loop that times it; beside a call of an empty function."""

    def empty(name: str) -> None:
        pass

    def best(statement: str) -> float:
        names = {"crashpoint": crashpoint, "empty": empty}
        return min(timeit.repeat(statement, globals=names, number=CALLS, repeat=50 * rounds)) / CALLS * 1e9

    loop = best("pass")
    point, call = best('crashpoint("store.begin")') - loop, best('empty("store.begin")') - loop
    return {"ns_off": round(point, 1), "ns_empty_function": round(call, 1)}


def passed(act: Callable[[], object]) -> int:
    """How many points it passes."""
    hits = crashpoints.arm("no such point")
    try:
        act()
    finally:
        crashpoints.disarm()
    return hits.total()


def seconds(act: Callable[[], object], count: int) -> float:
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return median(taken)


def share(points: float, ns: float, took: float) -> dict[str, float]:
    return {
        "points": round(points, 5),
        "us": round(1e6 * took, 3),
        "per_cent": round(100 * points * ns / (1e9 * took), 4),
    }


def items(stack: ExitStack, name: str, count: int, **pace: Any) -> Callable[[], None]:
    store = stack.enter_context(wc.open(scratch(f"crashpoint-{name}")))
    store.save("warm", 1)

    def act() -> None:
        with store.run(name, fresh=True, progress="off", **pace) as run:
            for _ in run.each(range(count)):
                pass

    act()
    return act


def main() -> None:
    rounds, few = arguments().rounds, 300
    many = ITEMS // 10 if arguments().quick else ITEMS
    off = ns_off(rounds)
    ns = off["ns_off"]
    with ExitStack() as stack:
        store = stack.enter_context(wc.open(scratch("crashpoint-save")))
        numbers = iter(range(10**9))
        save = lambda: store.save("value", {"text": "x" * 10_240, "number": next(numbers)})  # noqa: E731
        save()
        each, every = items(stack, "each", many), items(stack, "every", few, pace="every item")
        figures = {
            "save_10_kb": share(passed(save), ns, seconds(save, SAVES)),
            "item_committed_alone": share(passed(every) / few, ns, seconds(every, rounds) / few),
            "item": share(passed(each) / many, ns, seconds(each, rounds) / many),
        }
    report("crashpoint", **off, **figures)


if __name__ == "__main__":
    sys.exit(main())
