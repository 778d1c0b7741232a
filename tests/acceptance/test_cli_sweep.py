"""`waycairn sweep`: what it says is what it does."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

import waycairn as wc
from commands import document, waycairn

RANDOM = np.random.default_rng(7)


@pytest.fixture
def place(tmp_path):
    """A store with two dead packs, one that lives in part, and an old pack of no commit."""
    with wc.open(tmp_path / ".waycairn") as store:
        for _ in range(3):
            store.save("replaced", {"data": RANDOM.bytes(300_000)}, keep=1)
        arrays = [np.frombuffer(RANDOM.bytes(2_000_000), np.uint8) for _ in range(2)]
        store.save("whole", arrays)
        store.save("part", arrays[:1])
        store.clear("whole")
    pack = next(path for path in (tmp_path / ".waycairn" / "packs").glob("*/*"))
    left = pack.with_name(pack.name[:2] + "0" * 30)
    left.write_bytes(b"left")
    os.utime(left, (time.time() - 4000,) * 2)
    return tmp_path


def packs(place):
    return sorted(path.name for path in (place / ".waycairn" / "packs").glob("*/*"))


def test_it_says_what_it_would_do_and_does_it(place):
    """The same numbers before and after; then nothing is left to do."""
    before = packs(place)
    planned = document("sweep", "--dry-run", at=place)
    assert packs(place) == before
    done = document("sweep", at=place)
    assert (done["packs"], done["leftovers"], done["kept_packs"]) == (2, 1, 1)
    assert done["freed_bytes"] == done["pack_bytes"] + 4 > 600_000
    assert done["dead_bytes"] > 1_900_000
    for name in planned.keys() - {"dry_run", "seconds", "owner_files", "decisions"}:
        assert planned[name] == done[name], name
    assert len(packs(place)) == len(before) - 3
    again = waycairn("sweep", at=place)
    assert again.stdout.splitlines()[0] == "nothing to sweep"


def test_it_says_so_in_words(place):
    """One line for each kind; nothing with --quiet."""
    said = waycairn("sweep", "--dry-run", at=place).stdout
    assert "2 packs would be removed, 6" in said
    assert "1 packs of saves that died before their commit would be removed, 4 B" in said
    assert "are dead in 1 packs that others still need" in said
    assert waycairn("sweep", "--quiet", at=place).stdout == ""
    assert "nothing to sweep" in waycairn("sweep", at=place).stdout


def test_a_grace_time_that_is_none(place):
    """Wrong use, and nothing was removed."""
    before = packs(place)
    refused = waycairn("sweep", "--grace", "soon", at=place)
    assert refused.returncode == 2
    assert "grace is a length of time" in refused.stderr
    assert packs(place) == before
