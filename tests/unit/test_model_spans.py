"""A set of numbers as ranges: the same as a set of numbers."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from waycairn.model.spans import Spans

RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=12)


def plain(runs):
    return {number for first, count in runs for number in range(first, first + count)}


@given(RUNS, RUNS)
def test_like_a_set(one, other):
    """Whatever overlaps, touches or is empty."""
    spans, numbers = Spans(one), plain(one)
    assert spans.numbers() == sorted(numbers)
    assert len(spans) == len(numbers)
    assert all((number in spans) == (number in numbers) for number in range(-1, 75))
    assert (spans | Spans(other)).numbers() == sorted(numbers | plain(other))
    ranges = list(spans)
    assert all(count > 0 for _, count in ranges)
    assert all(first + count < after for (first, count), (after, _) in itertools.pairwise(ranges))
