"""Run one workload as a process of its own.

    python job.py WORKLOAD ACKS [BUG]

in the working directory. WORKLOAD is a name of `workloads`, or `module:function` of another module of the tests. What
is acknowledged goes to the file ACKS, one write a line, and into the history if one is kept. BUG plants a known mistake
into this process (see `bugs`), never into the library.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import waycairn as wc
from crash import bugs
from crash.workloads import WORKLOADS, Told, open_store
from waycairn.world import history


def teller(acks: str) -> Told:
    handle = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def tell(text: str) -> None:
        word, number = text.split()
        history.tell(word, int(number))
        os.write(handle, f"{text}\n".encode())

    return tell


def job_of(workload: str) -> Callable[[wc.Store, Told], None]:
    module, _, name = workload.rpartition(":")
    if module:
        job: Callable[[wc.Store, Told], None] = getattr(importlib.import_module(module), name)
        return job
    return WORKLOADS[workload].run


def main(workload: str, acks: str, bug: str = "") -> None:
    if bug:
        bugs.plant(bug)
    with open_store() as store:
        job_of(workload)(store, teller(acks))


if __name__ == "__main__":
    main(*sys.argv[1:])
