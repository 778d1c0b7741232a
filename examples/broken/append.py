"""Wrong on purpose: an output that is appended to by hand. Items that run again are in it twice.

waycairn crashtest -- python append.py
"""

import time
from pathlib import Path

import waycairn as wc

with wc.run("append") as run, Path("squares.txt").open("a", encoding="utf-8") as squares:
    for number in run.each(range(40)):
        time.sleep(0.005)
        squares.write(f"{number} {number * number}\n")  # right: run.output("squares.txt", append=True)
        squares.flush()
