"""A directory tree as a value in a store, by the public API: what `bench/packs.py` starts for ours.

trees.py prepare STORE | save STORE NAME TREE | restore STORE NAME TO | check STORE
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import waycairn as wc


def main() -> int:
    act, where, *more = sys.argv[1:]
    # The passphrase comes by the environment, as it does for the peers.
    with wc.open(where, create=act == "prepare") as store:
        if act == "save":
            name, tree = more
            store.save(name, read(Path(tree)))
        elif act == "restore":
            name, to = more
            write(Path(to), store.latest(name))
        elif act == "check":
            found = store.verify(read_data="all")
            return 1 if found.broken or found.damaged_packs else 0
    return 0


def read(tree: Path) -> dict[str, bytes]:
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.read_bytes() for path in files}


def write(to: Path, tree: dict[str, bytes]) -> None:
    """By two threads, as the peers do: nearly all of it is copying in the kernel."""

    def put(name: str) -> None:
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tree[name])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(put, tree))


if __name__ == "__main__":
    raise SystemExit(main())
