"""One act of a backup, timed by its stages: what `bench/backups.py` starts for ours. Prints one line of JSON.

backed_up.py rows STORE DATABASE            conversations with their turns: backed up, verified, deleted, restored
backed_up.py keep-rows STORE DATABASE       backed up and verified
backed_up.py tree STORE FOLDER              backed up and verified
backed_up.py restore STORE BACKUP FOLDER
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import waycairn as wc
from waycairn.model.backups import BackupProgress, BackupStage

FACTS: dict[str, Any] = {}


def main() -> int:
    act, where, *more = sys.argv[1:]
    with wc.open(where) as store:
        if act in {"rows", "keep-rows"}:
            rows(store, more[0], deletes=act == "rows")
        elif act == "tree":
            safeguarded(store, more[0])
        elif act == "restore":
            backup, to = more
            with timed("restore"):
                store.restore(backup, to=to)
    print(json.dumps(FACTS))
    return 0


def rows(store: wc.Store, database: str, *, deletes: bool) -> None:
    from sqlalchemy import text

    old = wc.rows(
        database,
        "conversations",
        where=text("updated < :until").bindparams(until="2026"),
        children={"turns": "conversation_id"},
    )
    backup = safeguarded(store, old)
    if deletes:
        with timed("delete"):
            backup.delete()
        with timed("restore"):
            store.restore(backup.id)


def safeguarded(store: wc.Store, what: Any) -> Any:
    """Its parts are durable when the first of them is read back."""
    began, read_back = time.perf_counter(), 0.0

    def told(now: BackupProgress) -> None:
        nonlocal read_back
        if now.stage is BackupStage.VERIFY and not read_back:
            read_back = time.perf_counter()

    with store.safeguard(what, told=told) as backup:
        ended = time.perf_counter()
    record = backup.record
    FACTS.update(
        {"export s": round((read_back or ended) - began, 3), "verify s": round(ended - (read_back or ended), 3)},
        records=record.records,
        size=record.size,
        stored=record.stored,
        backup=record.id,
    )
    note_peak("export")
    return backup


@contextmanager
def timed(name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    FACTS[f"{name} s"] = round(time.perf_counter() - began, 3)
    note_peak(name)


def note_peak(stage: str) -> None:
    """Of the whole process up to here. Not ru_maxrss, which it inherits from who started it."""
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    FACTS[f"peak MiB after {stage}"] = round(int(peak[1]) / 1024, 1) if peak else None


if __name__ == "__main__":
    raise SystemExit(main())
