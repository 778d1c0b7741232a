"""A job that is killed, backed up, deleted, restored and resumed; and the acts on its backup, each in a process of its own.

python backup_job.py PLACE work|export|delete|restore
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import waycairn as wc
from backup_folder import FolderContents, back_up
from waycairn.backups.runs import described_runs, runs
from waycairn.backups.source import Wish

ITEMS = 12
KILLED_AT = 7


def work(store, place):
    """Writes down what it did, so that an item that is done twice shows."""
    with store.run("job", progress="off", pace="every item") as run:
        out = run.output("out.txt", append=True)
        prepared = run.step("prepare", prepare, 30_000)
        state = run.state({"total": 0, "table": np.zeros(40_000)})
        for item in run.items(range(ITEMS), key=str):
            with item:
                if item.value == KILLED_AT and (place / "kill").exists():
                    (place / "kill").unlink()
                    os.kill(os.getpid(), 9)
                with (place / "done.log").open("a") as log:
                    print("item", item.value, file=log)
                state["total"] += item.value * len(prepared)
                state["table"][item.value * 1000] = item.value
                out.write(f"{item.value} {state['total']}\n")
        run.phase("after", after, place)
        run.complete({"total": state["total"], "sum": float(state["table"].sum())})


def prepare(size):
    return "p" * size


def after(phase, place):
    for number in phase.each(range(3), key=str):
        with (place / "done.log").open("a") as log:
            print("after", number, file=log)


def main(place, act):
    place = Path(place)
    os.chdir(place)
    with wc.open(place / "store") as store:
        if act == "work":
            work(store, place)
        elif act == "export":
            back_up(runs(store, "job"), place / "backup")
        else:
            contents = FolderContents(place / "backup")
            source = described_runs(store.core, contents.record.source)
            if act == "delete":
                source.delete(contents)
            else:
                source.restore(contents, Wish())


if __name__ == "__main__":
    main(*sys.argv[1:])
