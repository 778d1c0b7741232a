"""What measuring costs a save of 10 KB, durable: stores with it and without it take turns of 100 saves in one run.

Beside that the price of one measurement by itself, which is the same whatever the disk does: `share` is that over the
median save. The limit is 2 %.
"""

import random
import statistics
import time
import timeit
from contextlib import ExitStack

from measuring import arguments, report, scratch

import waycairn as wc
from waycairn.measuring import NoMeter

SIZE = 10_240
TURN = 100
ACTS_A_SAVE = 2
"""Measured of one save: its time and its bytes."""


class Saver:
    def __init__(self, stack: ExitStack, name: str, *, measures: bool) -> None:
        self.store = stack.enter_context(wc.open(scratch(f"measuring-{name}")))
        if not measures:
            self.store.core.meter = NoMeter()
        self.taken: list[float] = []

    def turn(self, content: bytes) -> None:
        for number in range(TURN):
            began = time.perf_counter()
            self.store.save("state", {"content": content, "step": number}, keep=5)
            self.taken.append(time.perf_counter() - began)


def main() -> None:
    turns = 4 if arguments().quick else 30
    content = random.Random(7).randbytes(SIZE)
    with ExitStack() as stack:
        savers = [Saver(stack, "on", measures=True), Saver(stack, "off", measures=False)]
        for number in range(turns):
            for saver in savers if number % 2 else reversed(savers):
                saver.turn(content)
        meter = savers[0].store.core.meter
        alone = min(timeit.repeat(lambda: meter.record("save", 0.001), number=20_000, repeat=5)) / 20_000
        around = min(timeit.repeat(lambda: meter.timed("save", int), number=20_000, repeat=5)) / 20_000
    on, off = (statistics.median(saver.taken) for saver in savers)
    report(
        "measuring",
        saves=turns * TURN,
        on_p50_us=round(1e6 * on, 1),
        off_p50_us=round(1e6 * off, 1),
        ratio=round(on / off, 4),
        record_us=round(1e6 * alone, 3),
        timed_us=round(1e6 * around, 3),
        share=round((around + (ACTS_A_SAVE - 1) * alone) / off, 4),
    )


if __name__ == "__main__":
    main()
