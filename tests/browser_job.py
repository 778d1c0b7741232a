"""The job that the tests of the page look at: `browser_job.py NAME ITEMS`, in the store that the environment names.

It writes a line an item, and one item fails the first time that it is tried. While there is a file `slow` beside it, an item
takes a fifth of a second.
"""

import sys
import time
from pathlib import Path

import waycairn as wc

FAILS = 5


def main() -> None:
    name, items, slow = sys.argv[1], int(sys.argv[2]), Path("slow")
    with wc.run(name, total=items, pace=0.1, tags=["nightly"]) as run:
        out = run.output(f"{name}.txt", append=True)
        for item in run.items(range(items)):
            with item:
                time.sleep(0.2 if slow.exists() else 0)
                if item.value == FAILS and not (mended := Path(f"{name}.mended")).exists():
                    mended.touch()
                    raise ValueError("the service said 503")
                out.write(f"{item.value}\n")
                item.result = {"of": item.value}


main()
