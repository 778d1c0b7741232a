"""A directory tree as a value in a store, by the public API: what `bench/packs.py` starts for ours.

trees.py prepare STORE | save STORE NAME TREE | restore STORE NAME TO | check STORE
"""

from __future__ import annotations

import sys

import waycairn as wc
from waycairn.files import Files


def main() -> int:
    act, where, *more = sys.argv[1:]
    # The passphrase comes by the environment, as it does for the peers.
    with wc.open(where, create=act == "prepare") as store:
        if act == "save":
            name, tree = more
            store.save(name, Files(tree))
        elif act == "restore":
            name, to = more
            newest = next(iter(store.checkpoints(name)))
            store.load(newest.id, into=Files(to))
        elif act == "check":
            found = store.verify(read_data="all")
            return 1 if found.broken or found.damaged_packs else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
