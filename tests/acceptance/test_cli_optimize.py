"""`waycairn optimize` and `waycairn archive`: what they say is what they do."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import waycairn as wc
from commands import document, waycairn


def numbers(seed: int) -> np.ndarray:
    return np.frombuffer(hashlib.shake_128(b"%d" % seed).digest(1_200_000), np.uint8)


@pytest.fixture
def place(tmp_path):
    """A store with a pack of which half is gone, and a run that is old."""
    with wc.open(tmp_path / ".waycairn") as store:
        store.save("both", [numbers(1), numbers(2)])
        store.save("one", [numbers(1)])
        store.save("old", [numbers(3)])
        store.clear("both")
    return tmp_path


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_it_says_where_the_bytes_are(place):
    """By run and by kind, as text and as JSON; nothing is changed."""
    before = files(place / ".waycairn" / "packs")
    text = waycairn("optimize", "--analyze", at=place).stdout
    assert "run old: 1 checkpoints added 1.2 MB" in text
    facts = document("optimize", "--analyze", at=place)
    assert {one["name"]: one["checkpoints"] for one in facts["by_run"]} == {"old": 1, "one": 1}
    assert facts["packs"]["packs"] == len(before) == 2
    assert files(place / ".waycairn" / "packs") == before


def test_it_frees_what_is_dead(place):
    """In words and in numbers; the second time there is nothing to do."""
    done = waycairn("optimize", "--max-bytes", "1GB", at=place)
    assert "1 packs rid of what is gone: 1.2 MB copied, 1.2 MB less" in done.stdout
    assert "0.0% of 2.4 MB in 2 packs dead after" in done.stdout
    assert "nothing to optimize" in waycairn("optimize", at=place).stdout
    facts = document("optimize", "--dry-run", at=place)
    assert (facts["actions"], facts["after"]["share"], facts["dry_run"]) == ([], 0.0, True)


def test_an_archive_and_back(place):
    """Named by run or checkpoint; the doctor tells of one that is away; a wrong use is refused."""
    there = waycairn("archive", "old", "--to", "cold", at=place)
    assert f"1.2 MB in 1 packs moved to {place / 'cold'}, 1.2 MB freed here" in there.stdout
    assert len(files(place / "cold")) == 1
    (place / "cold").rename(place / "away")
    assert f"{place / 'cold'} is not there" in waycairn("doctor", "--quick", at=place).stdout
    refused = waycairn("archive", "--restore", at=place)
    assert "is not there now. Nothing was changed" in refused.stderr
    (place / "away").rename(place / "cold")
    facts = document("archive", "--restore", "old", at=place)
    assert (facts["place"], facts["packs"]) == (None, 1)
    assert files(place / "cold") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["archive", "old"], "say either where to"),
        (["archive", "--to", "cold"], "name runs or checkpoints"),
        (["optimize", "--max-bytes", "many"], "--max-bytes is a size such as"),
    ],
)
def test_wrong_use_is_refused(place, words, said):
    refused = waycairn(*words, at=place)
    assert refused.returncode == 2
    assert said in refused.stderr
