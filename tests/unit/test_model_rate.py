"""Rate and ETA from progress seen at times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.model.rate import Rate


def test_there_is_no_rate_before_progress() -> None:
    """Nothing seen, seen once, or seen without a change: unknown, not 0; nothing left takes no time all the same."""
    rate = Rate()
    assert (rate.per_second, rate.eta(5), rate.eta(0)) == (None, None, 0.0)
    for now in (0.0, 1.0, 2.0):
        rate.add(now, 7)
    assert (rate.per_second, rate.eta(5)) == (None, None)


def test_an_even_pace() -> None:
    """Ten a second: what is left takes a tenth of its number, however often one looks."""
    for step in (0.001, 0.1, 1.0):
        rate = Rate()
        for look in range(round(40 / step)):
            rate.add(100 + look * step, round(look * step * 10))
        assert rate.per_second == pytest.approx(10, rel=0.01)
        assert rate.eta(300) == pytest.approx(30, rel=0.01)


def test_only_the_window_counts() -> None:
    """A fast beginning is forgotten after 30 s: an average since the start would say 55."""
    rate = Rate()
    for second in range(101):
        rate.add(second, second * 100)
    for second in range(101, 201):
        rate.add(second, 10_000 + (second - 100) * 10)
    assert rate.per_second == pytest.approx(10)


def test_jumps_give_the_rate_between_them() -> None:
    """Commits every 45 s, longer than the window: the rate stands still between them, and is that of the last two."""
    rate = Rate(window=30)
    seen = []
    for second in range(181):
        rate.add(second, second // 45 * 900)
        seen.append(rate.per_second)
    assert seen[44] is None
    assert set(seen[45:]) == {20.0}


def test_a_stall_lowers_the_rate() -> None:
    """Commits came every second and come no more: the rate falls, without a step, and the ETA grows."""
    rate = Rate()
    for second in range(31):
        rate.add(second, second * 10)
    rate.add(31.0, 300)
    assert rate.per_second == pytest.approx(10)
    rate.add(61.0, 300)
    assert rate.per_second == pytest.approx(5)
    assert rate.eta(100) == pytest.approx(20)


def test_it_recovers_from_a_stall() -> None:
    """One minute after a pause of an hour only the minute counts."""
    rate = Rate()
    rate.add(0, 0)
    rate.add(1, 10)
    for second in range(3600, 3661):
        rate.add(second, (second - 3600) * 10 + 20)
    assert rate.per_second == pytest.approx(10)


def test_fewer_done_begins_anew() -> None:
    """The run was set back: what was before says nothing any more, and nothing is negative."""
    rate = Rate()
    rate.add(0, 0)
    rate.add(10, 1000)
    rate.add(11, 10)
    assert rate.per_second is None
    rate.add(21, 20)
    assert rate.per_second == pytest.approx(1)


def test_a_clock_that_stands_still() -> None:
    """Two counts of one time are no rate, and no division by zero."""
    rate = Rate()
    rate.add(5, 0)
    rate.add(5, 10)
    assert rate.per_second is None


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 10_000)), max_size=300))
def test_it_is_never_negative_and_stays_small(steps: list[tuple[float, int]]) -> None:
    """Whatever is seen: at most a hundred points or so are kept, and a rate is positive or unknown."""
    rate, now, done = Rate(window=10), 0.0, 0
    for seconds, items in steps:
        now, done = now + seconds / 100, done + items
        rate.add(now, done)
        assert rate.per_second is None or rate.per_second >= 0
    assert len(rate._points) <= 110
