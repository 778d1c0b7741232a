"""Wrong on purpose: it remembers that a page is done, and then does it. A page in between is never done.

waycairn crashtest -- python early.py
"""

import time
from pathlib import Path

import waycairn as wc

done = wc.latest("cursor", default=0)
for page in range(done, 20):
    wc.save("cursor", page + 1)  # right: after the work, or run.each, which remembers it by itself
    time.sleep(0.005)
    Path(f"page-{page:02}.txt").write_text(f"the text of page {page}\n", encoding="utf-8")
