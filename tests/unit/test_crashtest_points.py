"""Which moments of a recorded run are tried."""

from __future__ import annotations

import pytest

from waycairn.crashtest.points import Hit, Point, choose, moments, named, points_of, read_hits, work_in


def recorded(*names: str) -> list[Point]:
    """One hit after the other, evenly over the run."""
    counts: dict[str, int] = {}
    hits = []
    for place, name in enumerate(names):
        counts[name] = counts.get(name, 0) + 1
        hits.append(Hit(1, name, counts[name], 100.0 + place))
    return points_of(hits, leader=1, began=100.0, seconds=float(len(names)))


RUN = recorded("enter", *("item.begin", "item.end", "catalog.commit", "catalog.committed") * 50, "leave")


def test_the_first_and_the_last_point_come_first():
    """However few are asked for."""
    assert [str(point) for point in choose(RUN, 2, seed=0)] == ["enter@1", "leave@1"]


def test_both_sides_of_a_commit_are_chosen():
    """The same commit, before and after it is durable."""
    chosen = [str(point) for point in choose(RUN, 4, seed=3)]
    (before,) = [text for text in chosen if text.startswith("catalog.commit@")]
    assert f"catalog.committed@{before.partition('@')[2]}" in chosen


def test_every_name_is_chosen_and_the_rest_is_spread():
    """Each name once, and no tenth of the run without a point."""
    chosen = choose(RUN, 40, seed=1)
    assert len(chosen) == len(set(chosen)) == 40
    assert {point.name for point in chosen} == {point.name for point in RUN}
    assert {int(point.progress * 10) for point in chosen} == set(range(10))


def test_the_seed_decides():
    """The same seed, the same points; another one, others."""
    assert choose(RUN, 30, seed=5) == choose(RUN, 30, seed=5) != choose(RUN, 30, seed=6)


def test_more_than_there_are_gives_all():
    """And none twice."""
    assert sorted(choose(RUN, 10_000, seed=0), key=str) == sorted(RUN, key=str)
    assert choose([], 10, seed=0) == []


def test_a_hit_of_a_worker_is_known():
    """A point that another process passed first."""
    hits = [Hit(1, "enter", 1, 0.0), Hit(2, "map.call", 1, 1.0), Hit(3, "map.call", 1, 1.5)]
    points = points_of(hits, leader=1, began=0.0, seconds=2.0)
    assert [(str(point), point.in_worker) for point in points] == [("enter@1", False), ("map.call@1", True)]
    assert work_in(hits) == 2


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    """The kill may fall into the writing of the record itself."""
    path = tmp_path / "hits"
    path.write_text("7 enter 1 12.5\n7 item.be")
    assert read_hits(path) == [Hit(7, "enter", 1, 12.5)]
    assert read_hits(tmp_path / "none") == []


def test_moments_of_the_clock_are_spread():
    """Each quarter of the run has about a quarter of them."""
    shares = [moment.progress for moment in moments(40, seed=0)]
    counts = [sum(quarter / 4 <= share < (quarter + 1) / 4 for share in shares) for quarter in range(4)]
    assert min(counts) >= 8


@pytest.mark.parametrize("text", ["", "cut", "cut@", "cut@0", "cut@x", "101%", "x%"])
def test_what_is_no_point_is_refused(text):
    """With how to write one."""
    with pytest.raises(ValueError, match="is no point: write NAME@K"):
        named(text)


def test_a_point_is_named_as_it_is_shown():
    """So that a line of the report can be tried again."""
    assert str(named("cut.committed@3")) == "cut.committed@3"
    assert str(named("31.4%")) == "31.4%"
