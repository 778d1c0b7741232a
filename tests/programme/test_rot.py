"""What decays is told or does no harm; what is done in any order and killed in the midst is kept; no input breaks a decoder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from programme import deceit, decoders, model, rot
from programme.isolation import isolated
from programme.mutants import hunt, quick
from programme.tally import Budget


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """In memory where there is such a file system: nothing here asks what a power cut leaves."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    place = Path(tempfile.mkdtemp(dir=memory))
    yield place
    shutil.rmtree(place)


def test_rot(folder):
    """Bits flipped, ends cut off and zeroed, parts exchanged, in every structure; and how a run goes on from it."""
    tally = rot.run(Budget(seconds=60, most=150), folder)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert sum(tally.delivered.values()) > 100


def test_deceit(folder):
    """What somebody without a key changes in an encrypted store."""
    tally = deceit.run(Budget(seconds=60, most=25), folder)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["deceits"] > 15


def test_model(folder):
    """Stories of acts, kills and jumping clocks beside a model of the store."""
    tally = model.run(Budget(seconds=12), folder)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["kills"] > 5
    assert tally.delivered["model steps"] > 100


def test_decoders(folder):
    """Damaged inputs of every decoder."""
    tally = decoders.run(Budget(seconds=5), folder)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["damaged inputs"] > 1000


@pytest.mark.parametrize("mutant", quick("rot", "decoders", "model", "deceit"), ids=lambda one: one.bug)
def test_a_planted_bug_is_found(folder, mutant):
    """In a process of its own, so that the others stay as they are."""
    [(_, found)] = isolated([1], lambda seed: asdict(hunt(mutant, Budget(90, seed=seed), folder)), limit=150)
    assert isinstance(found, dict), found
    print(f"{mutant.bug}: {found['faults']} faults of {mutant.harness}, {found['seconds']} s: {found['by'][:200]}")
    assert found["by"], f"{mutant.harness} did not find {mutant.bug}"
