"""Wrong on purpose: a file that is there is taken for finished. One that was cut off stays so.

waycairn crashtest -- python halfway.py
"""

import time
from pathlib import Path

import waycairn as wc

with wc.run("halfway") as run:
    for chapter in run.each(range(12)):
        file = Path(f"chapter-{chapter:02}.txt")
        if file.exists():  # right: run.output(file), which is there whole or not at all
            continue
        with file.open("w", encoding="utf-8") as text:
            for paragraph in range(3):
                time.sleep(0.002)
                text.write(f"paragraph {paragraph} of chapter {chapter}\n")
                text.flush()
                wc.crashpoint("paragraph")  # a place of your own where a crash test may strike
