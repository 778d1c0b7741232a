"""Curves of a bounded number of points: spikes stay, whatever comes; and they are drawn on as a run goes on."""

import math
import random
import time

import pytest

import waycairn as wc
from waycairn.upkeep.curves import MOST_CURVES, Drawing, Drawings, Thinned, curves_of


def thinned(values, points):
    curve = Thinned(points)
    for place, value in enumerate(values):
        curve.add(place, value)
    assert curve.count == len(values)
    return curve


@pytest.mark.parametrize("points", [10, 11, 60, 601])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 12, 59, 60, 61, 1000, 4999])
def test_no_more_points_than_asked_for(points, count):
    """Each of them one that was logged, in order; the ends, the lowest and the highest among them."""
    drawn = random.Random(points * count)
    values = [drawn.gauss(0, 1) for _ in range(count)]
    found = thinned(values, points).points()
    assert len(found) <= points
    assert all(value == values[place] for place, value in found)
    assert [place for place, _ in found] == sorted({place for place, _ in found})
    if count:
        assert {0, count - 1, values.index(min(values)), values.index(max(values))} <= {place for place, _ in found}
    if count <= points - 2:
        assert len(found) == count


@pytest.mark.parametrize("spike", [0, 1, 500, 5_000, 9_998, 9_999])
def test_a_spike_of_one_step_stays(spike):
    """Up, down, and where it is no number; also if somebody looked on the way, which changes nothing."""
    for odd in (1e9, -1e9, math.nan, math.inf, -math.inf):
        values = [math.sin(step) for step in range(10_000)]
        values[spike] = odd
        curve, watched = thinned(values, 50), Thinned(50)
        for step, value in enumerate(values):
            watched.add(step, value)
            if step % 777 == 0:
                assert len(watched.points()) <= 50
        assert spike in [place for place, _ in curve.points()]
        assert repr(watched.points()) == repr(curve.points())


def until(count, draw):
    """States are written behind the job."""
    ends = time.monotonic() + 20
    while not (found := draw()).curves or found.curves[0].count < count:
        assert time.monotonic() < ends
        time.sleep(0.01)
    return found


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as found:
        yield found


def test_a_drawing_goes_on_with_its_run(store):
    """What is read anew is what is new; all of it is what one pass gives. A run that was cut back begins anew."""
    drawings = Drawings(store.core)
    with store.run("train") as run:
        run.state({})
        for step in run.steps(300):
            if step and step % 50 == 0:  # the cut that was asked for in the step before
                found = until(step, lambda: drawings.curves_of(store.find("train"), 20))
                assert found == curves_of(store.core, store.find("train").id, 20)
            run.log(loss=float(step))
            if step % 50 == 49:
                run.checkpoint("milestone")
    record = store.find("train")
    whole = Drawing(store.core, record.id, 20)
    whole.draw()
    assert whole.goes_on()
    middle = store.checkpoints("train", kind="milestone")[-1]
    store.rewind(record.id, middle.id)
    assert not whole.goes_on()
    after = drawings.curves_of(store.find("train"), 20)
    assert after == curves_of(store.core, record.id, 20)
    assert after.curves[0].count < 300


def test_very_many_metrics(store):
    """The first hundred; the others are counted, and had by name."""
    with store.run("wide") as run:
        run.log(0, **{f"m{number}": number for number in range(MOST_CURVES + 5)})
    id_ = store.find("wide").id
    found = curves_of(store.core, id_, 10)
    assert (len(found.curves), found.left_out) == (MOST_CURVES, 5)
    assert [curve.name for curve in curves_of(store.core, id_, 10, frozenset({"m104"})).curves] == ["m104"]
