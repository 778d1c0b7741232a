"""Wrong on purpose: a random generator that is not part of what is remembered. Resumed, it draws the first numbers again.

waycairn crashtest -- python dice.py
"""

import random
import time

import waycairn as wc

dice = random.Random(7)
with wc.run("dice", pace="every item") as run:
    state: dict[str, list[int]] = run.state(
        {"rolls": []}
    )  # right: keep dice.getstate() in it, or seed a generator with each item
    for _ in run.each(range(40)):
        time.sleep(0.005)
        state["rolls"].append(dice.randint(1, 6))
    run.output("rolls.txt").write("".join(f"{roll}\n" for roll in state["rolls"]))
