"""A folder that is backed up, deleted and restored: at every instant it is there, or in a whole backup, or both."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import waycairn as wc
from crash.common import Acks, Told, Workload, blob, flush
from crash.leaving import AT_ONCE, whole
from one_folder import OneFolder, source_of
from waycairn.backups import payload_writing
from waycairn.backups.catalogue import open_contents
from waycairn.backups.registry import register_source
from waycairn.errors import BackupError

register_source(OneFolder.kind, source_of)

PLACE = Path("exports")
FILES = {"empty": b"", "large": blob(1) * 8, **{f"small-{number}": blob(number, 3000) for number in range(4)}}
PHASE = "phase"


def back_up(store: wc.Store, told: Told) -> None:
    store.core.settings = AT_ONCE
    payload_writing.PART = 1 << 20  # the large file reaches into a second one
    store.prune_backups()
    phase = store.latest(PHASE, 0)
    if phase == 0:
        _begin(told)
        _away_and_back(store, told)
        store.save(PHASE, 1)
    if phase <= 1:
        _again(store)
        store.save(PHASE, 2)
    if phase <= 2:
        _in_vain(store)
        _extracted(store)
        for row in whole(store)[1:]:
            store.backup(row.id).remove()
        store.sweep(grace=0)
    assert _held() == FILES
    told("done 1")


def _begin(told: Told) -> None:
    """The folder is made at once: who begins anew behind its delete must not make it anew."""
    draft = Path("draft")
    if not PLACE.exists():
        if draft.exists():  # of one that was killed; whoever may not take it away says why
            shutil.rmtree(draft)
        draft.mkdir()
        for name, data in FILES.items():
            with (draft / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        flush(draft)
        draft.rename(PLACE)
        flush(Path())
    told("made 1")


def _away_and_back(store: wc.Store, told: Told) -> None:
    rows = whole(store)
    if not rows:
        with store.safeguard(OneFolder(PLACE)):
            told("verified 1")
        rows = whole(store)
    backup = store.backup(rows[-1].id)
    backup.delete()
    told("deleted 1")
    backup.restore()
    told("restored 1")


def _again(store: wc.Store) -> None:
    """With what did not change taken over from the first, which goes while the second is all there is."""
    if len(whole(store)) < 2:
        _put_right(store)
        with store.safeguard(OneFolder(PLACE)):
            pass
    second = store.backup(whole(store)[0].id)
    second.delete()
    store.backup(whole(store)[-1].id).remove()
    second.restore()


def _put_right(store: wc.Store) -> None:
    """Before a backup is made of it: killed between a delete and a restore, it is not all there."""
    if _held() != FILES:
        store.backup(whole(store)[0].id).restore()


def _in_vain(store: wc.Store) -> None:
    """A block that fails, and a backup whose time is over at once."""
    _put_right(store)
    try:
        with store.safeguard(OneFolder(PLACE), keep=0) as backup:
            backup.delete()
            print(1 / 0)
    except ZeroDivisionError as error:
        for note in error.__notes__:
            if "could not be put back" in note:
                raise BackupError(note) from error
    assert _held() == FILES, "it was put back"
    store.backup(backup.id).extend(0)  # the restore held it for a day
    store.prune_backups()


def _extracted(store: wc.Store) -> None:
    shutil.rmtree("out", ignore_errors=True)
    store.backup(whole(store)[0].id).extract_to("out")
    assert {path.name: path.read_bytes() for path in Path("out/data").iterdir()} == FILES
    shutil.rmtree("out")
    for left in Path().glob(".out.*.part"):
        shutil.rmtree(left)


def _held() -> dict[str, bytes]:
    found = {} if not PLACE.exists() else {path.name: path.read_bytes() for path in PLACE.iterdir()}
    return {name: data for name, data in found.items() if not name.endswith(".part")}


def check(store: wc.Store, acks: Acks) -> None:
    """Every file is in its place, or in a whole backup; and what is there is what it was."""
    if "made" not in acks:
        return
    rows = whole(store)
    backups = [open_contents(store.core, row) for row in rows]
    assert rows or "verified" not in acks, f"{acks} acknowledged, and there is no backup"
    there = _held()
    for name, data in FILES.items():
        copies = [b"".join(one.read(name)) for one in backups]
        assert all(copy == data for copy in copies)
        assert copies or name in there, f"{name} is nowhere"
        assert there.get(name, data) == data
    if "done" in acks:
        assert there == FILES


WORKLOADS = {"backups": Workload(back_up, check)}
