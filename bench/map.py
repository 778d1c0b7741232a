"""`run.map`: trivial items and real ones, beside the executors of the standard library.

What a real item costs more than bare is a slope: the time of many items less that of a third of them, so that starting
workers, entering the run and its last flush, which do not grow with the items, are told apart (`start_s`).
"""

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

from measuring import arguments, median, report, scratch

import waycairn as wc

WORK = 0.004
"""Seconds of a real item."""


def trivial(number: int) -> dict[str, int]:
    return {"square": number * number}


def real(number: int) -> dict[str, int]:
    time.sleep(WORK)
    return {"square": number * number}


async def real_async(number: int) -> dict[str, int]:
    await asyncio.sleep(WORK)
    return {"square": number * number}


def threads(function: Callable[[int], Any], count: int, workers: int) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(function, range(count)):
            pass
    return time.perf_counter() - started


def processes(function: Callable[[int], Any], count: int, workers: int, chunk: int) -> float:
    started = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(function, range(count), chunksize=chunk):
            pass
    return time.perf_counter() - started


def tasks(count: int, workers: int) -> float:
    """As many tasks as workers, fed by an iterator: the least that bounds how many run at once."""

    async def work(numbers: Any) -> None:
        for number in numbers:
            await real_async(number)

    async def main() -> None:
        numbers = iter(range(count))
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(numbers))

    started = time.perf_counter()
    asyncio.run(main())
    return time.perf_counter() - started


def ours(function: Callable[[int], Any], count: int, workers: int, on: Any) -> float:
    with wc.open(scratch(f"map-{on}")) as store:
        store.save("warm", 1)
        started = time.perf_counter()
        with store.run("bench") as run:
            for _ in run.map(function, range(count), workers=workers, on=on):
                pass
        return time.perf_counter() - started


def ours_async(count: int, workers: int) -> float:
    async def main() -> float:
        with wc.open(scratch("map-tasks")) as store:
            store.save("warm", 1)
            started = time.perf_counter()
            async with store.run("bench") as run:
                async for _ in run.map(real_async, range(count), workers=workers):
                    pass
            return time.perf_counter() - started

    return asyncio.run(main())


def slope(call: Callable[[int], float], count: int, times: int) -> tuple[float, float]:
    """Microseconds an item, and the seconds that do not grow with the items; of the fastest of some runs each."""
    few = min(call(count // 3) for _ in range(times))
    many = min(call(count) for _ in range(times))
    each = (many - few) / (count - count // 3)
    return 1e6 * each, max(0.0, few - each * (count // 3))


def main() -> None:
    quick, times = arguments().quick, arguments().rounds
    many = 60_000 if quick else 300_000
    on_threads = [(ours(trivial, many, 4, "threads"), threads(trivial, many, 4)) for _ in range(times)]
    on_processes = [(ours(trivial, many, 2, "processes"), processes(trivial, many, 2, 256)) for _ in range(times)]
    report(
        "map_trivial",
        items=many,
        threads_per_s=round(many / median([mine for mine, _ in on_threads])),
        bare_threads_per_s=round(many / median([bare for _, bare in on_threads])),
        processes_per_s=round(many / median([mine for mine, _ in on_processes])),
        bare_processes_in_chunks_per_s=round(many / median([bare for _, bare in on_processes])),
    )
    seconds = 1 if quick else 3
    pairs: dict[str, tuple[int, Callable[..., float], Callable[..., float]]] = {
        "threads": (8, lambda n: ours(real, n, 8, "threads"), lambda n: threads(real, n, 8)),
        "processes": (4, lambda n: ours(real, n, 4, "processes"), lambda n: processes(real, n, 4, 1)),
        "async": (50, lambda n: ours_async(n, 50), lambda n: tasks(n, 50)),
    }
    for on, (workers, mine, bare) in pairs.items():
        count = int(workers * seconds / WORK)
        (us, start), (floor, bare_start) = slope(mine, count, times), slope(bare, count, times)
        report(
            f"map_real_{on}",
            item_us=round(WORK * 1e6),
            workers=workers,
            items=count,
            us_an_item_over_bare=round(us - floor, 1),
            bare_us_an_item=round(floor, 1),
            start_s=round(start, 2),
            bare_start_s=round(bare_start, 2),
        )


if __name__ == "__main__":
    sys.exit(main())
