"""The journal between two cuts, and its points as bytes."""

import math
import random
import struct
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.catalog.points import decode_points, encode_points
from waycairn.model.journal import NOTHING_LOGGED, Pattern, Point
from waycairn.work.journal import Journal, as_number


def a_journal():
    return Journal(lambda: 1000.0)


def a_pattern(name):
    return Pattern(pattern=name, effectiveness=1.0, created=0.0)


def steps_of(rows):
    return [point.step for point in rows.points]


def test_a_cut_takes_everything_once():
    """And an empty journal gives the same empty rows, without a new object."""
    journal = a_journal()
    assert journal.take() is NOTHING_LOGGED
    journal.log(1, {"loss": 0.5})
    journal.add(a_pattern("p"))
    journal.committed(None, 0.25)
    journal.log(2, {"loss": 0.25})
    assert not journal.is_empty
    rows = journal.take()
    assert (steps_of(rows), [pattern.pattern for pattern in rows.patterns]) == ([1, 2], ["p"])
    assert (rows.saving, rows.entered) == (0.25, 1000.0)
    assert journal.is_empty
    assert journal.take() is NOTHING_LOGGED


def test_a_failed_cut_gives_back_in_front():
    """What was logged while it was under way comes after; the seconds are counted once."""
    journal = a_journal()
    journal.committed(None, 1.0)
    journal.log(1, {"loss": 0.5})
    rows = journal.take()
    journal.log(2, {"loss": 0.25})
    journal.give_back(rows)
    journal.give_back(NOTHING_LOGGED)
    journal.give_back(None)
    again = journal.take()
    assert (steps_of(again), again.saving) == ([1, 2], 1.0)


def test_what_is_undone_is_forgotten():
    """Up to the mark, wherever cuts were taken or given back since."""
    journal = a_journal()
    journal.log(1, {"x": 1})
    rows = journal.take()
    journal.log(2, {"x": 1})
    mark = journal.mark()
    journal.log(3, {"x": 1})
    journal.add(a_pattern("undone"))
    journal.give_back(rows)
    journal.cut_back(mark)
    assert journal.newest_step == 2
    left = journal.take()
    assert (steps_of(left), left.patterns) == ([1, 2], [])
    journal.log(9, {"x": 1})
    journal.cut_back()
    assert journal.is_empty
    assert journal.newest_step == 2


def test_steps_count_on():
    """From the newest one of this entry, else from what earlier cuts hold, which is asked once; else from 0."""
    journal, asked = a_journal(), []

    def newest():
        asked.append(True)
        return 6

    journal.log_next({"x": 1}, newest)
    journal.log_next({"x": 1}, newest)
    mark = journal.mark()
    journal.log(40, {"x": 1})
    journal.cut_back(mark)
    journal.log_next({"x": 1}, newest)
    assert (steps_of(journal.take()), len(asked)) == ([7, 8, 9], 1)
    other = a_journal()
    other.log_next({"x": 1}, lambda: None)
    assert steps_of(other.take()) == [0]


def test_what_is_withdrawn_is_in_no_cut():
    """By identity; what a cut holds already stays there."""
    journal = a_journal()
    first, second = a_pattern("p"), a_pattern("p")
    journal.add(first)
    rows = journal.take()
    journal.add(second)
    journal.withdraw([first, second])
    assert journal.is_empty
    assert rows.patterns == [first]


def test_who_waits_for_commits_is_called():
    """After one that holds iterations, rules or patterns; numbers alone are none of its business."""
    journal, calls = a_journal(), []
    journal.on_commit = lambda: calls.append(True)
    journal.log(1, {"x": 1})
    journal.committed(journal.take(), 0.1)
    assert calls == []
    journal.add(a_pattern("p"))
    journal.committed(journal.take(), 0.1)
    assert calls == [True]


def test_many_threads_log_at_once():
    """Every point is in exactly one cut."""
    journal, taken, turn = a_journal(), [], 0

    def work(thread):
        for step in range(500):
            journal.log(thread * 500 + step, {"x": 1.0})

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        rows = journal.take()
        turn += 1
        if turn % 3:
            journal.give_back(rows)
        else:
            taken.append(rows)
    taken.append(journal.take())
    assert sorted(step for rows in taken for step in steps_of(rows)) == list(range(2000))


def test_numbers_of_all_kinds_are_logged():
    """As floats, exactly."""
    torch = pytest.importorskip("torch", reason="tensors need torch")
    journal = a_journal()
    values = {"i": 3, "b": True, "f": 0.1, "n": np.float32(0.1), "a": np.array(2, dtype=np.int8)}
    tensors = {"t": torch.tensor(0.5, dtype=torch.bfloat16), "g": torch.tensor(2.0, requires_grad=True)}
    journal.log(1, {**values, **tensors})
    found = journal.take().points[0].values
    expected = {"i": 3.0, "b": 1.0, "f": 0.1, "n": float(np.float32(0.1)), "a": 2.0, "t": 0.5, "g": 2.0}
    assert found == expected
    assert set(map(type, found.values())) == {float}


@pytest.mark.parametrize("value", ["0.5", None, [1], 1j, np.array([1.0]), np.array("x"), {"a": 1}])
def test_what_is_no_number_is_refused_by_name(value):
    """And nothing of the call is logged."""
    journal = a_journal()
    with pytest.raises(TypeError, match=r"metric 'val/acc' is a .*not a number\. Nothing was logged"):
        journal.log(1, {"loss": 0.5, "val/acc": value})
    assert journal.is_empty


def test_a_tensor_with_a_dimension_says_its_shape():
    """So that one sees which one it was."""
    with pytest.raises(TypeError, match=r"of shape \(3, 2\)"):
        as_number("x", np.zeros((3, 2)))


def bits(points):
    return [(p.step, p.at, {name: struct.pack("<d", value) for name, value in p.values.items()}) for p in points]


points = st.lists(
    st.builds(
        Point,
        st.integers(-(2**62), 2**62),
        st.integers(0, 2**40).map(lambda n: n / 8),
        st.dictionaries(st.sampled_from(["", "loss", "a/b", "é\0"]), st.floats(width=64), max_size=3),
    ),
    max_size=40,
)


@given(points)
def test_points_survive_exactly(some):
    """Every bit of every float, steps in any order, any mixture of metrics."""
    assert bits(decode_points(encode_points(some))) == bits(some)


def test_a_nan_keeps_its_payload():
    """Not every NaN is the same NaN."""
    odd = struct.unpack("<d", bytes.fromhex("0100000000fcf87f"))[0]
    [point] = decode_points(encode_points([Point(1, 0.0, {"x": odd})]))
    assert struct.pack("<d", point.values["x"]) == bytes.fromhex("0100000000fcf87f")


def test_many_points_take_little_room():
    """A thousand losses with their times: less than their floats alone; short cuts stay uncompressed."""
    chance = random.Random(1)
    many = [
        Point(n, 1e9 + n / 8, {"loss": math.exp(-n / 500) + chance.random() / 100, "lr": 1e-3}) for n in range(1000)
    ]
    data = encode_points(many)
    assert data[0] == 0xC1
    assert len(data) < 8000
    assert bits(decode_points(data)) == bits(many)
    assert encode_points(many[:3])[0] != 0xC1
    assert encode_points([]) == b""


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_damaged_points_are_told(cut):
    """A ValueError, so that the row is reported as damaged."""
    data = encode_points([Point(n, 0.0, {"loss": float(n)}) for n in range(500)])
    for broken in (
        data[: int(len(data) * cut)],
        b"\x95\x02",
        b"\xc1\xff\xff\xff\xff",
        data[:9] + b"\xff" * 9 + data[18:],
    ):
        with pytest.raises(ValueError):
            decode_points(broken)
