"""The harnesses bite: planted mistakes are found, by the harness that is named for each."""

from __future__ import annotations

import pytest

from crash.zygote import Zygote
from programme.mutants import MISTAKES, MUTANTS, hunt, quick
from programme.tally import Budget


def test_every_mistake_has_its_harness():
    """A mistake that no harness is named for proves nothing; and there are enough of them."""
    named = [mutant.bug for mutant in MUTANTS]
    assert len(named) == len(set(named)) >= 15
    assert set(named) == set(MISTAKES)
    assert all(mutant.what for mutant in MUTANTS)


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as process:
        yield process


@pytest.mark.parametrize("mutant", quick("kills"), ids=lambda one: one.bug)
def test_a_planted_mistake_is_found(mutant, zygote, tmp_path):
    """Some that take seconds, like those in the tests of other harnesses; `make torture` hunts all."""
    found = hunt(mutant, Budget(seconds=mutant.seconds, seed=1), tmp_path, zygote=zygote)
    print(f"{found.bug}: {found.faults} faults of {found.harness}, {found.seconds} s: {found.by}")
    assert found.by, f"{found.bug} survived {found.faults} faults: {found.what}"
