"""What the five others do wrong, done right: it survives its crash test.

waycairn crashtest -- python right.py
"""

import random
import time
from dataclasses import dataclass, field
from typing import Any

import waycairn as wc

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "two", "grey", "owls", "watch"]


@dataclass
class Rolls:
    so_far: list[int] = field(default_factory=list)
    dice: tuple[Any, ...] = field(default_factory=lambda: random.Random(7).getstate())


with wc.run("right") as run:
    squares = run.output("squares.txt", append=True)  # cut back to its last cut when the run is entered again
    rolls = run.state(Rolls())  # the generator is part of the state
    for number in run.each(range(40), name="numbers"):  # done when the loop asks for the next one, never before
        time.sleep(0.005)
        squares.write(f"{number} {number * number}\n")
        dice = random.Random()
        dice.setstate(rolls.dice)
        rolls.so_far.append(dice.randint(1, 6))
        rolls.dice = dice.getstate()
    run.output("rolls.txt").write("".join(f"{roll}\n" for roll in rolls.so_far))  # there whole or not at all
    for item in run.items(WORDS, name="words"):
        with item:
            time.sleep(0.005)
            item.result = len(item.value)
    lengths = dict(run.ledger.results(loop="words"))
    run.output("lengths.csv").write("".join(f"{word},{lengths[word]}\n" for word in WORDS))
