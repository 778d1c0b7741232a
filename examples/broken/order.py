"""Wrong on purpose: what was done in this entry comes first, what was done before comes behind it.

waycairn crashtest -- python order.py
"""

import time

import waycairn as wc

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "two", "grey", "owls", "watch"]

with wc.run("order", pace="every item") as run:
    lengths = {}
    for item in run.items(WORDS, key=str):
        with item:
            time.sleep(0.005)
            item.result = lengths[item.value] = len(item.value)
    for word, length in run.ledger.results():
        lengths.setdefault(str(word), length)
    # right: in the order of WORDS, or of the ledger alone
    run.output("lengths.csv").write("".join(f"{word},{length}\n" for word, length in lengths.items()))
