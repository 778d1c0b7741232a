"""A tree that is backed up, deleted and brought back, and backups whose time is over."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

import waycairn as wc
from crash.common import Acks, Told, Workload, blob, flush, looking
from crash.leaving import AT_ONCE, check_whereabouts, leave_and_return, opened, whole
from waycairn.backups.catalogue import BackupContents
from waycairn.backups.paths import Paths
from waycairn.backups.source import Wish

TREE, NOTE = Path("tree"), Path("note")
FILES = {"large": blob(1), "sub/small": blob(2, 3000), "sub/deep/empty": b"", "sub/deep/other": blob(3, 500)}
LINK, TWIN = "sub/link", "twin"
WHEN = 1_600_000_000_123_456_789
"""Their time of change."""
Seen = dict[str, tuple[object, ...]]


def here(place: Path) -> Paths:
    """A tree by its place in the working directory: it is the same one wherever that is shown after a power cut."""
    return Paths([b"./" + os.fsencode(place)])


# -- a tree ------------------------------------------------------------------------------------------------------------


def leave_tree(store: wc.Store, told: Told) -> None:
    if not store.latest("tree laid"):
        lay(TREE)
        store.save("tree laid", True)
    told("laid 1")
    leave_and_return(store, told, here(TREE).label, lambda: here(TREE))


def check_tree(store: wc.Store, acks: Acks) -> None:
    if "laid" not in acks:
        return
    there = seen(TREE)
    assert there.keys() <= WANTED.keys(), f"{there.keys() - WANTED.keys()} came from nowhere"
    files = {name for name, facts in there.items() if facts[0] != "folder"}
    wrong = {name for name in files if there[name] != WANTED[name]}
    assert not wrong, f"{wrong} in its place is not what it was"
    check_whereabouts(store, acks, there, WANTED, lambda contents: restored(contents, TREE))
    if ("deleted" in acks and "returning" not in acks) or "returned" in acks:
        left = [str(path) for path in Path().rglob(".*waycairn-*")]
        assert not left, f"{acks} acknowledged, and {left} is left"


def lay(place: Path) -> None:
    """Durably, and in one step."""
    draft = Path("draft")
    if draft.exists():  # of one that was killed; whoever may not take it away says why
        shutil.rmtree(draft)
    if place.exists():  # killed behind the rename
        flush(Path())
        return
    for name, data in FILES.items():
        file = draft / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, ns=(WHEN, WHEN))
        flush(file)
    (draft / LINK).symlink_to("small")
    (draft / TWIN).hardlink_to(draft / "large")
    for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
        folder.chmod(0o750)
        flush(folder)
    draft.rename(place)
    flush(Path())


def seen(place: Path) -> Seen:
    """All that has its name, and what it is; not what is being written under another one."""
    if not place.exists():
        return {}
    paths = (path for path in (place, *place.rglob("*")) if not path.name.endswith(".waycairn-part"))
    return {str(path.relative_to(place)): _facts(path) for path in paths}


def _facts(path: Path) -> tuple[object, ...]:
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode):
        return ("link", str(path.readlink()))
    if stat.S_ISDIR(state.st_mode):
        return ("folder", stat.S_IMODE(state.st_mode))
    return ("file", stat.S_IMODE(state.st_mode), state.st_mtime_ns, path.read_bytes())


def _wanted() -> Seen:
    found: Seen = {name: ("file", 0o644, WHEN, data) for name, data in FILES.items()}
    found |= dict.fromkeys((".", "sub", "sub/deep"), ("folder", 0o750))
    return {**found, LINK: ("link", "small"), TWIN: found["large"]}


WANTED = _wanted()


def restored(contents: BackupContents, place: Path) -> Seen:
    """Into a folder of its own, past the catalogue: whoever looks changes nothing."""
    with looking() as folder:
        here(place).restore(contents, Wish(to=folder))
        return seen(Path(folder, place.name))


# -- backups whose time is over ----------------------------------------------------------------------------------------

LAST = 3


def let_expire(store: wc.Store, told: Told) -> None:
    """A pinned one stays; those whose time is over, and one that is given up, go."""
    store.core.settings = AT_ONCE
    store.prune_backups()
    if not store.latest("noted"):
        lay(NOTE)
        time.sleep(0.06)  # what is older than a tick of the clock is taken over by the next backup, unread
        store.save("noted", True)
    told("laid 1")
    if not any(row.pinned for row in whole(store, here(NOTE).label)):
        remove_lasting(store)  # the next backup would build upon it
        with store.safeguard(here(NOTE), keep=0) as backup:
            backup.pin()
    told("pinned 1")
    for number in range(store.latest("number", 0) + 1, LAST + 1):
        told(f"making {number}")
        with store.safeguard(here(NOTE), keep=0 if number < LAST else "forever"):
            pass
        remove_lasting(store)
        store.prune_backups()
        store.sweep(grace=0)
        store.save("number", number)
        told(f"pruned {number}")


def remove_lasting(store: wc.Store) -> None:
    """What does not go by itself: one that is to be there for ever, and one whose block was left by an error (what was restored
    from is held for a day)."""
    for row in whole(store, here(NOTE).label):
        if not row.pinned and (row.expires is None or row.expires > row.created + 3600):
            store.backup(row.id).remove()


def check_expired(store: wc.Store, acks: Acks) -> None:
    if "laid" not in acks:
        return
    assert seen(NOTE) == WANTED
    for contents in opened(store):
        assert restored(contents, NOTE) == WANTED
    pinned = [row for row in whole(store) if row.pinned]
    assert pinned or "pinned" not in acks, "what is pinned stays"
    if acks.get("pruned", 0) == acks.get("making", 0) > 0:
        assert whole(store) == pinned, "what was pruned is whole"
        assert [run.id for run in store.runs(task="backup")] == [row.id for row in pinned]


WORKLOADS = {
    "backup-paths": Workload(leave_tree, check_tree),
    "backup-expiry": Workload(let_expire, check_expired),
}
