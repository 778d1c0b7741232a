"""What is measured and told is what happened."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from programme import telling
from programme.isolation import isolated
from programme.mutants import hunt, quick
from programme.tally import Budget


def test_telling(tmp_path):
    """Stories of acts, beside a model of what must be counted and told."""
    tally = telling.run(Budget(seconds=20, most=2), tmp_path)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["acts told"] >= 40


@pytest.mark.parametrize("mutant", quick("telling"), ids=lambda one: one.bug)
def test_a_planted_mistake_is_found(tmp_path, mutant):
    """In a process of its own, so that the others stay as they are."""
    [(_, found)] = isolated([1], lambda seed: asdict(hunt(mutant, Budget(60, seed=seed), tmp_path)), limit=120)
    assert found["by"], f"{mutant.bug} survived {found['faults']} acts"
